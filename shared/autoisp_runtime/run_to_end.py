"""Blocking work that is never abandoned half-way."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import Executor
from contextlib import suppress
from typing import TypeVar

T = TypeVar("T")


async def run_to_end(
    call: Callable[..., T],
    *arguments: object,
    on_cancel: Callable[[], None] | None = None,
    executor: Executor | None = None,
) -> T:
    """Run ``call`` in a thread and wait for its end, also when the caller is cancelled meanwhile.

    Only then may anything else touch the files that the call works on.

    Args:
        call: does the work.
        arguments: for ``call``.
        on_cancel: asks the call to end soon.
        executor: runs it; by default the event loop's own.
    """
    work = asyncio.get_running_loop().run_in_executor(executor, call, *arguments)
    return await outlast(work, on_cancel)


async def outlast(work: asyncio.Future[T], on_cancel: Callable[[], None] | None = None) -> T:
    """Wait for the end of ``work``, also when the caller is cancelled meanwhile, however often.

    Args:
        work: is not cancelled itself.
        on_cancel: asks it to end soon; called once.
    """
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        if on_cancel:
            on_cancel()
        # Nobody hears how it ended.
        work.add_done_callback(lambda done: done.cancelled() or done.exception())
        while not work.done():
            # Whoever cancels again is no reason to leave, either.
            with suppress(asyncio.CancelledError):
                await asyncio.wait({work})
        raise

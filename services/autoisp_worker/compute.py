"""One thread for the arithmetic, beside the event loop that keeps the job alive, and a way to stop it."""

from __future__ import annotations

import asyncio
import contextvars
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from enum import Enum
from typing import TypeVar

T = TypeVar("T")


class StopReason(Enum):
    """Why work is to end early."""

    CANCELLED = "it was cancelled"
    TIME_LIMIT = "it took longer than it may"
    SHUTDOWN = "this worker stops"


class StopRequest:
    """Set by the event loop, looked at by the arithmetic at every step. The first reason stays."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._reason: StopReason | None = None

    def request(self, reason: StopReason) -> None:
        """Ask for an end."""
        with self._lock:
            if self._reason is None:
                self._reason = reason

    @property
    def reason(self) -> StopReason | None:
        """Why to end, or None: go on."""
        return self._reason

    def __bool__(self) -> bool:
        return self._reason is not None


class ComputeThread:
    """Runs one function at a time off the event loop, all in the same thread."""

    def __init__(self) -> None:
        self._executor = ThreadPoolExecutor(1, thread_name_prefix="compute")

    async def run(self, work: Callable[[], T], stop: StopRequest) -> T:
        """Run ``work`` and return what it returns.

        When the awaiting task is cancelled, the work is asked to stop and waited for, so that it is over
        before the command goes to somebody else.
        """
        # With the context of the task: spans and log lines of the work belong to what it is done for.
        context = contextvars.copy_context()
        future = asyncio.get_running_loop().run_in_executor(self._executor, context.run, work)
        try:
            return await asyncio.shield(future)
        except asyncio.CancelledError:
            stop.request(StopReason.SHUTDOWN)
            await asyncio.wait({future})
            if not future.cancelled():
                future.exception()  # looked at: it has nobody left to go to
            raise

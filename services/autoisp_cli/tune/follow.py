"""Listening to a blocking stream without going deaf to everything else."""

from __future__ import annotations

import queue
import threading
import time
from collections.abc import Callable, Iterator
from typing import TypeVar

from autoisp_core.errors import DeadlineExceededError, NotFoundError

T = TypeVar("T")
R = TypeVar("R")

TICK_SECONDS = 0.25


def follow(stream: Iterator[T], check: Callable[[], None]) -> Iterator[T | None]:
    """The stream's items as they come, and None every :data:`TICK_SECONDS` in between.

    The stream is read in a thread, so that Ctrl-C is heard at once. ``check`` is called at every turn; what
    it raises ends it all, as does what the stream raises.
    """
    arrived: queue.SimpleQueue[tuple[str, object]] = queue.SimpleQueue()

    def read() -> None:
        try:
            for item in stream:
                arrived.put(("item", item))
            arrived.put(("end", None))
        except Exception as error:
            arrived.put(("error", error))

    threading.Thread(target=read, daemon=True).start()
    while True:
        check()
        try:
            kind, value = arrived.get(timeout=TICK_SECONDS)
        except queue.Empty:
            yield None
            continue
        if kind == "end":
            return
        if kind == "error":
            assert isinstance(value, Exception)
            raise value
        yield value  # type: ignore[misc]


def await_result(what: str, attempt: Callable[[], R | None], check: Callable[[], None], seconds: float) -> R:
    """Asks again and again until something is there.

    Raises:
        DeadlineExceededError: nothing was there after ``seconds``.
    """
    deadline = time.monotonic() + seconds
    while True:
        check()
        try:
            found = attempt()
        except NotFoundError:
            found = None
        if found is not None:
            return found
        if time.monotonic() > deadline:
            raise DeadlineExceededError(
                f"{what} did not appear in {seconds:.0f} s; look at the services' logs", reason="NO_RESULT"
            )
        time.sleep(TICK_SECONDS)

"""Reading from a sender that may be slow: it is waited for, but not for ever."""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator, AsyncIterator, Callable
from dataclasses import dataclass
from typing import Any, TypeVar

from autoisp_core.errors import DeadlineExceededError

T = TypeVar("T")

_TICKS = 10


@dataclass(frozen=True)
class Pace:
    """The slowest sender that is borne.

    Args:
        bytes_per_second: over the last ``window_seconds``; 0 bears all.
        window_seconds: of waiting for the sender; the time that our own disk takes is not the sender's fault.
        advice: what a sender that is slower can do.
    """

    bytes_per_second: float
    window_seconds: float
    advice: str = (
        "what was received is kept for a while: send the rest over a faster line, or have the server's "
        "AUTOISP_MIN_UPLOAD_BYTES_PER_SECOND lowered"
    )


async def keep_pace(
    chunks: AsyncIterator[T],
    pace: Pace,
    *,
    size: Callable[[Any], int] = len,
    owed: Callable[[], bool] = lambda: True,
) -> AsyncGenerator[T, None]:
    """Pass ``chunks`` on while they come fast enough.

    Args:
        chunks: what is sent.
        pace: the slowest sender that is borne.
        size: bytes of a chunk.
        owed: whether it is the sender's turn; time while it waits for us is not held against it.

    Raises:
        DeadlineExceededError: they do not.
    """
    window = _Window(pace, owed)
    while True:
        reading = asyncio.ensure_future(anext(chunks, None))
        try:
            while not await window.waits_for(reading):
                window.check()
        finally:
            if not reading.done():
                reading.cancel()
                await asyncio.wait({reading})
        chunk = reading.result()
        if chunk is None:
            return
        window.arrive(size(chunk))
        window.check()
        yield chunk


class _Window:
    """What came in the last seconds of waiting."""

    def __init__(self, pace: Pace, owed: Callable[[], bool]) -> None:
        self._pace = pace
        self._owed = owed
        self._waited = 0.0
        self._arrivals: deque[tuple[float, int]] = deque()
        self._received = 0

    def arrive(self, size: int) -> None:
        self._arrivals.append((self._waited, size))
        self._received += size

    async def waits_for(self, reading: asyncio.Future[Any]) -> bool:
        """Wait a part of the window; returns whether the reading is done."""
        begun, owed = time.monotonic(), self._owed()
        # Not a timeout around the reading: a stream whose read was cancelled can't be read again.
        await asyncio.wait({reading}, timeout=self._pace.window_seconds / _TICKS)
        if owed and self._owed():
            self._waited += time.monotonic() - begun
        return reading.done()

    def check(self) -> None:
        """Check what came within the window, once one has passed.

        Raises:
            DeadlineExceededError: too little.
        """
        begun = self._waited - self._pace.window_seconds
        while self._arrivals and self._arrivals[0][0] < begun:
            self._received -= self._arrivals.popleft()[1]
        if begun >= 0 and self._received < self._pace.bytes_per_second * self._pace.window_seconds:
            raise DeadlineExceededError(
                f"only {self._received} bytes came in {self._pace.window_seconds:g} seconds, and at least "
                f"{self._pace.bytes_per_second:g} a second must; {self._pace.advice}",
                reason="SENDER_TOO_SLOW",
            )

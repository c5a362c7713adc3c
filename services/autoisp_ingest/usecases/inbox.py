"""A bounded queue from the event loop to one thread."""

from __future__ import annotations

import asyncio
import queue
from collections.abc import Iterator

from autoisp_core.errors import CancelledError

from autoisp_ingest.domain import StoredFrame

_TICK_S = 0.2
_END, _STOP = object(), object()


class Inbox:
    """Frames that wait to be stored: at most ``limit_bytes``, and one frame whatever its size.

    The event loop puts; one thread iterates. Made in the event loop.
    """

    def __init__(self, limit_bytes: int) -> None:
        self._limit = limit_bytes
        self._loop = asyncio.get_running_loop()
        self._frames: queue.SimpleQueue[object] = queue.SimpleQueue()
        self._room = asyncio.Event()
        self._room.set()
        self._stopped = False
        self.bytes = 0
        """Of the frames that wait and the one that is being stored."""

    async def put(self, frame: StoredFrame) -> None:
        """Hand a frame over; waits for room."""
        size = sum(plane.nbytes for plane in frame.planes)
        while self.bytes and self.bytes + size > self._limit:
            self._room.clear()
            await self._room.wait()
        self.bytes += size
        self._frames.put((frame, size))

    def end(self) -> None:
        """No frame follows."""
        self._frames.put(_END)

    def stop(self) -> None:
        """What waits is not wanted any more: ends the thread's iteration with :class:`CancelledError`."""
        self._stopped = True
        self._frames.put(_STOP)

    def __iter__(self) -> Iterator[StoredFrame | None]:
        """The frames, in the thread; None now and then while there is none."""
        while True:
            try:
                item = self._frames.get(timeout=_TICK_S)
            except queue.Empty:
                yield None
                continue
            if self._stopped or item is _STOP:
                raise CancelledError("the stream was cancelled; send the frames again")
            if item is _END:
                return
            assert isinstance(item, tuple)
            frame, size = item
            yield frame
            self._loop.call_soon_threadsafe(self._release, size)

    def _release(self, size: int) -> None:
        self.bytes -= size
        self._room.set()

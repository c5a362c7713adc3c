"""One stream a file: who sends the same bytes as somebody else waits, or takes over from the dead."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field

from autoisp_core.errors import AbortedError

IN_PROGRESS = "UPLOAD_IN_PROGRESS"
"""Reason of the error that a second stream of the same bytes gets."""

_SILENT_S = 5.0
_PATIENCE_S = 1.0


@dataclass
class Stream:
    """A stream that is being received.

    Attributes:
        size_bytes: of the whole file.
        complete: nothing more has to come.
    """

    size_bytes: int
    task: asyncio.Task[object]
    complete: bool = False
    taken_over: bool = False
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    _at_work: bool = False
    _last: float = field(default_factory=time.monotonic)

    def note(self) -> None:
        """Something came."""
        self._last = time.monotonic()

    @contextmanager
    def at_work(self) -> Iterator[None]:
        """While we work on what came: the sender waits for us, and is not silent.

        Hashing what there is of a large file takes far longer than a sender may be silent.
        """
        self._at_work = True
        try:
            yield
        finally:
            self._at_work = False
            self.note()

    @property
    def is_silent(self) -> bool:
        """Whether it is dead, as far as can be told: a connection may vanish without a word."""
        if self.complete or self._at_work:
            return False
        return time.monotonic() - self._last > _SILENT_S

    def take_over(self) -> None:
        """End this stream in favour of another; again is the same as once."""
        if not self.taken_over:
            self.taken_over = True
            self.task.cancel()


class Streams:
    """Those under way, by the digest of what they send."""

    def __init__(self) -> None:
        self._running: dict[str, Stream] = {}

    def __contains__(self, sha256: str) -> bool:
        return sha256 in self._running

    def sizes(self) -> Iterator[tuple[str, int]]:
        """Digest and size of each file that is being received."""
        return ((sha256, stream.size_bytes) for sha256, stream in self._running.items())

    @asynccontextmanager
    async def alone(self, sha256: str, size_bytes: int) -> AsyncIterator[Stream]:
        """Receive a file that nobody else receives meanwhile, in the current task.

        Raises:
            AbortedError: another stream of the file goes on; or another took over from this one.
        """
        await self._make_way(sha256)
        task = asyncio.current_task()
        assert task is not None
        stream = self._running[sha256] = Stream(size_bytes, task)
        try:
            yield stream
        except asyncio.CancelledError:
            # The client may have left as well, which is a cancellation of its own.
            if not stream.taken_over or task.uncancel():
                raise
            raise _in_progress(sha256) from None
        finally:
            del self._running[sha256]
            stream.ended.set()

    async def _make_way(self, sha256: str) -> None:
        deadline = time.monotonic() + _PATIENCE_S
        while other := self._running.get(sha256):
            if other.is_silent:
                other.take_over()
                await other.ended.wait()
                continue
            # Of a client that has just left, the end may be a moment away.
            try:
                await asyncio.wait_for(other.ended.wait(), max(0.0, deadline - time.monotonic()))
            except TimeoutError:
                raise _in_progress(sha256) from None


def _in_progress(sha256: str) -> AbortedError:
    return AbortedError(
        f"another stream sends the file {sha256} just now; wait until it is a clip, or, if that stream "
        "is dead, try again in some seconds: GetUpload tells where to go on",
        reason=IN_PROGRESS,
        metadata={"sha256": sha256},
    )

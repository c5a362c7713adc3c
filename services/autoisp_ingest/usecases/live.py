"""Live ingest: from a camera's frames to a clip, stored while they come."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import UTC, datetime

from autoisp_core.errors import InvalidArgumentError, ResourceExhaustedError
from autoisp_core.frames import FrameKind
from autoisp_runtime.run_to_end import run_to_end

from autoisp_ingest.domain import (
    LIVE_CODEC,
    Clip,
    FootageLimits,
    FrameAssembly,
    FramePart,
    LiveHeader,
    Timing,
    check_enough_frames,
    clip_id_of,
)
from autoisp_ingest.usecases.inbox import Inbox
from autoisp_ingest.usecases.new_clips import NewClips
from autoisp_ingest.usecases.ports import FrameStore

_FOLDER = "live"
_TIME_STEP_NS = 1


@dataclass(frozen=True)
class LiveLimits:
    """How much live ingest takes.

    Args:
        footage: of one clip.
        streams: cameras at the same time.
        window_bytes: frames of one camera that wait to be stored.
    """

    footage: FootageLimits
    streams: int
    window_bytes: int


@dataclass(frozen=True)
class _Recorded:
    sha256: str
    size_bytes: int
    times_ns: list[int]


class Acknowledge:
    """Tells a sender what is stored; if the sender is slow to listen, only the newest.

    To be stopped and then awaited: gRPC still holds a message whose sending was cancelled, and takes no
    other after it, not even the call's status.

    Args:
        send: the number of stored frames.
    """

    def __init__(self, send: Callable[[int], Awaitable[None]]) -> None:
        self._send = send
        self._stored = self._told = 0
        self._news = asyncio.Event()
        self._stopped = False

    def note(self, stored: int) -> None:
        """So many frames are stored."""
        if stored != self._stored:
            self._stored = stored
            self._news.set()

    def stop(self) -> None:
        """Send nothing more; :meth:`run` ends once what is being sent has gone out."""
        self._stopped = True
        self._news.set()

    async def run(self) -> None:
        """Tell, until stopped."""
        while True:
            await self._news.wait()
            if self._stopped:
                return
            self._news.clear()
            await self._send(self._stored)


class IngestFrames:
    """Stores frames while they come.

    What a sender sends faster than it can be stored is not read meanwhile, so that the transport's flow
    control holds it back and memory stays flat.

    Args:
        executor: stores frames; needs a thread per stream.
    """

    def __init__(
        self, frames: FrameStore, new_clips: NewClips, executor: Executor, limits: LiveLimits
    ) -> None:
        self._frames = frames
        self._new_clips = new_clips
        self._executor = executor
        self._limits = limits
        self._running = 0

    def window_bytes(self, header: LiveHeader) -> int:
        """What a sender may have unacknowledged: what waits here, and what is gathered to be written."""
        return self._limits.window_bytes + self._frames.gathered_bytes(header.format)

    async def __call__(
        self,
        header: LiveHeader,
        parts: AsyncIterator[FramePart],
        acknowledge: Callable[[int], Awaitable[None]],
    ) -> Clip:
        """Store the frames that ``parts`` make up, to the end of the stream.

        Args:
            acknowledge: tells the sender how many frames are stored; with 0 before anything is read.

        Returns:
            The new clip, or the one that the same frames made before.

        Raises:
            InvalidArgumentError: the header or a part is not what it must be; nothing stays.
            ResourceExhaustedError: too many streams, or no space is left.
            UnavailableError: the store can't be reached.
        """
        header.check(self._limits.footage)
        if self._running >= self._limits.streams:
            raise ResourceExhaustedError(
                f"{self._running} cameras send already, and no more may at a time; try again when one is "
                "through, or have the server's AUTOISP_LIVE_STREAMS raised",
                reason="TOO_MANY_STREAMS",
            )
        self._running += 1
        try:
            await acknowledge(0)
            async with self._new_clips.begin(_FOLDER) as new:
                recorded = await self._record(header, new.uri, parts, acknowledge)
                timing = Timing.of(recorded.times_ns, header.frame_rate, _TIME_STEP_NS)
                return await new.add(
                    Clip(
                        id=clip_id_of(recorded.sha256),
                        display_name=header.title,
                        format=header.format,
                        frame_count=len(recorded.times_ns),
                        frame_rate=header.frame_rate,
                        codec=LIVE_CODEC,
                        source_sha256=recorded.sha256,
                        source_size_bytes=recorded.size_bytes,
                        frames_uri=new.uri,
                        create_time=datetime.now(UTC),
                        variable_frame_rate=timing.variable_frame_rate,
                        duration_seconds=timing.duration_seconds,
                        sensor=header.sensor,
                    )
                )
        finally:
            self._running -= 1

    async def _record(
        self,
        header: LiveHeader,
        uri: str,
        parts: AsyncIterator[FramePart],
        acknowledge: Callable[[int], Awaitable[None]],
    ) -> _Recorded:
        inbox, loop, told = (
            Inbox(self._limits.window_bytes),
            asyncio.get_running_loop(),
            Acknowledge(acknowledge),
        )

        def note(stored: int) -> None:
            loop.call_soon_threadsafe(told.note, stored)

        storing = asyncio.ensure_future(
            run_to_end(self._store, header, uri, inbox, note, on_cancel=inbox.stop, executor=self._executor)
        )
        reading = asyncio.ensure_future(self._read(header, parts, inbox))
        telling = asyncio.ensure_future(told.run())
        waited = {storing, reading}
        try:
            while waited:
                done, _ = await asyncio.wait({*waited, telling}, return_when=asyncio.FIRST_COMPLETED)
                for task in done:
                    task.result()  # the first that fails says why
                waited -= done
            return storing.result()
        except asyncio.CancelledError:
            telling.cancel()  # the call itself is at its end: nothing else will be sent
            raise
        finally:
            told.stop()
            for task in (reading, storing):
                task.cancel()
            # Until the thread is through, since what it writes is deleted next; and until the sender has
            # what is on its way to it.
            await asyncio.gather(telling, reading, storing, return_exceptions=True)

    async def _read(self, header: LiveHeader, parts: AsyncIterator[FramePart], inbox: Inbox) -> None:
        assembly = FrameAssembly(header, self._limits.footage)
        async for part in parts:
            frame = assembly.add(part)
            if frame is not None:
                await inbox.put(frame)
        assembly.finish()
        try:
            check_enough_frames(header.title, assembly.count, raw=header.format.kind is FrameKind.BAYER)
        except InvalidArgumentError as error:
            raise InvalidArgumentError("part.frame", error.message, reason=error.reason) from error
        inbox.end()

    def _store(self, header: LiveHeader, uri: str, inbox: Inbox, note: Callable[[int], None]) -> _Recorded:
        digest, times_ns = header.digest(), []
        with self._frames.writer(uri, header.format, header.sensor) as writer:
            for frame in inbox:
                if frame is not None:
                    digest.update(frame)
                    times_ns.append(frame.time_ns)
                    writer.append(frame.planes, frame.time_ns)
                note(writer.stored)
        return _Recorded(digest.sha256(), digest.size_bytes, times_ns)

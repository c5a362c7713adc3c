"""From a stream of bytes to a clip."""

from __future__ import annotations

import asyncio
import secrets
import threading
from collections.abc import AsyncIterable
from concurrent.futures import Executor
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Protocol

import structlog
from autoisp_core.errors import AlreadyExistsError, AutoISPError, CancelledError
from autoisp_core.frames import FrameFormat
from autoisp_core.sensor import SensorProfile

from autoisp_ingest.domain import Clip, Timing, UploadHeader, check_enough_frames, clip_id_of
from autoisp_ingest.usecases.leftovers import Leftovers
from autoisp_ingest.usecases.ports import FootageDecoder, FrameStore, IngestStore

_log = structlog.get_logger(__name__)


class Spool(Protocol):
    """Receives an upload into a file."""

    def __call__(
        self, header: UploadHeader, chunks: AsyncIterable[bytes]
    ) -> AbstractAsyncContextManager[Path]:
        """The complete file, its size and digest those of ``header``; gone when the context ends.

        Raises:
            InvalidArgumentError: size, digest or a chunk is not what it must be.
            ResourceExhaustedError: over the quota, or the disk is full.
        """
        ...


@dataclass(frozen=True)
class _Decoded:
    format: FrameFormat
    frame_rate: float
    codec: str
    frame_count: int
    timing: Timing
    sensor: SensorProfile | None


class UploadClip:
    """Takes an upload in. The clip is visible once all of it is there, and else nothing stays.

    Args:
        executor: runs the decoding; its number of threads is how many uploads decode at once.
        owner: names this process's state folder, so that it alone cleans up after itself.
    """

    def __init__(
        self,
        store: IngestStore,
        spool: Spool,
        decoder: FootageDecoder,
        frames: FrameStore,
        leftovers: Leftovers,
        executor: Executor,
        owner: str,
    ) -> None:
        self._store = store
        self._spool = spool
        self._decoder = decoder
        self._frames = frames
        self._leftovers = leftovers
        self._executor = executor
        self._owner = owner

    async def __call__(self, header: UploadHeader, chunks: AsyncIterable[bytes]) -> Clip:
        """Receive, check, decode and store.

        Args:
            chunks: the file's bytes in order. Not read at all if the clip is known already.

        Returns:
            The new clip, or the one that the same bytes made before.

        Raises:
            InvalidArgumentError: the header or the bytes are not what they must be.
            ResourceExhaustedError: over the quota, or no space is left.
        """
        header.check()
        known = await self._store.get_clip(clip_id_of(header.sha256))
        if known and (known.source_sha256, known.source_size_bytes) == (header.sha256, header.size_bytes):
            return known
        async with self._spool(header, chunks) as path:
            return await self._ingest(header, path)

    async def _ingest(self, header: UploadHeader, path: Path) -> Clip:
        clip_id = clip_id_of(header.sha256)
        # Unique per attempt: two uploads of the same bytes at once never write into each other's frames.
        uri = f"clips/{clip_id}/{secrets.token_hex(8)}"
        await self._store.reserve_frames(uri, self._owner, datetime.now(UTC))
        kept = False
        try:
            decoded = await self._decode(path, header, uri)
            clip = await self._add(
                Clip(
                    id=clip_id,
                    display_name=header.title,
                    format=decoded.format,
                    frame_count=decoded.frame_count,
                    frame_rate=decoded.frame_rate,
                    codec=decoded.codec,
                    source_sha256=header.sha256,
                    source_size_bytes=header.size_bytes,
                    frames_uri=uri,
                    create_time=datetime.now(UTC),
                    variable_frame_rate=decoded.timing.variable_frame_rate,
                    duration_seconds=decoded.timing.duration_seconds,
                    sensor=decoded.sensor,
                )
            )
            kept = clip.frames_uri == uri
        finally:
            if not kept:
                await self._discard_unless_kept(clip_id, uri)
        if clip.source_sha256 != header.sha256:
            raise AlreadyExistsError(
                clip.name, f"{clip.name} is another clip with the same id; delete it first"
            )
        _log.info("clip ingested", clip=clip.name, frames=clip.frame_count, codec=clip.codec, new=kept)
        return clip

    async def _add(self, clip: Clip) -> Clip:
        adding = asyncio.ensure_future(self._store.add_clip(clip))
        try:
            return await asyncio.shield(adding)
        except asyncio.CancelledError:
            # The client is gone, but a commit under way can't be called back: wait for how it ends.
            adding.add_done_callback(lambda done: done.cancelled() or done.exception())
            await asyncio.wait({adding})
            raise

    async def _discard_unless_kept(self, clip_id: str, uri: str) -> None:
        """Deletes frames that no clip holds. Whoever was cut off can't know: the store is asked."""
        try:
            stored = await self._store.get_clip(clip_id)
        except AutoISPError:
            return  # the frames stay noted as unowned; the next start clears them up
        if stored is None or stored.frames_uri != uri:
            await self._leftovers.discard(uri)

    async def _decode(self, path: Path, header: UploadHeader, uri: str) -> _Decoded:
        stop = threading.Event()
        work = asyncio.get_running_loop().run_in_executor(
            self._executor, self._transcode, path, header, uri, stop
        )
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            # The client is gone. The thread must be done with the files before they are deleted.
            stop.set()
            work.add_done_callback(lambda done: done.cancelled() or done.exception())
            await asyncio.wait({work})
            raise

    def _transcode(self, path: Path, header: UploadHeader, uri: str, stop: threading.Event) -> _Decoded:
        times_ns: list[int] = []
        with self._decoder.open(path, header) as footage:
            with self._frames.writer(uri, footage.format, footage.sensor) as writer:
                for frame in footage.frames:
                    if stop.is_set():
                        raise CancelledError("the upload was cancelled; send it again")
                    writer.append(frame.planes, frame.time_ns)
                    times_ns.append(frame.time_ns)
                check_enough_frames(header.title, writer.count)
            timing = Timing.of(times_ns, footage.frame_rate, footage.time_step_ns)
            return _Decoded(
                footage.format, footage.frame_rate, footage.codec, len(times_ns), timing, footage.sensor
            )

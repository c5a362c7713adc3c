"""From a whole source on disk to a clip: the same way for uploads and imports."""

from __future__ import annotations

import threading
from concurrent.futures import Executor
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from autoisp_core.errors import CancelledError
from autoisp_core.frames import FrameFormat, FrameKind
from autoisp_core.sensor import SensorProfile
from autoisp_runtime.run_to_end import run_to_end

from autoisp_ingest.domain import Clip, Timing, UploadHeader, check_enough_frames, clip_id_of
from autoisp_ingest.usecases.new_clips import NewClips
from autoisp_ingest.usecases.ports import FootageDecoder, FrameStore


@dataclass(frozen=True)
class _Decoded:
    format: FrameFormat
    frame_rate: float
    codec: str
    frame_count: int
    timing: Timing
    sensor: SensorProfile | None


class DecodeClip:
    """Decodes a source and stores its frames.

    Args:
        executor: runs the decoding; its number of threads is how many sources decode at once.
    """

    def __init__(
        self, decoder: FootageDecoder, frames: FrameStore, new_clips: NewClips, executor: Executor
    ) -> None:
        self._decoder = decoder
        self._frames = frames
        self._new_clips = new_clips
        self._executor = executor

    async def __call__(self, header: UploadHeader, path: Path) -> Clip:
        """Decode ``path``, which holds the bytes that ``header`` announced, and make it a clip.

        Raises:
            InvalidArgumentError: it can't be decoded, or is against a limit.
            ResourceExhaustedError: no space is left.
        """
        clip_id = clip_id_of(header.sha256)
        async with self._new_clips.begin(clip_id) as new:
            decoded = await self._decode(path, header, new.uri)
            return await new.add(
                Clip(
                    id=clip_id,
                    display_name=header.title,
                    format=decoded.format,
                    frame_count=decoded.frame_count,
                    frame_rate=decoded.frame_rate,
                    codec=decoded.codec,
                    source_sha256=header.sha256,
                    source_size_bytes=header.size_bytes,
                    frames_uri=new.uri,
                    create_time=datetime.now(UTC),
                    variable_frame_rate=decoded.timing.variable_frame_rate,
                    duration_seconds=decoded.timing.duration_seconds,
                    sensor=decoded.sensor,
                )
            )

    async def _decode(self, path: Path, header: UploadHeader, uri: str) -> _Decoded:
        stop = threading.Event()
        # When the client leaves, the thread must be done with the files before they are deleted.
        return await run_to_end(
            self._transcode, path, header, uri, stop, on_cancel=stop.set, executor=self._executor
        )

    def _transcode(self, path: Path, header: UploadHeader, uri: str, stop: threading.Event) -> _Decoded:
        times_ns: list[int] = []
        with self._decoder.open(path, header) as footage:
            with self._frames.writer(uri, footage.format, footage.sensor) as writer:
                for frame in footage.frames:
                    if stop.is_set():
                        raise CancelledError("the upload was cancelled; send it again")
                    writer.append(frame.planes, frame.time_ns)
                    times_ns.append(frame.time_ns)
                raw = footage.format.kind is FrameKind.BAYER
                check_enough_frames(header.title, writer.count, raw=raw)
            timing = Timing.of(times_ns, footage.frame_rate, footage.time_step_ns)
            return _Decoded(
                footage.format, footage.frame_rate, footage.codec, len(times_ns), timing, footage.sensor
            )

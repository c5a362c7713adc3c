"""Writing a clip: the caller fills one block while a thread writes the one before."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from types import TracebackType
from typing import Any

import numpy as np
from autoisp_core.errors import InvalidArgumentError
from autoisp_core.frames import TIMES, FrameFormat, FrameKind
from autoisp_core.sensor import SensorProfile
from numpy.typing import NDArray

from autoisp_runtime.artifacts import ArtifactStore
from autoisp_runtime.clip_frames.block import PlaneBlock, checksum
from autoisp_runtime.clip_frames.layout import VERSION, layouts
from autoisp_runtime.clip_frames.metadata import group_metadata, plane_metadata, times_metadata

_BLOCKS = 2
"""In memory: one is filled while another is written."""

_Block = tuple[PlaneBlock, ...]


def gathered_bytes(frame_format: FrameFormat) -> int:
    """Most that a :class:`ClipWriter` holds of frames that are not stored yet."""
    return _BLOCKS * layouts(frame_format)[0].block_frames * frame_format.frame_bytes


class ClipWriter:
    """Writes the frames of one clip, in order; a context. For one thread.

    The clip can be read once the context has ended without an error. Otherwise what was written stays,
    unreadable, until somebody deletes everything under the uri.

    Args:
        store: where to.
        uri: of the clip's group; nothing may be there.
        frame_format: of every frame.
        sensor: of a mosaic; else None.

    Raises:
        InvalidArgumentError: a mosaic without a sensor.
    """

    def __init__(
        self, store: ArtifactStore, uri: str, frame_format: FrameFormat, sensor: SensorProfile | None = None
    ) -> None:
        if frame_format.kind is FrameKind.BAYER and sensor is None:
            raise InvalidArgumentError("sensor", "a mosaic can't be developed without its sensor: give it")
        self._store, self._uri = store, uri
        self._format, self._sensor = frame_format, sensor
        self._layouts = layouts(frame_format)
        self._shapes = tuple(layout.shape for layout in self._layouts)
        self._free: deque[_Block] = deque()
        self._made = 0
        self._block: _Block | None = None
        self._times: list[int] = []
        self._stored = 0
        self._writing: deque[tuple[Future[None], _Block, int]] = deque()
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="clip-writer")

    def __enter__(self) -> ClipWriter:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            if error is None:
                self._finish()
        finally:
            self._thread.shutdown(wait=True, cancel_futures=True)
            self._free.clear()
            self._block = None

    @property
    def block_frames(self) -> int:
        """How many frames are written at once."""
        return self._layouts[0].block_frames

    @property
    def count(self) -> int:
        """Frames taken so far."""
        return len(self._times)

    @property
    def stored(self) -> int:
        """Frames that are in the store: those taken less one or two blocks that wait to be written."""
        while self._writing and self._writing[0][0].done():
            self._reap()
        return self._stored

    def append(self, planes: Sequence[NDArray[Any]], time_ns: int) -> None:
        """Take one frame; its planes may change afterwards.

        Args:
            planes: as ``FrameFormat.planes`` says, in its order and type.
            time_ns: since the first frame.

        Raises:
            InvalidArgumentError: planes of another number, shape or type.
            ResourceExhaustedError: the store is full.
            UnavailableError: the store can't be reached.
        """
        if tuple(plane.shape for plane in planes) != self._shapes or any(
            plane.dtype != self._format.dtype for plane in planes
        ):
            raise InvalidArgumentError(
                "planes",
                f"frame {self.count} has planes {[(plane.shape, str(plane.dtype)) for plane in planes]}: "
                f"give {list(self._shapes)} {self._format.dtype}",
            )
        if self._block is None:
            self._block = self._next_block()
        index = self.count % self.block_frames
        for target, plane in zip(self._block, planes, strict=True):
            target.put(index, plane)
        self._times.append(time_ns)
        if index + 1 == self.block_frames:
            self._hand_over()

    def _next_block(self) -> _Block:
        if self._free:
            return self._free.popleft()
        if self._made < _BLOCKS:
            self._made += 1
            return tuple(PlaneBlock(layout, self._format.dtype) for layout in self._layouts)
        self._reap()
        return self._free.popleft()

    def _hand_over(self) -> None:
        assert self._block is not None
        frames = (self.count - 1) % self.block_frames + 1
        number = (self.count - 1) // self.block_frames
        job = self._thread.submit(self._write, self._block, number, frames)
        self._writing.append((job, self._block, frames))
        self._block = None

    def _reap(self) -> None:
        job, block, frames = self._writing.popleft()
        job.result()
        self._stored += frames
        self._free.append(block)

    def _write(self, block: _Block, number: int, frames: int) -> None:
        for layout, plane in zip(self._layouts, block, strict=True):
            place = "/".join(["0"] * len(layout.shape))
            self._put(f"{layout.name}/c/{number}/{place}", plane.shard(frames))

    def _finish(self) -> None:
        if self._block is not None:
            self._hand_over()
        while self._writing:
            self._reap()
        dtype = self._format.dtype
        for layout in self._layouts:
            self._put(f"{layout.name}/zarr.json", plane_metadata(layout, self.count, dtype))
        times = np.asarray(self._times, "<i8").view(np.uint8)
        if self._times:
            self._put(f"{TIMES}/c/0", np.concatenate((times, checksum(times))).data)
        self._put(f"{TIMES}/zarr.json", times_metadata(self.count))
        # What makes all this a clip comes very last.
        attributes: dict[str, Any] = {"format": self._format.to_dict(), "version": VERSION}
        if self._sensor is not None:
            attributes["sensor"] = self._sensor.to_dict()
        self._put("zarr.json", group_metadata(attributes))

    def _put(self, path: str, data: bytes | memoryview) -> None:
        self._store.put_object(f"{self._uri}/{path}", data)

"""Reading a clip: planes as they are stored, or RGB pictures."""

from __future__ import annotations

from collections.abc import Collection
from typing import TYPE_CHECKING, Any

import numpy as np
from autoisp_core.errors import InvalidArgumentError, OutOfRangeError
from autoisp_core.frames import TIMES, Box, FrameFormat, FrameKind
from autoisp_core.sensor import SensorProfile
from numpy.typing import NDArray

from autoisp_runtime.artifacts import ArtifactStore
from autoisp_runtime.clip_frames.develop import Developer
from autoisp_runtime.clip_frames.failures import typed_failures, unreadable
from autoisp_runtime.clip_frames.geometry import stored_box, turned
from autoisp_runtime.clip_frames.layout import VERSION
from autoisp_runtime.clip_frames.rgb import RgbConverter

if TYPE_CHECKING:
    import zarr


class ClipFrames:
    """One clip, opened for reading. Blocks; for one thread.

    Attributes:
        format: of the stored frames.
        sensor: of a mosaic; else None.
        count: frames.
    """

    def __init__(
        self,
        store_url: str,
        uri: str,
        frame_format: FrameFormat,
        sensor: SensorProfile | None,
        planes: dict[str, zarr.Array[Any]],
        times: zarr.Array[Any] | None,
    ) -> None:
        self._url, self._uri = store_url, uri
        self.format, self.sensor = frame_format, sensor
        self.count = int(next(iter(planes.values())).shape[0])
        self._planes, self._times = planes, times
        if frame_format.kind is FrameKind.BAYER:
            assert sensor is not None
            self._convert: Developer | RgbConverter = Developer(frame_format, sensor)
        else:
            self._convert = RgbConverter(frame_format)

    @classmethod
    def open(cls, store: ArtifactStore, uri: str) -> ClipFrames:
        """Open the clip that a :class:`ClipWriter` wrote.

        Raises:
            NotFoundError: there is none.
            DataLossError: what is there is no clip.
            UnavailableError: the store can't be reached.
        """
        import zarr

        with typed_failures(store.url, uri):
            # Zarr is slow to import, and who only writes or waits for its first job needs none of this.
            from autoisp_runtime.clip_frames.complete_store import CompleteStore

            files = CompleteStore(store.zarr_store(uri, read_only=True))
            node = zarr.open(files, mode="r", zarr_format=3)
            if isinstance(node, zarr.Array):
                return cls._open_plain(store.url, uri, node)
            if "format" not in node.attrs:
                raise unreadable(uri, "were not written to their end; upload it again")
            if node.attrs.get("version") != VERSION:
                raise unreadable(
                    uri, f"are of layout {node.attrs.get('version')!r}, not {VERSION}; update AutoISP"
                )
            frame_format = FrameFormat.from_dict(dict(node.attrs["format"]))  # type: ignore[arg-type]
            sensor = node.attrs.get("sensor")
            profile = SensorProfile.from_dict(sensor) if sensor else None
            if frame_format.kind is FrameKind.BAYER and profile is None:
                raise unreadable(uri, "are a mosaic without a sensor; upload it again")
            arrays = dict(node.arrays())
            times = arrays[TIMES]
            planes = {name: arrays[name] for name in frame_format.planes()}
            for name, shape in frame_format.planes().items():
                if planes[name].shape != (*times.shape, *shape) or planes[name].dtype != frame_format.dtype:
                    raise unreadable(uri, f"are not as their format says: {name} is {planes[name].shape}")
            return cls(store.url, uri, frame_format, profile, planes, times)

    @classmethod
    def _open_plain(cls, url: str, uri: str, array: zarr.Array[Any]) -> ClipFrames:
        """At first clips were one array of 8-bit RGB, without times."""
        if array.ndim != 4 or array.shape[3] != 3 or array.dtype != np.uint8:
            raise unreadable(uri, f"are no RGB8 video: {array.dtype} {array.shape}; upload it again")
        frame_format = FrameFormat(FrameKind.RGB, 8, array.shape[2], array.shape[1])
        return cls(url, uri, frame_format, None, {"frames": array}, None)

    @property
    def rgb_size(self) -> tuple[int, int]:
        """Width and height of what :meth:`rgb` gives: a mosaic is developed at half its size."""
        if self.format.kind is not FrameKind.BAYER:
            return self.format.picture_size
        width, height = (side // 2 for side in self.format.picture_size)
        return width - width % 2, height - height % 2

    @property
    def rgb_dtype(self) -> str:
        """NumPy's name for the type of what :meth:`rgb` gives."""
        return "uint8" if self.format.bit_depth == 8 and self.format.kind is not FrameKind.BAYER else "uint16"

    @property
    def rgb_frame_bytes(self) -> int:
        """Of one frame of :meth:`rgb`."""
        width, height = self.rgb_size
        return width * height * 3 * np.dtype(self.rgb_dtype).itemsize

    @property
    def steps(self) -> tuple[int, int]:
        """Of what a box of stored pixels must begin and end at multiples: columns, rows."""
        tile = 2 if self.format.kind is FrameKind.BAYER else 1
        return max(self.format.h_step, tile), max(self.format.v_step, tile)

    def times_ns(self) -> NDArray[np.int64]:
        """(count,): each frame's time since the first, nanoseconds; all 0 where the source does not tell.

        Raises:
            NotFoundError, DataLossError, UnavailableError: as :meth:`open`.
        """
        if self._times is None:
            return np.zeros(self.count, np.int64)
        with typed_failures(self._url, self._uri):
            return np.asarray(self._times[:], np.int64)

    def stored(
        self, first: int, end: int, box: Box | None = None, names: Collection[str] = ()
    ) -> dict[str, NDArray[Any]]:
        """Frames [first, end) just as stored: (end - first, …) by the plane's name, in ``format``'s order.

        Args:
            first, end: frames.
            box: pixels of the stored frames, on multiples of the chrominance step, of 2 for a mosaic.
            names: of the planes to read; empty: all.

        Raises:
            InvalidArgumentError: the box is empty or cuts through a chrominance pixel or a tile.
            OutOfRangeError: frames or box are not inside of the clip.
            NotFoundError, DataLossError, UnavailableError: as :meth:`open`.
        """
        self._check_range(first, end)
        whole = (self.format.stored_width, self.format.stored_height)
        box = box or Box(0, 0, *whole)
        box.check(*whole, *self.steps)
        with typed_failures(self._url, self._uri):
            return {
                name: self._plane(name, first, end, box)
                for name in self._planes
                if not names or name in names
            }

    def rgb(self, first: int, end: int, box: Box | None = None) -> NDArray[Any]:
        """Frames [first, end) as sRGB (end - first, H, W, 3), upright, even unless the box is not.

        uint8 where the clip has 8 bits, else uint16 over all of its range. A mosaic is binned to half its
        size, which takes most of its noise, and developed.

        Args:
            first, end: frames.
            box: pixels of the upright picture, whose size is :attr:`rgb_size`.

        Raises:
            InvalidArgumentError: the box is empty.
            OutOfRangeError: frames or box are not inside of the clip.
            NotFoundError, DataLossError, UnavailableError: as :meth:`open`.
        """
        self._check_range(first, end)
        box = box or Box(0, 0, *self.rgb_size)
        box.check(*self.rgb_size)
        wanted = stored_box(self.format, box, 2 if self.format.kind is FrameKind.BAYER else 1)
        around = self._convert.around(wanted)
        pictures = np.empty((end - first, box.height, box.width, 3), self.rgb_dtype)
        # Chunk by chunk: a long range shall not be in memory twice.
        step = int(next(iter(self._planes.values())).chunks[0])
        position = first
        while position < end:
            stop = min(end, position + step - position % step)
            planes = self.stored(position, stop, around)
            for index in range(stop - position):
                picture = self._convert(
                    {name: plane[index] for name, plane in planes.items()}, around, wanted
                )
                pictures[position + index - first] = turned(picture, self.format.rotation)
            position = stop
        return pictures

    def _plane(self, name: str, first: int, end: int, box: Box) -> NDArray[Any]:
        h_step, v_step = (self.format.h_step, self.format.v_step) if name in ("u", "v") else (1, 1)
        rows = slice(box.y // v_step, -(-(box.y + box.height) // v_step))
        columns = slice(box.x // h_step, -(-(box.x + box.width) // h_step))
        return np.asarray(self._planes[name][first:end, rows, columns])

    def _check_range(self, first: int, end: int) -> None:
        if end <= first:
            raise InvalidArgumentError(
                "end_frame", f"[{first}, {end}) holds no frame; give end_frame > first_frame"
            )
        if first < 0 or end > self.count:
            raise OutOfRangeError(
                f"[{first}, {end}) is outside of the clip, which has {self.count} frames",
                metadata={"field": "first_frame" if first < 0 or first >= self.count else "end_frame"},
            )

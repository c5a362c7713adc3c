"""Frames of a live camera as the stream that IngestFrames takes."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from autoisp.common.v1 import common_pb2
from autoisp.ingest.v1 import ingest_pb2
from autoisp_core.errors import InvalidArgumentError

PART_BYTES = 512 * 1024
"""Of a frame in one message: the service takes up to 1 MiB."""

Frame = Any
"""A buffer, such as a NumPy array: (height, width, 3) RGB or (height, width) mosaic, uint8 or uint16."""

_DEPTHS = {"B": 8, "H": 16}


@dataclass(frozen=True)
class LiveOptions:
    """What is said of the frames beside the frames.

    Attributes:
        frame_rate: frames per second; 0 if unknown, and then ``times_ns`` are needed.
        bit_depth: significant bits; by default 8 for uint8 and 16 for uint16.
        cfa: row-major 2×2 tile of a mosaic, such as ``RGGB``.
        sensor: of a mosaic: levels, gains, colour matrix and noise.
        times_ns: of each frame since the first, which is 0; by default as the frame rate says.
        display_name: of the clip.
        on_stored: told how many frames are stored.
    """

    frame_rate: float
    bit_depth: int = 0
    cfa: str = ""
    sensor: common_pb2.Sensor | None = None
    times_ns: Iterable[int] | None = None
    display_name: str = ""
    on_stored: Callable[[int], None] | None = None

    def __post_init__(self) -> None:
        if self.times_ns is None and self.frame_rate <= 0:
            raise InvalidArgumentError("frame_rate", "give frame_rate, or times_ns of each frame")

    def times(self) -> Iterator[int]:
        """Of each frame, nanoseconds."""
        if self.times_ns is not None:
            yield from self.times_ns
            raise InvalidArgumentError("times_ns", "there are more frames than times_ns; give one for each")
        index = 0
        while True:
            yield round(index * 1e9 / self.frame_rate)
            index += 1


class LiveStream:
    """Makes the messages; frames must be alike."""

    def __init__(self, options: LiveOptions) -> None:
        self._options = options
        self._times = options.times()
        self._first: tuple[tuple[int, ...], str] | None = None
        self._count = 0
        self.frame_bytes = 0

    def messages(self, frame: Frame) -> Iterator[ingest_pb2.IngestFramesRequest]:
        """Of the next frame, before the first one also the header.

        Raises:
            InvalidArgumentError: it is not like the first, or no frame.
        """
        view = memoryview(frame)
        kind = (view.shape or (), view.format)
        if self._first is None:
            yield self._header(view)
            self._first, self.frame_bytes = kind, view.nbytes
        elif kind != self._first:
            raise InvalidArgumentError(
                "frames", f"frame {self._count} is {kind}, and the first is {self._first}; give frames alike"
            )
        data = view.cast("B") if view.c_contiguous else memoryview(view.tobytes())
        time_ns = next(self._times)
        for offset in range(0, len(data), PART_BYTES):
            part = ingest_pb2.FramePart(
                frame=self._count, offset=offset, data=bytes(data[offset : offset + PART_BYTES])
            )
            if offset == 0:
                part.time_ns = time_ns
            yield ingest_pb2.IngestFramesRequest(part=part)
        self._count += 1

    def _header(self, view: memoryview) -> ingest_pb2.IngestFramesRequest:
        shape, depth = view.shape or (), _DEPTHS.get(view.format, 0)
        rgb = len(shape) == 3 and shape[2] == 3
        if not depth or not (rgb or len(shape) == 2):
            raise InvalidArgumentError(
                "frames",
                f"a frame is {shape} of type {view.format!r}; give (height, width, 3) RGB or (height, width) "
                "mosaics, uint8 or uint16",
            )
        kinds = ingest_pb2.FrameFormat
        options = self._options
        header = ingest_pb2.IngestFramesHeader(
            display_name=options.display_name,
            frame_rate=options.frame_rate,
            sensor=options.sensor,
            format=ingest_pb2.FrameFormat(
                kind=kinds.KIND_RGB if rgb else kinds.KIND_BAYER,
                bit_depth=options.bit_depth or depth,
                full_range=True,
                stored_height=shape[0],
                stored_width=shape[1],
                cfa=options.cfa,
            ),
        )
        return ingest_pb2.IngestFramesRequest(header=header)


class Window:
    """What may be sent: how much is unacknowledged, and what the service allows.

    Attributes:
        clip: the last answer.
    """

    def __init__(self, stream: LiveStream, on_stored: Callable[[int], None] | None) -> None:
        self._stream = stream
        self._on_stored = on_stored
        self._sent = self._stored = self._allowed = 0
        self.clip: ingest_pb2.Clip | None = None

    @property
    def is_open(self) -> bool:
        """Whether more may be sent; the header always may."""
        return self._sent == 0 or self._sent - self._stored * self._stream.frame_bytes < self._allowed

    def send(self, message: ingest_pb2.IngestFramesRequest) -> None:
        """Note that a message goes out."""
        self._sent += len(message.part.data)

    def hear(self, response: ingest_pb2.IngestFramesResponse) -> None:
        """Take an answer in."""
        if response.WhichOneof("payload") == "clip":
            self.clip = response.clip
            return
        news = response.acknowledgement
        self._stored, self._allowed = news.stored_frames, news.window_bytes
        if self._on_stored is not None:
            self._on_stored(news.stored_frames)

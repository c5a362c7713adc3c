"""Frames of a clip, put together from the parts that a server streams."""

from __future__ import annotations

from typing import Literal, TypeAlias

import numpy as np
from autoisp.ingest.v1 import ingest_pb2
from autoisp_core.errors import DataLossError
from autoisp_core.frames import Box, FrameFormat, FrameKind
from numpy.typing import NDArray

Layout: TypeAlias = Literal["rgb", "stored"]
Values: TypeAlias = NDArray[np.uint8 | np.uint16]
Frame: TypeAlias = tuple[int, dict[str, Values]]
"""Nanoseconds since the clip's first frame, and the planes by name, as ``FrameFormat.planes`` names them."""

_LAYOUTS = {
    "rgb": ingest_pb2.ReadFramesRequest.LAYOUT_RGB,
    "stored": ingest_pb2.ReadFramesRequest.LAYOUT_STORED,
}
_KINDS = {
    ingest_pb2.FrameFormat.KIND_RGB: FrameKind.RGB,
    ingest_pb2.FrameFormat.KIND_YUV: FrameKind.YUV,
    ingest_pb2.FrameFormat.KIND_GRAY: FrameKind.GRAY,
    ingest_pb2.FrameFormat.KIND_BAYER: FrameKind.BAYER,
}


def frames_request(
    clip: str, first: int, end: int, step: int, box: Box | None, layout: Layout
) -> ingest_pb2.ReadFramesRequest:
    """For ReadFrames; ``end`` 0 means to the clip's end."""
    return ingest_pb2.ReadFramesRequest(
        clip=clip,
        first_frame=first,
        end_frame=end,
        step=step,
        layout=_LAYOUTS[layout],
        box=ingest_pb2.ReadFramesRequest.Box(x=box.x, y=box.y, width=box.width, height=box.height)
        if box
        else None,
    )


class FrameAssembler:
    """Puts frames together.

    Args:
        request: of the stream; its first frame moves on with every frame that is complete, so that the same
        request
            goes on where a broken stream stopped.
    """

    def __init__(self, request: ingest_pb2.ReadFramesRequest) -> None:
        self._request = request
        self._format: FrameFormat | None = None
        self._left = -1
        self._time_ns = 0
        self._data = bytearray()

    @property
    def done(self) -> bool:
        """Whether all frames have come."""
        return self._left == 0

    def take(self, message: ingest_pb2.ReadFramesResponse) -> Frame | None:
        """The frame that is complete with this message, or None.

        Raises:
            DataLossError: a part is missing.
        """
        if message.WhichOneof("payload") == "header":
            self._format = _format(message.header.format)
            self._left = message.header.frame_count
            self._data = bytearray()
            return None
        part = message.part
        if self._format is None or part.offset != len(self._data):
            raise DataLossError(
                f"{self._request.clip} came incomplete: a part begins at byte {part.offset} of frame "
                f"{part.frame} and not at {len(self._data)}; read it again",
                reason="PART_MISSING",
            )
        if part.offset == 0:
            self._time_ns = part.time_ns
        self._data += part.data
        if len(self._data) < self._format.frame_bytes:
            return None
        frame = self._time_ns, _planes(self._format, self._data)
        self._data = bytearray()
        self._left -= 1
        self._request.first_frame = part.frame + (self._request.step or 1)
        return frame


def _format(message: ingest_pb2.FrameFormat) -> FrameFormat:
    return FrameFormat(
        _KINDS[message.kind],
        message.bit_depth,
        message.stored_width,
        message.stored_height,
        message.h_step or 1,
        message.v_step or 1,
        message.matrix,
        message.full_range,
        message.rotation,
        message.cfa,
        message.chroma_location,
    )


def _planes(frame_format: FrameFormat, data: bytearray) -> dict[str, Values]:
    planes: dict[str, Values] = {}
    values = np.frombuffer(data, np.dtype(frame_format.dtype).newbyteorder("<"))
    position = 0
    for name, shape in frame_format.planes().items():
        count = int(np.prod(shape))
        planes[name] = values[position : position + count].reshape(shape)
        position += count
    return planes

"""How the parts of frames become frames."""

from __future__ import annotations

import time

import numpy as np
from autoisp_core.errors import InvalidArgumentError
from autoisp_core.frames import FrameFormat

from autoisp_worker.live.domain.frames import FramePart, LiveFrame, Metadata, Values
from autoisp_worker.live.domain.header import StreamHeader
from autoisp_worker.live.domain.limits import MAX_PART_BYTES


class FrameAssembly:
    """Puts the parts of frames together; whatever is not just what comes next is refused.

    Memory is one frame with its truth, which the sender can't make larger than the header says.

    Args:
        header: checked.

    Attributes:
        count: frames that are complete.
    """

    def __init__(self, header: StreamHeader) -> None:
        self._bayer = header.bayer
        self._formats = [header.format, header.truth_format][: 1 + header.with_truth]
        self._waiting = bytearray()
        self._done: list[Values] = []
        self._metadata: Metadata | None = None
        self.count = 0

    @property
    def begun(self) -> bool:
        """Whether a frame has come in part."""
        return bool(self._waiting or self._done)

    def add(self, part: FramePart) -> LiveFrame | None:
        """The frame that ``part`` completes, or None.

        Raises:
            InvalidArgumentError: naming the field, ``part.…``.
        """
        self._check_place(part)
        if part.metadata is not None:
            self._take_metadata(part.metadata)
        self._waiting += part.data
        if len(self._waiting) < self._format.frame_bytes:
            return None
        self._done.append(self._values())
        self._waiting = bytearray()
        if len(self._done) < len(self._formats):
            return None
        values, *truth = self._done
        frame = LiveFrame(self.count, values, truth[0] if truth else None, self._metadata, time.monotonic())
        self._done, self._metadata = [], None
        self.count += 1
        return frame

    def finish(self) -> None:
        """Check that the stream may end here.

        Raises:
            InvalidArgumentError: in the middle of a frame, or before its truth.
        """
        if self.begun:
            raise InvalidArgumentError(
                "part.data",
                f"the stream ended after {len(self._waiting)} of the {self._format.frame_bytes} bytes of "
                f"{self._which}; send frames as a whole",
                reason="FRAME_INCOMPLETE",
            )

    @property
    def _format(self) -> FrameFormat:
        return self._formats[len(self._done)]

    @property
    def _which(self) -> str:
        return f"the truth of frame {self.count}" if self._done else f"frame {self.count}"

    def _check_place(self, part: FramePart) -> None:
        received, size, frame_bytes = len(self._waiting), len(part.data), self._format.frame_bytes
        if part.frame != self.count:
            missing = f", of which {frame_bytes - received} bytes are missing" if received else ""
            raise InvalidArgumentError(
                "part.frame",
                f"a part of frame {part.frame} came, and {self._which} is next{missing}; send frames in "
                "order, all of them, counted from 0",
                reason="FRAME_OUT_OF_ORDER",
            )
        if part.truth != bool(self._done):
            raise InvalidArgumentError(
                "part.truth",
                f"truth is {part.truth}, and {self._which} is next; send each frame and then its truth, if "
                "the header says that there is one",
                reason="TRUTH_OUT_OF_ORDER",
            )
        if part.offset != received:
            raise InvalidArgumentError(
                "part.offset",
                f"a part of {self._which} begins at {part.offset}, and {received} is next; send them in "
                "order and without gaps",
                reason="PART_OUT_OF_ORDER",
            )
        if not 0 < size <= MAX_PART_BYTES:
            raise InvalidArgumentError(
                "part.data",
                f"a part has {size} bytes; send 1 to {MAX_PART_BYTES} in each",
                reason="PART_SIZE",
            )
        if received + size > frame_bytes:
            raise InvalidArgumentError(
                "part.data",
                f"{self._which} has at least {received + size} bytes, and one of the header's format has "
                f"{frame_bytes}; begin the next one with a part of its own, and another size with another "
                "stream",
                reason="FRAME_TOO_LONG",
            )

    def _take_metadata(self, metadata: Metadata) -> None:
        if not self._bayer or self.begun:
            raise InvalidArgumentError(
                "part.metadata",
                "metadata belong to a mosaic's first part; leave them out elsewhere",
                reason="METADATA_OUT_OF_PLACE",
            )
        self._metadata = metadata

    def _values(self) -> Values:
        form = self._format
        values = np.frombuffer(self._waiting, np.dtype(form.dtype).newbyteorder("<"))
        if form.bit_depth not in (8, 16) and int(values.max()) >= 1 << form.bit_depth:
            raise InvalidArgumentError(
                "part.data",
                f"{self._which} has the value {values.max()}, which {form.bit_depth} bits don't hold; send "
                "values in the low bits, little-endian",
                reason="VALUE_TOO_LARGE",
            )
        ((_, shape),) = form.planes().items()
        return values.reshape(shape).astype(form.dtype, copy=False)

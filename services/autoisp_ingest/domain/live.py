"""Frames from a live camera: what a sender may say, and how the parts of frames become frames."""

from __future__ import annotations

import hashlib
import json
import math
from dataclasses import dataclass, replace

import numpy as np
from autoisp_core.errors import InvalidArgumentError
from autoisp_core.frames import FrameFormat, FrameKind
from autoisp_core.sensor import SensorProfile

from autoisp_ingest.domain.clips import MAX_TEXT
from autoisp_ingest.domain.footage import FootageLimits, StoredFrame

MAX_PART_BYTES = 1 << 20
"""Longest part of a frame; gRPC's own limit of 4 MiB a message stays as it is."""
LIVE_CODEC = "live"
"""What clips of live frames have as codec."""

_KINDS = (FrameKind.RGB, FrameKind.BAYER)
_MAX_FRAME_RATE = 1e5


@dataclass(frozen=True)
class LiveHeader:
    """What a sender says of its frames.

    Args:
        format: RGB or BAYER, not turned.
        frame_rate: nominal; 0 if unknown.
        sensor: of BAYER frames; else None.
        display_name: shown to people.
    """

    format: FrameFormat
    frame_rate: float = 0.0
    sensor: SensorProfile | None = None
    display_name: str = ""

    @property
    def title(self) -> str:
        """What people see."""
        return self.display_name or "live"

    def check(self, limits: FootageLimits) -> None:
        """Check all of it.

        Raises:
            InvalidArgumentError: naming the field, ``header.…``.
        """
        kind, bayer = self.format.kind, self.format.kind is FrameKind.BAYER
        peak = (1 << self.format.bit_depth) - 1
        sensor = self.sensor
        for field, holds, message in (
            ("format.kind", kind in _KINDS, f"live frames are RGB or BAYER, not {kind}"),
            ("format.rotation", self.format.rotation == 0, "live frames are not turned: give rotation 0"),
            (
                "frame_rate",
                math.isfinite(self.frame_rate) and 0 <= self.frame_rate <= _MAX_FRAME_RATE,
                f"frame_rate is {self.frame_rate}: give frames per second, or 0 if unknown",
            ),
            (
                "display_name",
                len(self.display_name) <= MAX_TEXT and self.display_name.isprintable(),
                f"display_name must have at most {MAX_TEXT} printable characters, got {self.display_name!r}",
            ),
            ("sensor", bayer or sensor is None, "only BAYER frames have a sensor: leave it out"),
            ("sensor", not bayer or sensor is not None, "BAYER frames can't be developed without a sensor"),
            (
                "sensor",
                not bayer or sensor is None or sensor.cfa == self.format.cfa,
                f"the frames' tile is {self.format.cfa}, the sensor's another: give the frames' own",
            ),
            (
                "sensor",
                not bayer or sensor is None or sensor.white_level <= peak,
                f"the sensor's white level is over {peak}, the most that {self.format.bit_depth} bits hold",
            ),
        ):
            if not holds:
                raise InvalidArgumentError(f"header.{field}", message)
        try:
            limits.check_size(self.title, self.format.stored_width, self.format.stored_height)
        except InvalidArgumentError as error:
            raise InvalidArgumentError("header.format", error.message, reason=error.reason) from error

    def digest(self) -> LiveDigest:
        """A digest that begins with what says how the frames are to be read."""
        sensor = self.sensor.to_dict() if self.sensor else None
        facts = {"format": self.format.to_dict(), "frame_rate": self.frame_rate, "sensor": sensor}
        return LiveDigest(json.dumps(facts, sort_keys=True, separators=(",", ":")))


class LiveDigest:
    """SHA-256 over a canonical header and each frame's time and values: the same frames are the same clip.

    Args:
        header: as JSON.
    """

    def __init__(self, header: str) -> None:
        self._digest = hashlib.sha256(header.encode())
        self.size_bytes = 0

    def update(self, frame: StoredFrame) -> None:
        """Take the next frame in."""
        self._digest.update(frame.time_ns.to_bytes(8, "little"))
        for plane in frame.planes:
            values = np.ascontiguousarray(plane, plane.dtype.newbyteorder("<"))
            self._digest.update(values.data)
            self.size_bytes += values.nbytes

    def sha256(self) -> str:
        """Lower-case hexadecimal."""
        return self._digest.hexdigest()


@dataclass(frozen=True)
class FramePart:
    """Bytes of one frame; see the wire contract."""

    frame: int
    time_ns: int
    offset: int
    data: bytes


class FrameAssembly:
    """Puts the parts of frames together; whatever is not just what comes next is refused.

    Memory is one frame, which the sender can't make larger than the header says.

    Args:
        header: checked.
        limits: of the whole clip.

    Attributes:
        count: frames that are complete.
    """

    def __init__(self, header: LiveHeader, limits: FootageLimits) -> None:
        self._title = header.title
        self._format = header.format
        self._limits = limits
        ((_, self._shape),) = header.format.planes().items()
        self._frame_bytes = header.format.frame_bytes
        self._waiting = bytearray()
        self._time_ns = -1
        self.count = 0

    def add(self, part: FramePart) -> StoredFrame | None:
        """The frame that ``part`` completes, or None.

        Raises:
            InvalidArgumentError: naming the field, ``part.…``.
        """
        self._check_place(part)
        if not self._waiting:
            self._begin(part)
        self._waiting += part.data
        if len(self._waiting) < self._frame_bytes:
            return None
        values = np.frombuffer(self._waiting, np.dtype(self._format.dtype).newbyteorder("<"))
        self._check_values(values)
        self._waiting = bytearray()
        self.count += 1
        return StoredFrame(
            (values.reshape(self._shape).astype(self._format.dtype, copy=False),), self._time_ns
        )

    def finish(self) -> None:
        """Check that the stream may end here.

        Raises:
            InvalidArgumentError: in the middle of a frame.
        """
        if self._waiting:
            raise InvalidArgumentError(
                "part.data",
                f"the stream ended after {len(self._waiting)} of the {self._frame_bytes} bytes of frame "
                f"{self.count}; send frames as a whole",
                reason="FRAME_INCOMPLETE",
            )

    def _begin(self, part: FramePart) -> None:
        try:
            self._limits.check_length(self._title, self._format, self.count + 1)
        except InvalidArgumentError as error:
            raise InvalidArgumentError("part.frame", error.message, reason=error.reason) from error
        time_ns = part.time_ns
        if self.count == 0 and time_ns != 0:
            raise InvalidArgumentError(
                "part.time_ns",
                f"the first frame is at {time_ns} ns; times count from the first frame, which is at 0",
                reason="TIME_NOT_FROM_FIRST",
            )
        if time_ns <= self._time_ns or time_ns >= 1 << 63:
            raise InvalidArgumentError(
                "part.time_ns",
                f"frame {self.count} is at {time_ns} ns and the one before at {self._time_ns} ns; give each "
                "frame's time since the first, on its first part",
                reason="TIME_NOT_LATER",
            )
        self._time_ns = time_ns

    def _check_place(self, part: FramePart) -> None:
        received, size = len(self._waiting), len(part.data)
        if part.frame != self.count:
            missing = f", of which {self._frame_bytes - received} bytes are missing" if received else ""
            raise InvalidArgumentError(
                "part.frame",
                f"a part of frame {part.frame} came, and frame {self.count} is next{missing}; send frames in "
                "order, all of them, counted from 0",
                reason="FRAME_OUT_OF_ORDER",
            )
        if part.offset != received:
            raise InvalidArgumentError(
                "part.offset",
                f"a part of frame {part.frame} begins at {part.offset}, and {received} is next; send them in "
                "order and without gaps",
                reason="PART_OUT_OF_ORDER",
            )
        if not 0 < size <= MAX_PART_BYTES:
            raise InvalidArgumentError(
                "part.data",
                f"a part has {size} bytes; send 1 to {MAX_PART_BYTES} in each",
                reason="PART_SIZE",
            )
        if received + size > self._frame_bytes:
            raise InvalidArgumentError(
                "part.data",
                f"frame {part.frame} has at least {received + size} bytes, and one of the header's format "
                f"has {self._frame_bytes}; begin the next frame with a part of its own",
                reason="FRAME_TOO_LONG",
            )

    def _check_values(self, values: np.ndarray[tuple[int], np.dtype[np.generic]]) -> None:
        if self._format.bit_depth in (8, 16):
            return
        most = int(values.max())
        if most >= 1 << self._format.bit_depth:
            raise InvalidArgumentError(
                "part.data",
                f"frame {self.count} has the value {most}, which {self._format.bit_depth} bits don't hold; "
                "send values in the low bits, little-endian",
                reason="VALUE_TOO_LARGE",
            )


def full_range(header: LiveHeader) -> LiveHeader:
    """The header with full range: cameras send nothing else, and senders may leave the field out."""
    return replace(header, format=replace(header.format, full_range=True))

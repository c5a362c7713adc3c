"""Opened footage, and what it must be to become a clip."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from autoisp_core.errors import InvalidArgumentError
from autoisp_core.frames import FrameFormat
from autoisp_core.sensor import SensorProfile
from numpy.typing import NDArray

MIN_FRAMES = 2
"""Fewer show no motion, so there is nothing for a multi-frame network to learn."""
MIN_SIDE = 64
"""Pixels; smaller pictures have no room for a network's receptive field."""


@dataclass(frozen=True)
class StoredFrame:
    """One frame as the source's decoder gave it.

    Args:
        planes: as ``FrameFormat.planes`` says, in its order and type; valid until the next frame is asked
        for. time_ns: since the first frame.
    """

    planes: tuple[NDArray[Any], ...]
    time_ns: int = 0


@dataclass(frozen=True)
class Footage:
    """An opened source.

    Args:
        format: of every frame.
        frame_rate: frames per second; 0 if the source does not tell.
        codec: of the source.
        frames: to be read once, while the source is open.
        sensor: raw footage only: what the source says of the sensor.
        time_step_ns: to what the source rounds its frames' times.
    """

    format: FrameFormat
    frame_rate: float
    codec: str
    frames: Iterator[StoredFrame]
    sensor: SensorProfile | None = None
    time_step_ns: int = 1


@dataclass(frozen=True)
class FootageLimits:
    """How much a single clip may take, whatever its file says.

    Args:
        max_side: pixels, either side.
        max_frames: frames in a clip.
        max_decoded_bytes: of the planes of all frames.
    """

    max_side: int = 8192
    max_frames: int = 10_000
    max_decoded_bytes: int = 1 << 36

    def check_size(self, title: str, width: int, height: int) -> None:
        """Check a picture's size before anything is allocated for it.

        Raises:
            InvalidArgumentError: outside of 64 to ``max_side`` pixels on either side.
        """
        if min(width, height) < MIN_SIDE:
            raise InvalidArgumentError(
                "chunk",
                f"{title!r} is {width}x{height}; a clip needs at least {MIN_SIDE}x{MIN_SIDE} pixels, "
                "send footage of a larger size",
                reason="FRAME_TOO_SMALL",
            )
        if max(width, height) > self.max_side:
            raise InvalidArgumentError(
                "chunk",
                f"{title!r} is {width}x{height}; at most {self.max_side} pixels on either side are taken, "
                "scale or crop it first",
                reason="FRAME_TOO_LARGE",
            )

    def check_count(self, title: str, frames: int) -> None:
        """Check how many frames there are (so far, or as announced), whatever their format.

        Raises:
            InvalidArgumentError: more than ``max_frames``.
        """
        if frames > self.max_frames:
            raise InvalidArgumentError(
                "chunk",
                f"{title!r} has more than the {self.max_frames} frames that one clip may have; cut it into "
                "shorter clips",
                reason="TOO_MANY_FRAMES",
            )

    def check_length(self, title: str, frame_format: FrameFormat, frames: int) -> None:
        """Check how many frames there are (so far, or as announced).

        Raises:
            InvalidArgumentError: more than fit ``max_frames`` or ``max_decoded_bytes``.
        """
        allowed = min(self.max_frames, self.max_decoded_bytes // frame_format.frame_bytes)
        if frames > allowed:
            raise InvalidArgumentError(
                "chunk",
                f"{title!r} has more than the {allowed} frames that one clip of {frame_format.stored_width}x"
                f"{frame_format.stored_height} at {frame_format.bit_depth} bits may have; cut it into "
                "shorter clips",
                reason="TOO_MANY_FRAMES",
            )


def check_enough_frames(title: str, frames: int, *, raw: bool = False) -> None:
    """Check that there is motion to learn from.

    Args:
        title: names the clip in messages.
        frames: that it has.
        raw: whether they are a sensor's mosaics, of which a still is taken too: it serves to calibrate.

    Raises:
        InvalidArgumentError: fewer than two frames, or no raw frame.
    """
    if frames < (1 if raw else MIN_FRAMES):
        found = "only one frame" if frames == 1 else "no frame"
        raise InvalidArgumentError(
            "chunk",
            f"{title!r} has {found}; a clip needs at least {MIN_FRAMES} frames, send a video and not a still",
            reason="TOO_FEW_FRAMES",
        )

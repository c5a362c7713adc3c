"""When the frames of a video were taken."""

from __future__ import annotations

from fractions import Fraction

import av
from autoisp_core.errors import InvalidArgumentError

_NS = 1_000_000_000
_LAST_NS = (1 << 63) - 1
"""Clips keep times in 64 bits: 292 years."""


class FrameTimes:
    """Gives each frame's time since the first; times always grow.

    Args:
        title: names the source in messages.
        frame_rate: frames per second; 0 if the source does not tell.
        time_base: seconds of one unit of the source's times; None if it has none.
    """

    def __init__(self, title: str, frame_rate: Fraction, time_base: Fraction | None) -> None:
        self._title = title
        self._time_base = time_base
        # Fractions are slow, and this is done for every frame.
        unit = (time_base or Fraction(0)) * _NS
        self._numerator, self._denominator = unit.numerator, unit.denominator
        self._interval_ns = max(1, round(_NS / frame_rate)) if frame_rate else _NS // 25
        self._first: int | None = None
        self._last_ns: int | None = None

    @property
    def step_ns(self) -> int:
        """To what the source rounds times."""
        return max(1, round(self._time_base * _NS)) if self._time_base else 1

    def __call__(self, picture: av.VideoFrame) -> int:
        """The time of the next frame, nanoseconds; as the frame rate says where it has none of its own.

        Raises:
            InvalidArgumentError: it is centuries after the first.
        """
        time_ns = 0 if self._last_ns is None else self._last_ns + self._interval_ns
        if picture.pts is not None and self._time_base:
            if self._first is None:
                self._first = picture.pts - round(time_ns / _NS / self._time_base)
            units = picture.pts - self._first
            stamp_ns = (2 * units * self._numerator + self._denominator) // (2 * self._denominator)
            if self._last_ns is None or stamp_ns > self._last_ns:
                time_ns = stamp_ns
        if time_ns > _LAST_NS:
            raise InvalidArgumentError(
                "chunk",
                f"{self._title!r} has a frame {time_ns // _NS} seconds after its first, so its times are "
                "damaged; write them anew, for example: ffmpeg -i IN -vf setpts=N/25/TB -r 25 OUT.mp4",
                reason="DAMAGED_FOOTAGE",
            )
        self._last_ns = time_ns
        return time_ns

"""What the times of a clip's frames say of the whole clip."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

_ROUNDING_STEPS = 1.5
"""Rounding moves either end of an interval by half a step; half a step more if it was rounded before."""


@dataclass(frozen=True)
class Timing:
    """Of one clip.

    Args:
        variable_frame_rate: whether the intervals between frames vary by more than rounding.
        duration_seconds: from the first frame to the end of the last; 0 if the source does not tell.
    """

    variable_frame_rate: bool
    duration_seconds: float

    @classmethod
    def of(cls, times_ns: Sequence[int], frame_rate: float, time_step_ns: int) -> Timing:
        """From the frames' times.

        Args:
            times_ns: since the first frame; all 0 if the source does not tell.
            frame_rate: frames per second; 0 if the source does not tell.
            time_step_ns: to what the source rounds times.

        >>> Timing.of([0, 33_000_000, 67_000_000], 30.0, 1_000_000)
        Timing(variable_frame_rate=False, duration_seconds=0.1003)
        """
        intervals = [later - earlier for earlier, later in pairwise(times_ns)]
        if not any(intervals):
            return cls(False, len(times_ns) / frame_rate if frame_rate else 0.0)
        typical = median(intervals)
        varies = any(abs(interval - typical) > _ROUNDING_STEPS * time_step_ns for interval in intervals)
        last_ns = 1e9 / frame_rate if frame_rate and not varies else typical
        return cls(varies, round((times_ns[-1] + last_ns) / 1e9, 4))

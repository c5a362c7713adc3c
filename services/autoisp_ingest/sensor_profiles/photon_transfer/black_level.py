"""The black level, from frames that saw no light."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

_FAR = 6.0
"""Times the median distance from the median: beyond are hot and dead pixels."""


def black_level_of(frames: Iterable[NDArray[np.integer]]) -> float:
    """The mean code value of dark frames, without hot and dead pixels.

    The median alone knows whole codes only; the mean of what lies around it knows fractions.

    Args:
        frames: (height, width) code values each, at least one.
    """
    levels = []
    for frame in frames:
        middle = np.median(frame)
        distance = np.abs(frame - middle)
        limit = max(1.0, _FAR * float(np.median(distance)))
        levels.append(float(frame[distance <= limit].mean(dtype=np.float64)))
    return float(np.mean(levels))

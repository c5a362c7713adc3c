"""The distribution of a mean of squared normal values, by Wilson and Hilferty's approximation (1931).

A mean of k squares of unit normals is χ²(k) / k: its cube root is close to normal. For the k > 5 used here
quantiles are right to 1 %, and to 0.1 % for k > 50.
"""

from __future__ import annotations

import math
from statistics import NormalDist

_NORMAL = NormalDist()


def quantile(share: float, degrees: int) -> float:
    """The value of χ²(degrees) / degrees below which ``share`` of all lie."""
    spread = 2 / (9 * degrees)
    return max(0.0, 1 - spread + _NORMAL.inv_cdf(share) * math.sqrt(spread)) ** 3


def truncated_mean(low: float, high: float, degrees: int) -> float:
    """The mean of those values of χ²(degrees) / degrees that lie between ``low`` and ``high``."""
    # x times the density of k degrees is the density of k + 2, scaled.
    inside = _below(high, degrees) - _below(low, degrees)
    scale = degrees / (degrees + 2)
    heavier = _below(high * scale, degrees + 2) - _below(low * scale, degrees + 2)
    return heavier / inside


def _below(value: float, degrees: int) -> float:
    spread = 2 / (9 * degrees)
    return _NORMAL.cdf((max(0.0, value) ** (1 / 3) - 1 + spread) / math.sqrt(spread))

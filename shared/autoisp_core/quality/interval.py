"""The interval that resampled means and their standard error give."""

import math
from collections.abc import Sequence
from statistics import NormalDist, stdev

from autoisp_core.quality.student import t_quantile

Interval = tuple[float, float]


def interval(
    mean: float, drawn: Sequence[float], error: float, units: float, freedom: int, confidence: float
) -> Interval:
    """Percentiles of the resampled means, and no less than Student's interval.

    A bootstrap of n units underestimates the spread by √((n − 1)/n) and knows nothing of Student's tails:
    the percentiles' levels are widened for both (Hesterberg 2015, "What teachers should know about the
    bootstrap", the expanded percentile interval). Two or three units have so few different resamples
    that no percentile is wide enough; Student's interval is.

    Args:
        mean: of the units.
        drawn: resampled means.
        error: the mean's standard error, as the units tell it.
        units: blocks or clips that were drawn independently, on average if they differ.
        freedom: degrees of freedom of `error`; with none the interval is infinite.
        confidence: between 0 and 1.
    """
    if freedom < 1 or not math.isfinite(error):
        return -math.inf, math.inf
    quantile = t_quantile((1.0 - confidence) / 2.0, freedom)
    tail = NormalDist().cdf(math.sqrt(units / (units - 1.0)) * quantile)
    ordered = sorted(drawn)
    low, high = _quantile(ordered, tail), _quantile(ordered, 1.0 - tail)
    return min(low, mean + quantile * error), max(high, mean - quantile * error)


def standard_error(values: Sequence[float]) -> float:
    """Of the mean of independent values; infinite for a single one."""
    return stdev(values) / math.sqrt(len(values)) if len(values) > 1 else math.inf


def _quantile(ordered: Sequence[float], level: float) -> float:
    place = level * (len(ordered) - 1)
    below = math.floor(place)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (place - below) * (ordered[above] - ordered[below])

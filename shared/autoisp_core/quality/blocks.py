"""How long frames of a clip stay alike: the length of the blocks that a bootstrap draws.

Frame 100 of a clip says little that frame 99 has not said. A bootstrap that draws frames one by one takes
them for independent and gives intervals that are too narrow; blocks of neighbours keep what they share.
"""

import math
from collections.abc import Sequence
from itertools import accumulate
from operator import mul

_SIGNIFICANT = 2.0
"""Politis and White's c."""
_FEWEST_QUIET = 5
"""Their K_N is at least this."""
_FEWEST_BLOCKS = 4
_LONGER = 2
"""Their length gives the variance the least squared error; intervals cover better with a longer one."""


def block_length(values: Sequence[float]) -> int:
    """Length for the circular block bootstrap of a mean, from the values' autocorrelation.

    Twice that of Politis & White 2004 ("Automatic block-length selection for the dependent bootstrap", as
    corrected in 2009), but no more than a quarter of the clip. Theirs is (2 G² / D)^⅓ N^⅓ with
    D = 4/3 g(0)²; g(0) sums the autocovariances and G their products with the lag, both up to twice the lag
    from which on they don't matter.

    >>> block_length([0.0, 1.0, 0.0, 1.0])
    1
    """
    count = len(values)
    longest = count // _FEWEST_BLOCKS
    covariances = _autocovariances(values)
    if longest < 2 or covariances[0] <= 0.0:
        return 1
    reach = min(
        2 * max(_reach([value / covariances[0] for value in covariances], count), 1), len(covariances) - 1
    )
    weighed = [_flat_top(lag / reach) * covariances[lag] for lag in range(1, reach + 1)]
    slope = 2.0 * sum(lag * value for lag, value in enumerate(weighed, 1))
    level = covariances[0] + 2.0 * sum(weighed)
    if level <= 0.0:
        return 1
    length = math.cbrt(1.5 * (slope / level) ** 2 * count)
    return max(1, min(longest, round(_LONGER * length)))


def block_means(values: Sequence[float], length: int) -> list[float]:
    """Mean of the `length` values from each position on; past the end it goes on at the start.

    >>> block_means([1.0, 2.0, 6.0], 2)
    [1.5, 4.0, 3.5]
    """
    sums = [0.0, *accumulate([*values, *values[: length - 1]])]
    return [(sums[start + length] - sums[start]) / length for start in range(len(values))]


def _autocovariances(values: Sequence[float]) -> list[float]:
    """From lag 0 up to √N + K_N, where Politis and White stop looking."""
    count = len(values)
    mean = math.fsum(values) / count
    centred = [value - mean for value in values]
    last = min(count - 1, math.ceil(math.sqrt(count)) + _quiet(count))
    return [math.fsum(map(mul, centred, centred[lag:])) / count for lag in range(last + 1)]


def _quiet(count: int) -> int:
    """K_N: so many correlations in a row must not matter."""
    return max(_FEWEST_QUIET, math.ceil(math.sqrt(math.log10(count))))


def _reach(correlations: Sequence[float], count: int) -> int:
    """The lag after which the correlations don't matter; the last that does if they never stop to."""
    limit, needed = _SIGNIFICANT * math.sqrt(math.log10(count) / count), _quiet(count)
    last = quiet = 0
    for lag, correlation in enumerate(correlations[1:], 1):
        if abs(correlation) >= limit:
            last, quiet = lag, 0
        elif (quiet := quiet + 1) == needed:
            return lag - needed
    return last


def _flat_top(share: float) -> float:
    """The trapezoid of Politis & Romano 1995: 1 up to a half, then down to 0 at 1."""
    return min(1.0, 2.0 * (1.0 - share))

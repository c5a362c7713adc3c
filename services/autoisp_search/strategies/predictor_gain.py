"""What a candidate is expected to add to the front, where its cost is known and its quality is a guess.

With the cost known, expected hypervolume improvement needs no sampling: below the candidate's step the front
is a staircase, and over each of its steps the gain is an expected improvement in one dimension.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float64]

_SQRT_2, _SQRT_2_PI = np.sqrt(2), np.sqrt(2 * np.pi)


def staircase(costs: Array, qualities: Array, floor: float) -> tuple[Array, Array]:
    """The front of points: costs ascending, qualities strictly ascending and above ``floor``."""
    order = np.lexsort((-qualities, costs))
    best = np.maximum.accumulate(np.concatenate([[floor], qualities[order]]))
    kept = order[best[1:] > best[:-1]]
    return costs[kept], qualities[kept]


def expected_gain(
    costs: Array, means: Array, spreads: Array, *, front: tuple[Array, Array], floor: float, edge: float
) -> Array:
    """Expected hypervolume improvement of each candidate.

    Args:
        costs: (n,) of the candidates, on the axis that counts (a logarithm, say).
        means: (n,) of their qualities.
        spreads: (n,) standard deviations, positive.
        front: what :func:`staircase` gives for the same ``floor``.
        floor: quality below which nothing counts.
        edge: cost above which nothing counts.

    Example:
        >>> nothing = (np.array([]), np.array([]))
        >>> expected_gain(np.array([1.0]), np.array([3.0]), np.array([1e-9]), front=nothing, floor=1, edge=2)
        array([2.])
    """
    starts = np.concatenate([[-np.inf], front[0]])
    ends = np.concatenate([front[0], [edge]])
    levels = np.concatenate([[floor], front[1]])
    widths = np.clip(np.minimum(ends, edge) - np.maximum(starts, costs[:, None]), 0, None)
    rise = means[:, None] - levels
    z = rise / spreads[:, None]
    density = np.exp(-0.5 * np.minimum(z * z, 700)) / _SQRT_2_PI
    improvement = np.maximum(rise * _below(z) + spreads[:, None] * density, 0)
    return np.asarray((widths * improvement).sum(1))


def _below(z: Array) -> Array:
    """The normal distribution function, to 1.5e-7 (Abramowitz and Stegun 7.1.26): NumPy has none."""
    x = np.abs(z) / _SQRT_2
    t = 1 / (1 + 0.3275911 * x)
    series = t * (0.254829592 + t * (-0.284496736 + t * (1.421413741 + t * (-1.453152027 + t * 1.061405429))))
    tail = 0.5 * series * np.exp(-np.minimum(x * x, 700))
    return np.asarray(np.where(z > 0, 1 - tail, tail))

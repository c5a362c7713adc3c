"""Points in objective space, less is better in each: which dominate which, and which stand alone.

Deb, Pratap, Agarwal, Meyarivan: "A fast and elitist multiobjective genetic algorithm: NSGA-II", 2002.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

Point = Sequence[float]


def dominates(one: Point, other: Point) -> bool:
    """Whether ``one`` is nowhere worse than ``other`` and somewhere better."""
    return all(a <= b for a, b in zip(one, other, strict=True)) and tuple(one) != tuple(other)


def ranks(points: Sequence[Point]) -> list[int]:
    """For each point the number of its front: 0 if nothing dominates it, 1 if only points of front 0 do, …

    Example:
        >>> ranks([(1, 4), (2, 2), (3, 3), (4, 1)])
        [0, 0, 1, 0]
    """
    fronts: list[list[Point]] = []
    found = [0] * len(points)
    # In lexicographic order what dominates a point comes before it, so each is placed once for all.
    for index in sorted(range(len(points)), key=lambda index: tuple(points[index])):
        point = points[index]
        low, high = 0, len(fronts)
        while low < high:  # if a front has a dominator, so has every one before it
            middle = (low + high) // 2
            if any(dominates(other, point) for other in reversed(fronts[middle])):
                low = middle + 1
            else:
                high = middle
        if low == len(fronts):
            fronts.append([])
        fronts[low].append(point)
        found[index] = low
    return found


def crowding(points: Sequence[Point]) -> list[float]:
    """How far apart each point's neighbours are, summed over the objectives in units of their ranges.

    Infinite for the extremes of an objective. Meant for the points of one front.
    """
    distances = [0.0] * len(points)
    for axis in range(len(points[0]) if points else 0):
        order = sorted(range(len(points)), key=lambda index: points[index][axis])
        span = points[order[-1]][axis] - points[order[0]][axis]
        distances[order[0]] = distances[order[-1]] = math.inf
        for before, index, after in zip(order, order[1:], order[2:], strict=False):
            if span > 0:
                distances[index] += (points[after][axis] - points[before][axis]) / span
    return distances


def best_first(points: Sequence[Point]) -> list[int]:
    """Indices of the points: by front, within one the loneliest first, then in the given order."""
    fronts: dict[int, list[int]] = {}
    for index, rank in enumerate(ranks(points)):
        fronts.setdefault(rank, []).append(index)
    order: list[int] = []
    for rank in sorted(fronts):
        members = fronts[rank]
        alone = dict(zip(members, crowding([points[index] for index in members]), strict=True))
        order += sorted(members, key=lambda index: -alone[index])
    return order

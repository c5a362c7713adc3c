"""How good a set of networks is as a whole: hypervolume of dB against the logarithm of MAC per pixel.

Where the measuring begins:

- the cost's end is the limit of the space, above which there is no network;
- ``cheapest``: the quality's begin is what the cheapest network of the space reaches, which is what a user
  gets without any search. This corner counts, and was settled before any strategy ran;
- ``lowest``: the begin is the quality that one network of a hundred stays below. It is the laxer one: nearly
  everything counts, but for those few whose training diverged.

The classical prototype's quality would have been natural too, but at the table's short trainings no network
reaches it.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from autoisp_search.bench.table import Row, Table


@dataclass(frozen=True, slots=True)
class Reference:
    """The corner that hypervolume is measured from.

    Attributes:
        quality_db: at or below it nothing counts.
        macs_per_pixel: at or above it nothing counts.
    """

    quality_db: float
    macs_per_pixel: float


def references(table: Table) -> dict[str, Reference]:
    """The corners by name, the one that counts first."""
    cheapest = table.row(table.space.cheapest())
    if cheapest is None:
        raise ValueError("the table lacks the cheapest network of its space")
    qualities = sorted(row.quality() for row in table.rows.values())
    begins = {"cheapest": cheapest.quality(), "lowest": qualities[len(qualities) // 100]}
    return {name: Reference(quality, table.macs_limit) for name, quality in begins.items()}


class Front:
    """Networks that no other beats in both, and the hypervolume of them, network by network.

    Args:
        reference: where the measuring begins.
    """

    def __init__(self, reference: Reference) -> None:
        self._reference = reference
        self._steps: list[tuple[float, float]] = []  # (log MAC, dB), both strictly ascending
        self.hypervolume = 0.0

    def add(self, quality_db: float, macs_per_pixel: float) -> float:
        """Takes a network; returns the hypervolume with it, in dB times natural logarithms."""
        limit = math.log(self._reference.macs_per_pixel)
        cost = math.log(macs_per_pixel)
        if quality_db <= self._reference.quality_db or cost >= limit:
            return self.hypervolume
        kept: list[tuple[float, float]] = []
        best = -math.inf
        for point in sorted([*self._steps, (cost, quality_db)], key=lambda point: (point[0], -point[1])):
            if point[1] > best:
                best = point[1]
                kept.append(point)
        self._steps = kept
        ends = [point[0] for point in kept[1:]] + [limit]
        self.hypervolume = sum(
            (end - start) * (quality - self._reference.quality_db)
            for (start, quality), end in zip(kept, ends, strict=True)
        )
        return self.hypervolume


def hypervolume(rows: Iterable[Row], reference: Reference) -> float:
    """Of networks at the high fidelity."""
    front = Front(reference)
    for row in rows:
        front.add(row.quality(), row.macs_per_pixel)
    return front.hypervolume


def first_reaching(curve: Sequence[float], level: float) -> int | None:
    """After how many trials a curve of hypervolumes is at ``level``; None if it never is."""
    return next((count for count, value in enumerate(curve, start=1) if value >= level), None)

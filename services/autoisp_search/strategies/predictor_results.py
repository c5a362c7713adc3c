"""The results that the predictor learns from: bounded in number, in units that outliers do not stretch."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from autoisp_core.spec import Spec

from autoisp_search.fronts import best_first
from autoisp_search.strategies.predictor_features import PARTS, Vector

Array = npt.NDArray[np.float64]

KEPT = 256
"""Results that are learned from at most: half are the best so far, half the newest."""

_SLACK = 64
_TAIL = 2.0


@dataclass(frozen=True, slots=True)
class Result:
    """One told trial.

    Attributes:
        spec: what was trained.
        features: of it, by part.
        fidelity: label of what it was trained with.
        quality: PSNR in dB.
        costs: logarithms of what the objectives count; empty if quality alone counts.
    """

    spec: Spec
    features: tuple[Vector, ...]
    fidelity: int
    quality: float
    costs: tuple[float, ...]


class Results:
    """Told results, oldest first; a fixed number of them, however many were told."""

    def __init__(self) -> None:
        self.kept: list[Result] = []
        self.told = 0

    def __len__(self) -> int:
        return len(self.kept)

    def add(self, result: Result) -> None:
        """Takes note of one, and forgets in bulk what is neither good nor new."""
        self.kept.append(result)
        self.told += 1
        if len(self.kept) > KEPT + _SLACK:
            half = KEPT // 2
            old = self.kept[:-half]
            order = best_first([(-result.quality, *result.costs) for result in old])
            self.kept = [old[index] for index in sorted(order[:half])] + self.kept[-half:]

    def parts(self) -> list[Array]:
        """The features, one (n, length) array for each part."""
        return [np.stack([result.features[index] for result in self.kept]) for index in range(len(PARTS))]

    def fidelities(self) -> npt.NDArray[np.int64]:
        """(n,) labels."""
        return np.array([result.fidelity for result in self.kept], dtype=np.int64)

    def qualities(self) -> Array:
        """(n,) in dB."""
        return np.array([result.quality for result in self.kept])


@dataclass(frozen=True, slots=True)
class Units:
    """Quality in robust spreads above the median. Far below it counts by its logarithm.

    A network whose training diverged says that its like diverge, not that they are twelve decibels worse.
    """

    median: float
    spread: float

    @classmethod
    def of(cls, qualities: Array) -> Units:
        """From at least one quality in dB."""
        median = float(np.median(qualities))
        return cls(median, 1.4826 * float(np.median(np.abs(qualities - median))) + 1e-2)

    def __call__(self, qualities: Array) -> Array:
        """From dB."""
        z = (qualities - self.median) / self.spread
        return np.where(z < -_TAIL, -_TAIL - np.log1p(np.maximum(-_TAIL - z, 0)), z)

    def decibels(self, values: Array) -> Array:
        """Back to dB."""
        z = np.where(values < -_TAIL, -_TAIL - np.expm1(np.minimum(-_TAIL - values, 50)), values)
        return np.asarray(self.median + self.spread * z)

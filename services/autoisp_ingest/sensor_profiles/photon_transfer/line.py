"""A straight line through the points of a photon transfer curve, with what is known of its errors."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

_ROUNDS = 20
_HUBER = 2.0
"""Standard deviations beyond which a point's weight falls."""
_TWO_SIDED_95 = 1.96

Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class Points:
    """Variance against mean.

    Attributes:
        means, variances: (p,)
        degrees: (p,) degrees of freedom of each variance.
    """

    means: Doubles
    variances: Doubles
    degrees: Doubles


@dataclass(frozen=True)
class Line:
    """variance = shot · mean + read.

    Attributes:
        shot, read: not negative.
        covariance: (2, 2), of shot and read.
        r_squared: share of the variances' spread that the line explains, at most 1.
    """

    shot: float
    read: float
    covariance: Doubles
    r_squared: float

    def at(self, means: Doubles) -> Doubles:
        """The line's variance at each mean, at least a tiny number: it is divided by."""
        return np.maximum(self.shot * means + self.read, 1e-12)

    @property
    def shot_interval(self) -> float:
        """Half-width of the 95 % confidence interval."""
        return _TWO_SIDED_95 * float(np.sqrt(self.covariance[0, 0]))

    @property
    def read_interval(self) -> float:
        """Half-width of the 95 % confidence interval."""
        return _TWO_SIDED_95 * float(np.sqrt(self.covariance[1, 1]))


def fit_line(points: Points) -> Line:
    """Weighted least squares, with less weight to outliers (Huber) and no negative shot or read variance.

    A variance s² from k degrees of freedom has itself the variance 2 s⁴ / k. With s² from the line, not from
    the point, a point that is low by chance gets no more weight for it. Where the points scatter more than
    that, the intervals are widened to match.
    """
    means, variances = points.means, points.variances
    expected = np.maximum(variances, 1e-12)
    robust = np.ones_like(means)
    shot = read = 0.0
    for _ in range(_ROUNDS):
        known = points.degrees / (2 * expected**2)
        shot, read = _least_squares(means, variances, known * robust)
        expected = np.maximum(shot * means + read, 1e-12)
        deviations = np.abs(variances - expected) * np.sqrt(points.degrees / 2) / expected
        # In units of the points' own scatter, so that a slight curvature of all makes no outliers.
        deviations /= max(1.0, float(np.median(deviations)) / 0.6745)
        robust = np.minimum(1.0, _HUBER / np.maximum(deviations, 1e-9))
    weights = points.degrees / (2 * expected**2) * robust
    residues = variances - (shot * means + read)
    spare = max(len(means) - 2, 1)
    excess = max(1.0, float((weights * residues**2).sum()) / spare)
    centre = np.average(variances, weights=weights)
    spread = float((weights * (variances - centre) ** 2).sum())
    explained = 1 - float((weights * residues**2).sum()) / spread if spread > 0 else 0.0
    return Line(shot, read, _covariance(means, weights) * excess, explained)


def _least_squares(means: Doubles, variances: Doubles, weights: Doubles) -> tuple[float, float]:
    middle, height = np.average(means, weights=weights), np.average(variances, weights=weights)
    across = float((weights * (means - middle) ** 2).sum())
    shot = float((weights * (means - middle) * (variances - height)).sum()) / max(across, 1e-30)
    read = float(height - shot * middle)
    if read < 0:
        shot, read = float((weights * means * variances).sum() / (weights * means**2).sum()), 0.0
    if shot < 0:
        shot, read = 0.0, float(height)
    return shot, read


def _covariance(means: Doubles, weights: Doubles) -> Doubles:
    crossed = (weights * means).sum()
    information = np.array([[(weights * means**2).sum(), crossed], [crossed, weights.sum()]])
    return np.asarray(np.linalg.pinv(information))

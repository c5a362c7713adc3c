"""A Gaussian process over specs: a guess of quality, and how sure it is. NumPy only.

The kernel is a Matérn of the parts' weighted distances plus a linear one of the first three parts. Results of
other fidelities have their own offset and their own, partly independent, surface.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from autoisp_search.strategies.predictor_features import PARTS

Array = npt.NDArray[np.float64]

_LINEAR = 3
"""So many of the first parts have a linear kernel too."""

_OFFSET = 1.0
"""Prior variance of the mean, and of each fidelity's distance from it, in units of the spread."""

_WEIGHTS = np.full(len(PARTS), -1.0)
_PRIOR = np.concatenate([_WEIGHTS, [-1.0, -0.5, -1.0, -2.0]])
"""Logarithms: weights of the parts, then variances: linear, Matérn, fidelity's own share of it, noise."""

_PRIOR_SPREAD = 1.5
_STEPS, _FIRST_STEP, _LEAST_STEP, _MOST_STEP = 25, 0.2, 1e-3, 0.8
_JITTER, _MOST_JITTER = 1e-6, 1.0


@dataclass(frozen=True)
class Inputs:
    """Specs as the kernel sees them.

    Attributes:
        parts: one (n, length) array for each part of the features, scaled to unit spread in all.
        fidelity: (n,) labels; equal ones share an offset.
    """

    parts: tuple[Array, ...]
    fidelity: npt.NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.fidelity)

    def only(self, indices: npt.NDArray[np.int64]) -> Inputs:
        """Those at the indices."""
        return Inputs(tuple(part[indices] for part in self.parts), self.fidelity[indices])

    def and_also(self, others: Inputs) -> Inputs:
        """These, then others."""
        parts = tuple(np.vstack(pair) for pair in zip(self.parts, others.parts, strict=True))
        return Inputs(parts, np.concatenate([self.fidelity, others.fidelity]))


@dataclass(frozen=True)
class Scaling:
    """Shifts and scales features to zero mean and unit spread, by what was seen first."""

    means: tuple[Array, ...]
    factors: tuple[Array, ...]

    @classmethod
    def of(cls, parts: Sequence[Array]) -> Scaling:
        """From (n, length) arrays; features that never change are ignored until the next scaling."""
        factors = []
        for part in parts:
            spread = part.std(0)
            varies = spread > 1e-9
            factors.append(
                np.where(varies, 1 / np.where(varies, spread, 1), 0) / np.sqrt(max(1, varies.sum()))
            )
        return cls(tuple(part.mean(0) for part in parts), tuple(factors))

    def __call__(self, parts: Sequence[Array], fidelity: npt.NDArray[np.int64]) -> Inputs:
        scaled = zip(parts, self.means, self.factors, strict=True)
        return Inputs(tuple((part - mean) * factor for part, mean, factor in scaled), fidelity)


@dataclass(frozen=True)
class _Pairs:
    """What the kernel needs of each pair: squared distances by part, linear products, same fidelity."""

    distances: list[Array]
    products: Array
    same: Array

    @classmethod
    def of(cls, one: Inputs, other: Inputs) -> _Pairs:
        distances, products = [], np.zeros((len(one), len(other)))
        for index, (a, b) in enumerate(zip(one.parts, other.parts, strict=True)):
            inner = a @ b.T
            distances.append(np.maximum((a * a).sum(1)[:, None] + (b * b).sum(1) - 2 * inner, 0))
            if index < _LINEAR:
                products += inner
        return cls(distances, products, (one.fidelity[:, None] == other.fidelity).astype(float))


def _kernel(theta: Array, pairs: _Pairs) -> tuple[Array, Array, Array]:
    """The kernel, its Matérn term, and the derivative of that by the weighted squared distance."""
    linear, matern, own, _ = np.exp(theta[len(PARTS) :])
    distance = sum(
        weight * part for weight, part in zip(np.exp(theta[: len(PARTS)]), pairs.distances, strict=True)
    )
    radius = np.sqrt(3 * distance + 1e-12)
    decay = np.exp(-radius)
    shared = 1 + own * pairs.same
    smooth = matern * (1 + radius) * decay
    value = shared * smooth + linear * pairs.products + _OFFSET * (1 + pairs.same)
    return value, smooth, -1.5 * matern * decay * shared


def fitted(inputs: Inputs, targets: Array, start: Array | None = None) -> Array:
    """Hyperparameters that explain the targets, from those of an earlier fit: Rprop on the posterior.

    Args:
        inputs: n of them.
        targets: (n,) of about zero mean and unit spread.
        start: what an earlier call gave.
    """
    pairs, theta = _Pairs.of(inputs, inputs), np.array(_PRIOR if start is None else start)
    steps, before = np.full(len(theta), _FIRST_STEP), np.zeros(len(theta))
    best, best_loss = theta, np.inf
    for _ in range(_STEPS):
        loss, slope = _loss(theta, pairs, targets)
        if loss < best_loss:
            best, best_loss = theta, loss
        turn = slope * before
        steps = np.clip(steps * np.where(turn > 0, 1.2, np.where(turn < 0, 0.5, 1)), _LEAST_STEP, _MOST_STEP)
        before = np.where(turn < 0, 0, slope)
        theta = theta - np.sign(before) * steps
    return best


def _loss(theta: Array, pairs: _Pairs, targets: Array) -> tuple[float, Array]:
    """Negative log posterior of the hyperparameters, and its gradient."""
    value, smooth, slope = _kernel(theta, pairs)
    linear, _, own, noise = np.exp(theta[len(PARTS) :])
    count = len(targets)
    value[np.diag_indices(count)] += noise
    factor = _factored(value)
    inverse = np.linalg.inv(factor)
    inverse = inverse.T @ inverse
    explained = inverse @ targets
    distance = (theta - _PRIOR) / _PRIOR_SPREAD
    loss = 0.5 * targets @ explained + np.log(np.diag(factor)).sum() + 0.5 * distance @ distance
    weights = inverse - np.outer(explained, explained)
    weighted = weights * slope
    gradient = [
        np.exp(scale) * np.vdot(weighted, part)
        for scale, part in zip(theta[: len(PARTS)], pairs.distances, strict=True)
    ]
    gradient += [
        linear * np.vdot(weights, pairs.products),
        np.vdot(weights, smooth * (1 + own * pairs.same)),
        own * np.vdot(weights, smooth * pairs.same),
        noise * np.trace(weights),
    ]
    return float(loss), 0.5 * np.array(gradient) + distance / _PRIOR_SPREAD


def _factored(value: Array) -> Array:
    """Cholesky factor of a kernel matrix that rounding may have made indefinite; changes the matrix."""
    jitter = _JITTER
    while True:
        value[np.diag_indices(len(value))] += jitter
        try:
            return np.asarray(np.linalg.cholesky(value), dtype=np.float64)
        except np.linalg.LinAlgError:
            if jitter > _MOST_JITTER:
                raise
            jitter *= 100


class Posterior:
    """What is believed of all specs, given the results of some.

    Args:
        theta: hyperparameters, from :func:`fitted`.
        inputs: n specs, in the order of their results.
        targets: (n,) their qualities.
    """

    def __init__(self, theta: Array, inputs: Inputs, targets: Array) -> None:
        self._theta, self._inputs, self._targets = theta, inputs, targets
        value, _, _ = _kernel(theta, _Pairs.of(inputs, inputs))
        value[np.diag_indices(len(targets))] += self.noise
        self._factor = _factored(value)
        self._inverse = np.linalg.inv(self._factor)
        self._white = self._inverse @ targets

    @property
    def noise(self) -> float:
        """Variance of a result around what its spec is worth."""
        return float(np.exp(self._theta[-1]))

    def predict(self, inputs: Inputs) -> tuple[Array, Array]:
        """Mean and standard deviation (n,) of what each spec is worth, the noise of a result left out."""
        linear, matern, own, _ = np.exp(self._theta[len(PARTS) :])
        value, _, _ = _kernel(self._theta, _Pairs.of(inputs, self._inputs))
        reduced = self._inverse @ value.T
        prior = matern * (1 + own) + 2 * _OFFSET
        prior = prior + linear * sum((part * part).sum(1) for part in inputs.parts[:_LINEAR])
        return reduced.T @ self._white, np.sqrt(np.maximum(prior - (reduced * reduced).sum(0), 1e-9))

    def believing(self, inputs: Inputs) -> Posterior:
        """As if these specs had come out as predicted: no guess moves, only how sure they are."""
        means, _ = self.predict(inputs)
        return Posterior(self._theta, self._inputs.and_also(inputs), np.concatenate([self._targets, means]))

    @property
    def foretold(self) -> Array:
        """(n,) what would have been predicted for each of the inputs from those before it alone."""
        return np.asarray(self._targets - np.diag(self._factor) * self._white)

"""Budgets: which specs keep them, and how to draw specs that nearly spend them."""

from __future__ import annotations

import random
from functools import lru_cache
from typing import Protocol

from autoisp_core.spec import SearchSpace, Spec, SpecError, anchor_preference, anchor_specs, plain_stacks

from autoisp_search.strategies.latency import LatencyModel
from autoisp_search.strategies.sizes import sizes_of

_ATTEMPTS = 40
# Predictions scatter by 15 %: what is predicted to take all of the budget passes the gate every other time.
_LEAST_SHARE, _MOST_SHARE = 0.55, 1.0


class Budget(Protocol):
    """What a candidate may cost."""

    def anchors(self) -> tuple[Spec, ...]:
        """Plain stacks scaled to the budget, best bet first."""
        ...

    def sample(self, rng: random.Random) -> Spec:
        """A random spec that nearly spends the budget.

        Raises:
            SpecError: there is none.
        """
        ...

    def mutate(self, parent: Spec, rng: random.Random) -> Spec:
        """A small change of ``parent`` that nearly spends the budget.

        Raises:
            SpecError: there is none.
        """
        ...

    def measured(self, spec: Spec, seconds_per_megapixel: float) -> None:
        """Learn from a candidate that was timed."""
        ...


class MacBudget:
    """So many MAC per output pixel, counted from the spec: no candidate is ever over it.

    Args:
        space: where candidates come from.
        limit: MAC per output pixel.
    """

    def __init__(self, space: SearchSpace, limit: float) -> None:
        self._space = space
        self._limit = limit

    def anchors(self) -> tuple[Spec, ...]:
        """See :meth:`Budget.anchors`."""
        return _anchors_within(self._limit, self._space)

    def sample(self, rng: random.Random) -> Spec:
        """See :meth:`Budget.sample`."""
        return self._space.sample_within(rng, self._limit)

    def mutate(self, parent: Spec, rng: random.Random) -> Spec:
        """See :meth:`Budget.mutate`."""
        return self._space.mutate_within(parent, rng, self._limit)

    def measured(self, spec: Spec, seconds_per_megapixel: float) -> None:
        """Nothing: time is not limited."""


class TimeBudget:
    """So many seconds per megapixel, predicted before the gate measures them.

    One MAC is not like another: among networks that take as long, arithmetic differs fivefold. So candidates
    are sized by predicted time, and may have as many MAC as fit into it.

    Args:
        space: where candidates come from.
        limit: seconds per output megapixel.
    """

    def __init__(self, space: SearchSpace, limit: float) -> None:
        self._space = space
        self._limit = limit
        self._latency = LatencyModel()

    def anchors(self) -> tuple[Spec, ...]:
        """See :meth:`Budget.anchors`."""
        best: dict[tuple[int, int], Spec] = {}
        for spec in plain_stacks(self._space):  # cheapest first: the last that fits is the largest
            if self._share(spec) <= _MOST_SHARE:
                best[spec.frames, spec.packing] = spec
        return tuple(sorted(best.values(), key=anchor_preference))

    def sample(self, rng: random.Random) -> Spec:
        """See :meth:`Budget.sample`; the fastest of many if none seems to fit: predictions err."""
        fastest: list[Spec] = []
        for _ in range(_ATTEMPTS):
            drawn = self._space.sample(rng)
            fitted = self._fit(drawn, rng)
            if fitted is not None:
                return fitted
            fastest.append(min(sizes_of(drawn, self._space), key=self._share))
        return min(fastest, key=self._share)

    def mutate(self, parent: Spec, rng: random.Random) -> Spec:
        """See :meth:`Budget.mutate`."""
        for _ in range(_ATTEMPTS):
            child = self._space.mutate(parent, rng)
            fitted = child if self._spends(child) else self._fit(child, rng)
            if fitted is not None and fitted != parent:
                return fitted
        return self.sample(rng)

    def measured(self, spec: Spec, seconds_per_megapixel: float) -> None:
        """See :meth:`Budget.measured`."""
        self._latency.measured(spec, seconds_per_megapixel)

    def _share(self, spec: Spec) -> float:
        return self._latency.predict(spec) / self._limit

    def _spends(self, spec: Spec) -> bool:
        return _LEAST_SHARE <= self._share(spec) <= _MOST_SHARE

    def _fit(self, spec: Spec, rng: random.Random) -> Spec | None:
        """The same block with a width and repeats that nearly spend the budget, or None."""
        fitting = [size for size in sizes_of(spec, self._space) if self._spends(size)]
        return rng.choice(fitting) if fitting else None


def budget_for(space: SearchSpace, *, macs: float | None, seconds: float | None) -> Budget:
    """The budget of a search's limits; the one in MAC binds where there is one.

    Raises:
        SpecError: there is no limit at all.
    """
    if macs is not None:
        return MacBudget(space, macs)
    if seconds is not None:
        return TimeBudget(space, seconds)
    raise SpecError("budget", "the search has no limit yet; its prototype must be profiled first")


# Going through all plain stacks takes longer than the rest of a decision, and few limits come up.
_anchors_within = lru_cache(maxsize=64)(anchor_specs)

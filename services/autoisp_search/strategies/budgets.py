"""Budgets: which specs keep them, and how to draw specs that nearly spend them."""

from __future__ import annotations

import random
from dataclasses import replace
from functools import lru_cache
from typing import Protocol

from autoisp_core.spec import (
    SearchSpace,
    Spec,
    SpecError,
    anchor_specs,
    anchor_stacks,
    best_anchors,
    cost,
)

from autoisp_search.strategies.latency import LatencyModel
from autoisp_search.strategies.sizes import sizes_of

_ATTEMPTS = 40
# Predictions scatter by 15 %: what is predicted to take all of the budget passes the gate every other time.
_LEAST_SHARE, _MOST_SHARE = 0.55, 1.0
_REACHED_BY = 64


class Budget(Protocol):
    """What a candidate may cost."""

    @property
    def space(self) -> SearchSpace:
        """Where candidates come from."""
        ...

    def share(self, spec: Spec) -> float:
        """What part of the budget the spec takes, as far as is known."""
        ...

    def least_share(self) -> float:
        """What part of the budget the cheapest member of the space takes; at most 1."""
        ...

    def allows(self, spec: Spec) -> bool:
        """Whether the spec is of the space and keeps the budget, as far as is known."""
        ...

    def anchors(self, share: float = 1.0) -> tuple[Spec, ...]:
        """Known designs scaled to that share of the budget, best bet first."""
        ...

    def sample(self, rng: random.Random, share: float = 1.0) -> Spec:
        """A random spec that nearly spends that share of the budget.

        Raises:
            SpecError: there is none.
        """
        ...

    def mutate(self, parent: Spec, rng: random.Random, *, spend: bool = True) -> Spec:
        """A small change of ``parent`` that keeps the budget and, if asked, nearly spends it.

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
        self.space = space
        self._limit = limit

    def share(self, spec: Spec) -> float:
        """See :meth:`Budget.share`."""
        return cost(spec).macs_per_pixel / self._limit

    def least_share(self) -> float:
        """See :meth:`Budget.least_share`."""
        return min(1.0, self.share(_cheapest(self.space)))

    def allows(self, spec: Spec) -> bool:
        """See :meth:`Budget.allows`."""
        return self.space.contains(spec) and self.share(spec) <= 1

    def anchors(self, share: float = 1.0) -> tuple[Spec, ...]:
        """See :meth:`Budget.anchors`."""
        return _anchors_within(share * self._limit, self.space)

    def sample(self, rng: random.Random, share: float = 1.0) -> Spec:
        """See :meth:`Budget.sample`."""
        # The cheapest is always allowed, so a share that rounding put below it is not refused.
        wanted = self._limit * min(1.0, max(share, self.least_share()))
        return self.space.sample_within(rng, min(wanted, _reach(self.space)))

    def mutate(self, parent: Spec, rng: random.Random, *, spend: bool = True) -> Spec:
        """See :meth:`Budget.mutate`."""
        for _ in range(0 if spend else _ATTEMPTS):
            child = self.space.mutate(parent, rng)
            if self.share(child) <= 1:
                return child
        return self.space.mutate_within(parent, rng, min(self._limit, _reach(self.space)))

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
        self.space = space
        self._limit = limit
        self._latency = LatencyModel()

    def share(self, spec: Spec) -> float:
        """See :meth:`Budget.share`."""
        return self._latency.predict(spec) / self._limit

    def least_share(self) -> float:
        """See :meth:`Budget.least_share`."""
        return min(1.0, self.share(_cheapest(self.space)))

    def allows(self, spec: Spec) -> bool:
        """See :meth:`Budget.allows`."""
        return self.space.contains(spec) and self.share(spec) <= _MOST_SHARE

    def anchors(self, share: float = 1.0) -> tuple[Spec, ...]:
        """See :meth:`Budget.anchors`."""
        limit = share * _MOST_SHARE
        return best_anchors(spec for spec in anchor_stacks(self.space) if self.share(spec) <= limit)

    def sample(self, rng: random.Random, share: float = 1.0) -> Spec:
        """See :meth:`Budget.sample`; if none of many nearly spends it, the one that comes closest.

        That is the fastest if all seem to be over it: predictions err.
        """
        drawn: list[Spec] = []
        for _ in range(_ATTEMPTS):
            drawn.append(self.space.sample(rng))
            fitted = self._fit(drawn[-1], rng, share)
            if fitted is not None:
                return fitted
        return self._closest([size for spec in drawn for size in sizes_of(spec, self.space)], share)

    def mutate(self, parent: Spec, rng: random.Random, *, spend: bool = True) -> Spec:
        """See :meth:`Budget.mutate`."""
        for _ in range(_ATTEMPTS):
            child = self.space.mutate(parent, rng)
            share = self.share(child)
            fits = share <= _MOST_SHARE and (share >= _LEAST_SHARE or not spend)
            fitted = child if fits else self._fit(child, rng)
            if fitted is not None and fitted != parent:
                return fitted
        return self.sample(rng)

    def measured(self, spec: Spec, seconds_per_megapixel: float) -> None:
        """See :meth:`Budget.measured`."""
        self._latency.measured(spec, seconds_per_megapixel)

    def _closest(self, specs: list[Spec], share: float) -> Spec:
        """The slowest that keeps the share of the budget; if none does the fastest."""
        keeping = [spec for spec in specs if self.share(spec) <= share * _MOST_SHARE]
        return max(keeping, key=self.share) if keeping else min(specs, key=self.share)

    def _fit(self, spec: Spec, rng: random.Random, share: float = 1.0) -> Spec | None:
        """The same block with a width and repeats that nearly spend the share of the budget, or None."""
        smallest = replace(spec, width=min(self.space.widths), repeats=min(self.space.repeats))
        if self.share(smallest) > share * _MOST_SHARE:
            return None
        sizes = sizes_of(spec, self.space)
        # The first that fits of a shuffled list is as random as one of all that fit, but sooner found.
        rng.shuffle(sizes)
        return next((size for size in sizes if _LEAST_SHARE <= self.share(size) / share <= _MOST_SHARE), None)


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


# Going through all known designs takes longer than the rest of a decision, and few limits come up.
_anchors_within = lru_cache(maxsize=64)(anchor_specs)


@lru_cache(maxsize=64)
def _cheapest(space: SearchSpace) -> Spec:
    return space.cheapest()


@lru_cache(maxsize=64)
def _reach(space: SearchSpace) -> float:
    """MAC per output pixel of the largest of some draws: no draw nearly spends a budget far above it."""
    rng = random.Random("reach")
    drawn = (space.sample(rng) for _ in range(_REACHED_BY))
    width, repeats = max(space.widths), max(space.repeats)
    return max(cost(replace(spec, width=width, repeats=repeats)).macs_per_pixel for spec in drawn)

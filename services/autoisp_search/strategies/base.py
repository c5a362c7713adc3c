"""The interface of strategies, and what those with a budget share."""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Protocol

from autoisp_core.spec import Spec, SpecError, canonical_hash, cost, is_anchor

from autoisp_search.domain import Objective
from autoisp_search.fronts import best_first
from autoisp_search.strategies.budgets import Budget

_ATTEMPTS = 60
_MOST_ANCHORS, _MOST_TRIES = 6, 5
_FRONT_SHARES = (1.0, 0.25, 0.5, 0.125)
"""Shares of the budget at which a front begins with a known design, the most telling first."""


class SpaceExhaustedError(Exception):
    """Nothing new was found: the space within the budget is as good as used up."""


@dataclass(frozen=True, slots=True)
class TrialOutcome:
    """What came of a spec.

    Attributes:
        psnr_db: None if it failed or was pruned.
        seconds_per_megapixel: measured; None where nothing was.
        pruned: it was over the budget.
        rung: 0-based fidelity that it was trained at; qualities compare within a rung only.
    """

    psnr_db: float | None = None
    seconds_per_megapixel: float | None = None
    pruned: bool = False
    rung: int = 0


@dataclass(frozen=True, slots=True)
class Task:
    """What a strategy is to do.

    Attributes:
        budget: draws what is allowed. It learns from measurements, so each strategy needs one of its own.
        objectives: quality alone: find the one best network; with a cost: find the front of both.
        seed: of the search.
        planned: trials of the first rung.
        reference_db: the prototype's quality, where it is known.
        prior: trials of earlier searches over the same footage, oldest first. They inform the choice and may
            be asked for again: this search must train what it hands over.
    """

    budget: Budget
    objectives: tuple[Objective, ...] = (Objective.QUALITY,)
    seed: int = 0
    planned: int = 1
    reference_db: float | None = None
    prior: tuple[tuple[Spec, TrialOutcome], ...] = ()

    @property
    def front(self) -> bool:
        """Whether a front of quality against a cost is wanted, rather than the one best network."""
        return any(objective is not Objective.QUALITY for objective in self.objectives)

    def point(self, spec: Spec, result: TrialOutcome) -> tuple[float, ...] | None:
        """The trial in objective space, in their order, less is better; None if it has not all of them."""
        values = [_value(objective, spec, result) for objective in self.objectives]
        known = [value for value in values if value is not None]
        return tuple(known) if len(known) == len(values) else None


class Strategy(Protocol):
    """Chooses specs. The same calls give the same choices, always; an ``ask`` that raised left no trace."""

    def ask(self, ordinal: int) -> Spec:
        """The spec for the ``ordinal``-th trial (from 1), never one that was asked before.

        Raises:
            SpaceExhaustedError: there is nothing new.
        """
        ...

    def tell(self, spec: Spec, result: TrialOutcome) -> None:
        """Learn what came of an asked spec at each of its rungs, in the order of their ends."""
        ...

    def replay(self, ordinal: int, spec: Spec, spec_hash: str) -> None:
        """Count ``spec`` as asked: leaves the state that ``ask(ordinal)`` left when it gave ``spec``."""
        ...

    def figures(self) -> Mapping[str, float]:
        """What a user may want to know of the strategy, by name."""
        ...


class BudgetedStrategy(ABC):
    """Begins with what is known to be good, then does as a subclass proposes.

    First come the best networks of earlier searches, then known designs scaled to the budget: so a search
    never ends below either. Each takes at most about a quarter of the planned trials.
    """

    def __init__(self, task: Task) -> None:
        self.task = task
        self.budget = task.budget
        most = len(_FRONT_SHARES) if task.front else _MOST_ANCHORS
        self._anchors = min(most, max(min(2, task.planned), round(task.planned / 4)))
        self._asked: set[str] = set()
        self._known = 0
        self._proven = _proven(task, self._anchors)

    def ask(self, ordinal: int) -> Spec:
        """See :meth:`Strategy.ask`."""
        # Seeded by the ordinal: what a restarted service draws does not depend on what was drawn before.
        rng = random.Random(f"{self.task.seed}:{ordinal}")
        # A stack over the budget is worth nothing as an anchor: the next best takes its place.
        anchors_due = self._known < self._anchors and len(self._asked) < _MOST_TRIES * self._anchors
        for spec in (*self._proven, *(self.openers() if anchors_due else ())):
            if self._accept(spec, ordinal):
                return spec
        for _ in range(_ATTEMPTS):
            try:
                spec = self.propose(rng)
            except SpecError:
                break
            if self._accept(spec, ordinal):
                return spec
        raise SpaceExhaustedError

    def tell(self, spec: Spec, result: TrialOutcome) -> None:
        """See :meth:`Strategy.tell`."""
        if result.seconds_per_megapixel:
            self.budget.measured(spec, result.seconds_per_megapixel)
        if result.pruned and is_anchor(spec):
            self._known -= 1
        self.learn(spec, result)

    def replay(self, ordinal: int, spec: Spec, spec_hash: str) -> None:
        """See :meth:`Strategy.replay`."""
        self._asked.add(spec_hash)
        self._known += is_anchor(spec)

    def figures(self) -> Mapping[str, float]:
        """See :meth:`Strategy.figures`; nothing unless a subclass knows something."""
        return {}

    def openers(self) -> tuple[Spec, ...]:
        """Known designs to begin with, best bet first."""
        if not self.task.front:
            return self.budget.anchors()
        return tuple(spec for share in _FRONT_SHARES for spec in self.budget.anchors(share)[:1])

    def draw(self, rng: random.Random) -> Spec:
        """A random spec: nearly spends the budget, or for a front any share of it, evenly in the logarithm.

        Raises:
            SpecError: there is none.
        """
        if not self.task.front:
            return self.budget.sample(rng)
        return self.budget.sample(rng, self.budget.least_share() ** rng.random())

    def vary(self, parent: Spec, rng: random.Random) -> Spec:
        """A small change of ``parent``: nearly spends the budget, or for a front keeps it.

        Raises:
            SpecError: there is none.
        """
        return self.budget.mutate(parent, rng, spend=not self.task.front)

    @abstractmethod
    def propose(self, rng: random.Random) -> Spec:
        """A candidate within the budget; it may have been asked before. Must leave no trace.

        Raises:
            SpecError: there is none.
        """

    @abstractmethod
    def learn(self, spec: Spec, result: TrialOutcome) -> None:
        """Take note of a result, of this search or an earlier one."""

    def _accept(self, spec: Spec, ordinal: int) -> bool:
        spec_hash = canonical_hash(spec)
        if spec_hash in self._asked:
            return False
        self.replay(ordinal, spec, spec_hash)
        return True


def warmed(kind: type[BudgetedStrategy]) -> Callable[[Task], BudgetedStrategy]:
    """Makes strategies of a kind that have learned from the task's earlier trials."""

    def made(task: Task) -> BudgetedStrategy:
        strategy = kind(task)
        for spec, result in task.prior:
            strategy.learn(spec, result)
        return strategy

    return made


def _proven(task: Task, count: int) -> tuple[Spec, ...]:
    """The best of the earlier trials that this search may train, of the fidelity that most have."""
    usable = [
        (spec, point)
        for spec, result in task.prior
        if result.rung == 0 and (point := task.point(spec, result)) is not None and task.budget.allows(spec)
    ]
    order = best_first([point for _, point in usable])
    return tuple(usable[index][0] for index in order[:count])


def _value(objective: Objective, spec: Spec, result: TrialOutcome) -> float | None:
    if objective is Objective.QUALITY:
        return None if result.psnr_db is None else -result.psnr_db
    if objective is Objective.MACS:
        return cost(spec).macs_per_pixel
    return result.seconds_per_megapixel

"""The interface of strategies, and what those with a budget share."""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import Protocol

from autoisp_core.spec import RESIDUAL_PAIR, RESIDUAL_SINGLE, Spec, SpecError, canonical_hash

from autoisp_search.strategies.budgets import Budget

_ATTEMPTS = 60
_MOST_ANCHORS, _MOST_TRIES = 6, 5


class SpaceExhaustedError(Exception):
    """Nothing new was found: the space within the budget is as good as used up."""


@dataclass(frozen=True, slots=True)
class TrialOutcome:
    """What came of a spec.

    Attributes:
        psnr_db: None if it failed or was pruned.
        seconds_per_megapixel: measured; None where nothing was.
        pruned: it was over the budget.
    """

    psnr_db: float | None = None
    seconds_per_megapixel: float | None = None
    pruned: bool = False


class Strategy(Protocol):
    """Chooses specs. The same calls give the same choices, always."""

    def ask(self, ordinal: int) -> Spec:
        """The spec for the ``ordinal``-th trial (from 1), never one that was asked before.

        Raises:
            SpaceExhaustedError: there is nothing new.
        """
        ...

    def tell(self, spec: Spec, result: TrialOutcome) -> None:
        """Learn what came of an asked spec; each once, in the order of their ends."""
        ...

    def remember(self, spec: Spec, spec_hash: str) -> None:
        """Count ``spec`` as asked."""
        ...


class BudgetedStrategy(ABC):
    """Begins with plain stacks scaled to the budget, then does as a subclass proposes.

    Args:
        budget: draws what it allows.
        seed: of the search.
        planned: trials of the first rung: about a quarter of them are plain stacks.
    """

    def __init__(self, budget: Budget, *, seed: int, planned: int) -> None:
        self.budget = budget
        self._seed = seed
        self._anchors = min(_MOST_ANCHORS, max(min(2, planned), round(planned / 4)))
        self._asked: set[str] = set()
        self._plain = self._plain_asked = 0

    def ask(self, ordinal: int) -> Spec:
        """See :meth:`Strategy.ask`."""
        # Seeded by the ordinal: what a restarted service draws does not depend on what was drawn before.
        rng = random.Random(f"{self._seed}:{ordinal}")
        # A stack over the budget is worth nothing as an anchor: the next best takes its place.
        anchors_due = self._plain < self._anchors and self._plain_asked < _MOST_TRIES * self._anchors
        for spec in self.budget.anchors() if anchors_due else ():
            if self._accept(spec):
                return spec
        for _ in range(_ATTEMPTS):
            try:
                spec = self.propose(rng)
            except SpecError:
                break
            if self._accept(spec):
                return spec
        raise SpaceExhaustedError

    def tell(self, spec: Spec, result: TrialOutcome) -> None:
        """See :meth:`Strategy.tell`."""
        if result.seconds_per_megapixel:
            self.budget.measured(spec, result.seconds_per_megapixel)
        if result.pruned and _is_plain(spec):
            self._plain -= 1
        self.learn(spec, result)

    def remember(self, spec: Spec, spec_hash: str) -> None:
        """See :meth:`Strategy.remember`."""
        self._asked.add(spec_hash)
        self._plain += _is_plain(spec)
        self._plain_asked += _is_plain(spec)

    @abstractmethod
    def propose(self, rng: random.Random) -> Spec:
        """A candidate within the budget; it may have been asked before."""

    @abstractmethod
    def learn(self, spec: Spec, result: TrialOutcome) -> None:
        """Take note of a result."""

    def _accept(self, spec: Spec) -> bool:
        spec_hash = canonical_hash(spec)
        if spec_hash in self._asked:
            return False
        self.remember(spec, spec_hash)
        return True


def _is_plain(spec: Spec) -> bool:
    return spec.block in (RESIDUAL_PAIR, RESIDUAL_SINGLE)

"""The interface of strategies, and what those with a budget share."""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from dataclasses import dataclass
from functools import lru_cache
from typing import Protocol

from autoisp_core.spec import SearchSpace, Spec, SpecError, anchor_specs, canonical_hash

from autoisp_search.strategies.limits import MacLimit

_ATTEMPTS = 60
_MOST_ANCHORS = 6

# Going through all plain stacks takes longer than the rest of a decision, and few budgets come up.
_anchors_within = lru_cache(maxsize=256)(anchor_specs)


class SpaceExhaustedError(Exception):
    """Nothing new was found: the space within the budget is as good as used up."""


@dataclass(frozen=True, slots=True)
class TrialOutcome:
    """What came of a spec.

    Attributes:
        psnr_db: None if it failed or was pruned.
        macs_per_pixel, seconds_per_megapixel: measured; None where nothing was.
        pruned: it was over the budget.
    """

    psnr_db: float | None = None
    macs_per_pixel: float | None = None
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
        space: what may be proposed.
        limit: most MAC per pixel.
        seed: of the search.
        planned: trials of the first rung: about a quarter of them are plain stacks.
    """

    def __init__(self, space: SearchSpace, limit: MacLimit, *, seed: int, planned: int) -> None:
        self.space = space
        self.limit = limit
        self._seed = seed
        self._anchors = min(_MOST_ANCHORS, max(min(2, planned), round(planned / 4)))
        self._asked: set[str] = set()
        self._plain = 0

    def ask(self, ordinal: int) -> Spec:
        """See :meth:`Strategy.ask`."""
        # Seeded by the ordinal: what a restarted service draws does not depend on what was drawn before.
        rng = random.Random(f"{self._seed}:{ordinal}")
        max_macs = self._finite_limit()
        candidates = self._anchors_left(max_macs) if ordinal <= 3 * self._anchors else []
        for spec in candidates:
            if self._accept(spec):
                return spec
        for _ in range(_ATTEMPTS):
            try:
                spec = self.propose(rng, max_macs)
            except SpecError:
                break
            if self._accept(spec):
                return spec
        raise SpaceExhaustedError

    def tell(self, spec: Spec, result: TrialOutcome) -> None:
        """See :meth:`Strategy.tell`."""
        if result.macs_per_pixel and result.seconds_per_megapixel:
            self.limit.measured(result.macs_per_pixel, result.seconds_per_megapixel)
        if result.pruned and _is_plain(spec):
            self._plain -= 1
        self.learn(spec, result)

    def remember(self, spec: Spec, spec_hash: str) -> None:
        """See :meth:`Strategy.remember`."""
        self._asked.add(spec_hash)
        self._plain += _is_plain(spec)

    @abstractmethod
    def propose(self, rng: random.Random, max_macs: float) -> Spec:
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

    def _anchors_left(self, max_macs: float) -> tuple[Spec, ...]:
        # A stack over the budget is worth nothing as an anchor: the next best takes its place.
        return _anchors_within(max_macs, self.space) if self._plain < self._anchors else ()

    def _finite_limit(self) -> float:
        return min(self.limit.value, 1e12)


def _is_plain(spec: Spec) -> bool:
    """Whether the block is one dense 3×3 convolution, as the anchors' is."""
    return spec.block[:-1] == _PLAIN


_PLAIN = Spec.code((1, 1, 3, 0, 0))

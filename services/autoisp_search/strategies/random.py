"""Random search: the baseline that any other strategy has to beat."""

from __future__ import annotations

import random

from autoisp_core.spec import Spec

from autoisp_search.strategies.base import BudgetedStrategy, TrialOutcome


class RandomStrategy(BudgetedStrategy):
    """Draws anew each time."""

    def openers(self) -> tuple[Spec, ...]:
        """None: the baseline is chance alone."""
        return ()

    def propose(self, rng: random.Random) -> Spec:
        """See :meth:`BudgetedStrategy.propose`."""
        return self.draw(rng)

    def learn(self, spec: Spec, result: TrialOutcome) -> None:
        """Nothing: the next draw does not depend on it."""

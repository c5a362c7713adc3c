"""Regularized evolution.

Real, Aggarwal, Huang, Le: "Regularized Evolution for Image Classifier Architecture Search", AAAI 2019.
"""

from __future__ import annotations

import random
from collections import deque

from autoisp_core.spec import Spec

from autoisp_search.strategies.base import BudgetedStrategy, TrialOutcome
from autoisp_search.strategies.budgets import Budget

POPULATION = 16
TOURNAMENT = 6
"""The paper has 100 and 25 for 20,000 trials; a search here has tens of them."""

_WARM_UP = 0.4
_LEAST_WARM_UP = 4


class EvolutionStrategy(BudgetedStrategy):
    """The last told succeeded specs are the population; the best of a random few is mutated.

    Age, not quality, removes a spec from the population: what was only lucky is soon forgotten.
    """

    def __init__(self, budget: Budget, *, seed: int, planned: int) -> None:
        super().__init__(budget, seed=seed, planned=planned)
        self._population: deque[tuple[float, Spec]] = deque(maxlen=POPULATION)
        self._warm_up = min(POPULATION, max(_LEAST_WARM_UP, round(_WARM_UP * planned)))

    def propose(self, rng: random.Random) -> Spec:
        """See :meth:`BudgetedStrategy.propose`."""
        if len(self._population) < self._warm_up:
            return self.budget.sample(rng)
        players = rng.sample(list(self._population), min(TOURNAMENT, len(self._population)))
        _, parent = max(players, key=lambda player: player[0])
        return self.budget.mutate(parent, rng)

    def learn(self, spec: Spec, result: TrialOutcome) -> None:
        """Joins the population if it was trained and kept the budget."""
        if result.psnr_db is not None:
            self._population.append((result.psnr_db, spec))

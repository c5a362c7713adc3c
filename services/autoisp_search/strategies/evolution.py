"""Regularized evolution.

Real, Aggarwal, Huang, Le: "Regularized Evolution for Image Classifier Architecture Search", AAAI 2019.
"""

from __future__ import annotations

import random
from collections import deque

from autoisp_core.spec import Spec

from autoisp_search.fronts import best_first
from autoisp_search.strategies.base import BudgetedStrategy, Task, TrialOutcome

POPULATION, MOST_POPULATION = 16, 64
TOURNAMENT = 6
"""The paper has 100 and 25 for 20,000 trials; a search here has tens of them, a long one hundreds."""

_TRIALS_PER_MEMBER = 8
_WARM_UP = 0.4
_LEAST_WARM_UP = 4


class EvolutionStrategy(BudgetedStrategy):
    """The last told succeeded specs are the population; the best of a random few is mutated.

    Age, not quality, removes a spec from the population: what was only lucky is soon forgotten. For a front
    the best of the few is the one of the lowest non-dominated rank, of equals the loneliest.
    """

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        size = min(MOST_POPULATION, max(POPULATION, task.planned // _TRIALS_PER_MEMBER))
        self._population: deque[tuple[tuple[float, ...], Spec]] = deque(maxlen=size)
        self._warm_up = min(size, max(_LEAST_WARM_UP, round(_WARM_UP * task.planned)))

    def propose(self, rng: random.Random) -> Spec:
        """See :meth:`BudgetedStrategy.propose`."""
        if len(self._population) < self._warm_up:
            return self.draw(rng)
        count = len(self._population)
        players = rng.sample(range(count), min(TOURNAMENT, count))
        if self.task.front:
            order = best_first([point for point, _ in self._population])
            places = {index: place for place, index in enumerate(order)}
            winner = min(players, key=lambda player: places[player])
        else:
            winner = min(players, key=lambda player: self._population[player][0])
        return self.vary(self._population[winner][1], rng)

    def learn(self, spec: Spec, result: TrialOutcome) -> None:
        """Joins the population if it was trained and kept the budget; longer training can't be compared."""
        point = self.task.point(spec, result)
        if point is not None and result.rung == 0:
            self._population.append((point, spec))

"""BlockQNN: Q-learning designs the block, layer by layer.

Zhong, Yan, Wu, Shao, Liu: "Practical Block-wise Neural Network Architecture Generation", CVPR 2018.
"""

from __future__ import annotations

import random
from collections.abc import Mapping

from autoisp_core.spec import Spec, canonical_hash, cost

from autoisp_search.strategies.base import BudgetedStrategy, Task, TrialOutcome
from autoisp_search.strategies.blockqnn.affordable import Affordable
from autoisp_search.strategies.blockqnn.decisions import START, Action, Decisions, State, is_terminal
from autoisp_search.strategies.blockqnn.qtable import QTable
from autoisp_search.strategies.blockqnn.reward import density, percent, reward
from autoisp_search.strategies.blockqnn.schedule import (
    BLOCKS_PER_ITERATION,
    epsilon,
    iteration_size,
)

_ATTEMPTS = 40


class BlockQNN(BudgetedStrategy):
    """One Q-table for the whole search; an ε-greedy walk through it designs a network.

    Where it differs from the paper: results are learned as they come, and an iteration's replay follows when
    as many have come as an iteration has blocks, so that no worker waits. Instead of a network that was tried
    before, which the paper takes again from its records, another is designed with more chance in it.
    Decisions after which no network keeps the budget are not open to the agent.
    """

    def __init__(self, task: Task) -> None:
        super().__init__(task)
        self._decisions = Decisions(task.budget.space)
        self._affordable = Affordable(task.budget, self._decisions)
        self._table = QTable(self._decisions)
        self._size = iteration_size(task.planned)
        self._iterations = -(-task.planned // self._size)
        self._memory: list[tuple[tuple[Action, ...], float]] = []

    def propose(self, rng: random.Random) -> Spec:
        """See :meth:`BudgetedStrategy.propose`."""
        chance = self._epsilon()
        share = self.budget.least_share() ** rng.random() if self.task.front else 1.0
        for attempt in range(_ATTEMPTS):
            actions = self._walk(rng, chance + (1 - chance) * attempt / _ATTEMPTS, share)
            if actions is None:
                continue
            spec = self._decisions.spec(actions)
            if canonical_hash(spec) not in self._asked and self.budget.allows(spec):
                return spec
        return self.draw(rng)

    def learn(self, spec: Spec, result: TrialOutcome) -> None:
        """One step of Q-learning, and after every iteration its replay.

        The reward is of early training, as in the paper: results of higher rungs say nothing more here.
        """
        if result.psnr_db is None or result.rung or not self.budget.space.contains(spec):
            return
        worth = reward(
            percent(result.psnr_db, self.task.reference_db), cost(spec).macs_per_pixel, density(spec.block)
        )
        actions = self._decisions.taken(spec)
        self._table.learn(actions, worth)
        self._memory.append((actions, worth))
        if len(self._memory) % self._size == 0:
            self._replay_memory()

    def figures(self) -> Mapping[str, float]:
        """The current ε, and how many pairs of state and action have a value."""
        return {"epsilon": self._epsilon(), "visited_actions": float(len(self._table))}

    def _epsilon(self) -> float:
        return epsilon(len(self._asked) // self._size, self._iterations)

    def _replay_memory(self) -> None:
        rng = random.Random(f"{self.task.seed}:replay:{len(self._memory)}")
        for _ in range(BLOCKS_PER_ITERATION):
            self._table.learn(*rng.choice(self._memory))

    def _walk(self, rng: random.Random, chance: float, share: float) -> tuple[Action, ...] | None:
        """Decisions to the end, each at random with that chance; None where no way keeps the budget."""
        actions: list[Action] = []
        state: State = START
        while not is_terminal(state):
            if rng.random() < chance:
                ordered = list(self._decisions.after(state))
                rng.shuffle(ordered)
            else:
                ordered = self._table.preferred(state, rng)
            chosen = next((action for action in ordered if self._affordable(actions, action, share)), None)
            if chosen is None:
                return None
            actions.append(chosen)
            state = chosen
        return tuple(actions)

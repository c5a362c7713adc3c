"""The table of Q-values, and how it learns."""

from __future__ import annotations

import random
from collections.abc import Sequence

from autoisp_search.strategies.blockqnn.decisions import START, Action, Decisions, State

ALPHA, GAMMA, Q0 = 0.01, 1.0, 0.5


class QTable:
    """Q(state, action) for every decision; what was never visited has Q₀.

    Args:
        decisions: which actions a state allows.
    """

    def __init__(self, decisions: Decisions) -> None:
        self._decisions = decisions
        self._values: dict[State, dict[Action, float]] = {}

    def __len__(self) -> int:
        """How many pairs of state and action were visited."""
        return sum(map(len, self._values.values()))

    def value(self, state: State, action: Action) -> float:
        """Q(state, action)."""
        return self._values.get(state, {}).get(action, Q0)

    def best(self, state: State) -> float:
        """max Q over the actions that the state allows."""
        visited, allowed = self._values.get(state, {}), len(self._decisions.after(state))
        values = [*visited.values(), Q0] if len(visited) < allowed else visited.values()
        return max(values)

    def preferred(self, state: State, rng: random.Random) -> list[Action]:
        """The allowed actions, highest Q first, equal ones in random order."""
        actions = list(self._decisions.after(state))
        rng.shuffle(actions)
        visited = self._values.get(state, {})
        return sorted(actions, key=lambda action: -visited.get(action, Q0)) if visited else actions

    def learn(self, actions: Sequence[Action], reward: float) -> None:
        """Updates the values along a finished block, the last decision first.

        The last: Q ← (1 − α)·Q + α·r. Those before: Q ← (1 − α)·Q + α·(r / T + γ·max Q(next)), with T
        decisions in all. Without such shaping of a reward that comes at the end only, the terminal's value
        would rise long before the others', and blocks would end too early.
        """
        shaped = reward / len(actions)
        for position in range(len(actions) - 1, -1, -1):
            action, state = actions[position], actions[position - 1] if position else START
            last = position == len(actions) - 1
            target = reward if last else shaped + GAMMA * self.best(action)
            visited = self._values.setdefault(state, {})
            visited[action] = (1 - ALPHA) * visited.get(action, Q0) + ALPHA * target

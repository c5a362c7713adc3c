"""Which decisions still lead to a network within the budget."""

from __future__ import annotations

from collections.abc import Sequence

from autoisp_core.spec import Spec

from autoisp_search.strategies.blockqnn.decisions import Action, Decisions, is_terminal
from autoisp_search.strategies.budgets import Budget


class Affordable:
    """Judges a decision by the cheapest way on: for a number that of the cheapest block and further numbers,
    for a layer that of ending the block with it.

    Args:
        budget: what networks may cost.
        decisions: the process.
    """

    def __init__(self, budget: Budget, decisions: Decisions) -> None:
        self._budget = budget
        self._decisions = decisions
        self._cheapest = budget.space.cheapest()
        self._least: dict[tuple[Action, ...], float] = {}

    def __call__(self, before: Sequence[Action], action: Action, share: float) -> bool:
        """Whether ``action`` may follow ``before`` if that share of the budget is to be kept."""
        if is_terminal(action):
            return True  # judged at the layer before
        if isinstance(action[0], str):
            # Measurements change what all networks take by one factor, so ratios to the cheapest stay.
            return self._ratio((*before, action)) * self._budget.share(self._cheapest) <= share
        return self._budget.share(self._decisions.spec((*before, action))) <= share

    def _ratio(self, numbers: tuple[Action, ...]) -> float:
        """What the cheapest network with these numbers costs, in units of the cheapest of all."""
        known = self._least.get(numbers)
        if known is None:
            further = self._decisions.after(numbers[-1])
            if isinstance(further[0][0], str):
                known = min(self._ratio((*numbers, action)) for action in further)
            else:
                known = self._closed(numbers)
            self._least[numbers] = known
        return known

    def _closed(self, numbers: tuple[Action, ...]) -> float:
        block: list[Action] = [layer.as_tuple() for layer in self._cheapest.block]
        spec: Spec = self._decisions.spec((*numbers, *block))
        if not self._budget.space.contains(spec):
            return float("inf")
        return self._budget.share(spec) / self._budget.share(self._cheapest)

"""Which decisions still lead to a network within the budget."""

from __future__ import annotations

from collections.abc import Sequence

from autoisp_core.spec import Spec, cost

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
        self._block = [layer.as_tuple() for layer in budget.space.cheapest().block]
        self._cheapest: dict[tuple[Action, ...], Spec | None] = {}

    def __call__(self, before: Sequence[Action], action: Action, share: float) -> bool:
        """Whether ``action`` may follow ``before`` if that share of the budget is to be kept."""
        if is_terminal(action):
            return True  # judged at the layer before
        if isinstance(action[0], str):
            cheapest = self._with((*before, action))
            return cheapest is not None and self._budget.share(cheapest) <= share
        return self._budget.share(self._decisions.spec((*before, action))) <= share

    def _with(self, numbers: tuple[Action, ...]) -> Spec | None:
        """The network of the fewest MAC with these numbers; None if the space has none.

        It stays the same however fast the budget learns networks to be, so it is found once.
        """
        if numbers not in self._cheapest:
            further = self._decisions.after(numbers[-1])
            if isinstance(further[0][0], str):
                found = [self._with((*numbers, action)) for action in further]
            else:
                spec = self._decisions.spec((*numbers, *self._block))
                found = [spec if self._budget.space.contains(spec) else None]
            specs = [spec for spec in found if spec is not None]
            self._cheapest[numbers] = min(specs, key=_macs, default=None)
        return self._cheapest[numbers]


def _macs(spec: Spec) -> float:
    return cost(spec).macs_per_pixel

"""Who goes up a rung next. Trials join as they end; finding the next one does not take a sort of them all."""

from __future__ import annotations

from bisect import bisect_left, insort
from dataclasses import dataclass
from typing import Protocol

from autoisp_search.fronts import crowding, dominates


@dataclass(frozen=True, slots=True)
class Standing:
    """How a trial did.

    Attributes:
        aside: whether it is over the budget or hopelessly bad; then anything else comes first.
        point: the objectives in their order, less is better in each.
        ties: what decides between equal points; ends with the trial's id.
    """

    aside: bool
    point: tuple[float, ...]
    ties: tuple[float | str, ...]
    trial_id: str


class Ranking(Protocol):
    """The successful trials of one rung."""

    def add(self, standing: Standing) -> None:
        """A trial has succeeded."""
        ...

    def promote(self, trial_id: str) -> None:
        """This one has gone up; it stays what others are compared with."""
        ...

    def best(self) -> str | None:
        """The best that has not gone up, or None."""
        ...


class OrderRanking:
    """By one objective."""

    def __init__(self) -> None:
        self._waiting: list[tuple[tuple[object, ...], str]] = []
        self._keys: dict[str, tuple[tuple[object, ...], str]] = {}

    def add(self, standing: Standing) -> None:
        """See :meth:`Ranking.add`."""
        entry = ((standing.aside, standing.point, standing.ties), standing.trial_id)
        self._keys[standing.trial_id] = entry
        insort(self._waiting, entry)

    def promote(self, trial_id: str) -> None:
        """See :meth:`Ranking.promote`."""
        del self._waiting[bisect_left(self._waiting, self._keys.pop(trial_id))]

    def best(self) -> str | None:
        """See :meth:`Ranking.best`."""
        return self._waiting[0][1] if self._waiting else None


class FrontRanking:
    """By non-dominated rank, within a front the loneliest first: what goes up is spread over the costs."""

    def __init__(self) -> None:
        self._usual, self._aside = _Fronts(), _Fronts()
        self._promoted: set[str] = set()

    def add(self, standing: Standing) -> None:
        """See :meth:`Ranking.add`."""
        (self._aside if standing.aside else self._usual).add(standing)

    def promote(self, trial_id: str) -> None:
        """See :meth:`Ranking.promote`."""
        self._promoted.add(trial_id)

    def best(self) -> str | None:
        """See :meth:`Ranking.best`."""
        return self._usual.best(self._promoted) or self._aside.best(self._promoted)


class _Fronts:
    """Non-dominated sorting, one point at a time.

    If a front has a dominator of a point, so has each before it: the point's front is found by bisection.
    What it dominates there moves one front down, and so on; few do.
    """

    def __init__(self) -> None:
        self._fronts: list[list[Standing]] = []

    def add(self, standing: Standing) -> None:
        low, high = 0, len(self._fronts)
        while low < high:
            middle = (low + high) // 2
            if any(dominates(other.point, standing.point) for other in self._fronts[middle]):
                low = middle + 1
            else:
                high = middle
        moved = [standing]
        while moved:
            if low == len(self._fronts):
                self._fronts.append([])
            stays: list[Standing] = []
            falls: list[Standing] = []
            for member in self._fronts[low]:
                beaten = any(dominates(newcomer.point, member.point) for newcomer in moved)
                (falls if beaten else stays).append(member)
            self._fronts[low] = stays + moved
            moved, low = falls, low + 1

    def best(self, promoted: set[str]) -> str | None:
        for front in self._fronts:
            waiting = [index for index, member in enumerate(front) if member.trial_id not in promoted]
            if waiting:
                alone = crowding([member.point for member in front])
                index = min(waiting, key=lambda index: (-alone[index], front[index].point, front[index].ties))
                return front[index].trial_id
        return None

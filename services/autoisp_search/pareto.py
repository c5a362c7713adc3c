"""Which trials are worth having: the best within the budget, and the front of quality against cost."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

from autoisp_search.domain import Objective, Search, Trial, TrialState
from autoisp_search.fronts import dominates
from autoisp_search.ranking import Standing

HOPELESS_DB = 3.0
"""So far below the prototype a network is of no use, however cheap. The cheapest end of a front may be such a
one, and would go up for its loneliness."""

_UNKNOWN = float("inf")


def succeeded(trial: Trial) -> bool:
    """Whether there is a network and its quality."""
    return trial.state is TrialState.SUCCEEDED and trial.quality is not None


def standing(search: Search, trial: Trial, seconds: float) -> Standing:
    """How a successful trial stands under the search's objectives and limits.

    Args:
        search: its objectives and limits.
        trial: a successful one.
        seconds: per megapixel; the least that was measured of the spec, since what else the machine had to do
            only ever adds time.
    """
    macs = _macs(trial)
    aside = _over(search, trial, seconds) or _hopeless(search, trial)
    point = _point(search.settings.objectives, trial, seconds)
    return Standing(aside, point, (macs, seconds, trial.trial_id), trial.trial_id)


def best_of(search: Search, trials: Sequence[Trial], seconds: Mapping[str, float]) -> Trial:
    """The one to hand over: within the budget, then PSNR, then cost, then age.

    Args:
        search: its limits.
        trials: successful ones, at least one.
        seconds: per megapixel, the least that was measured, by hash of the spec.
    """

    def key(trial: Trial) -> tuple[object, ...]:
        least = seconds.get(trial.spec_hash, _UNKNOWN)
        # Not what is set aside for its quality: hopeless is still better than over the budget.
        return (_over(search, trial, least), _loss(trial), standing(search, trial, least).ties)

    return min(trials, key=key)


class _Member(NamedTuple):
    point: tuple[float, ...]
    rung: int
    trial_id: str


class ParetoFront:
    """The trials that no other beats in all objectives; MAC per pixel stands beside quality alone.

    A spec counts once, with its highest fidelity.

    Args:
        objectives: of the search.
    """

    def __init__(self, objectives: tuple[Objective, ...]) -> None:
        alone = objectives == (Objective.QUALITY,)
        self._objectives = (Objective.QUALITY, Objective.MACS) if alone else objectives
        self._latest: dict[str, _Member] = {}
        self._front: dict[str, _Member] = {}

    def add(self, trial: Trial) -> None:
        """A trial has succeeded."""
        known = self._latest.get(trial.spec_hash)
        if known is not None and known.rung >= trial.rung:
            return
        seconds = trial.cost.seconds_per_megapixel if trial.cost else _UNKNOWN
        member = _Member(_point(self._objectives, trial, seconds), trial.rung, trial.trial_id)
        self._latest[trial.spec_hash] = member
        if known is not None and self._front.pop(trial.spec_hash, None) is not None:
            # What it alone held down comes up again, unless its own later figures still do.
            for spec_hash, other in self._latest.items():
                if dominates(known.point, other.point) or known.point == other.point:
                    self._insert(spec_hash, other)
        self._insert(trial.spec_hash, member)

    def trial_ids(self) -> tuple[str, ...]:
        """Cheapest first."""
        members = sorted(self._front.values(), key=lambda member: (*member.point[1:], *member.point[:1]))
        return tuple(member.trial_id for member in members)

    def _insert(self, spec_hash: str, member: _Member) -> None:
        others = self._front.values()
        # Of equals the first stays alone.
        if any(dominates(other.point, member.point) or other.point == member.point for other in others):
            return
        self._front = {
            key: other for key, other in self._front.items() if not dominates(member.point, other.point)
        }
        self._front[spec_hash] = member


def pareto_front(
    trials: Iterable[Trial], objectives: tuple[Objective, ...] = (Objective.QUALITY,)
) -> tuple[str, ...]:
    """Ids of the successful trials on the front, cheapest first; see :class:`ParetoFront`."""
    front = ParetoFront(objectives)
    for trial in filter(succeeded, trials):
        front.add(trial)
    return front.trial_ids()


def _point(objectives: tuple[Objective, ...], trial: Trial, seconds: float) -> tuple[float, ...]:
    values = {Objective.QUALITY: _loss(trial), Objective.MACS: _macs(trial), Objective.LATENCY: seconds}
    return tuple(values[objective] for objective in objectives)


def _over(search: Search, trial: Trial, seconds: float) -> bool:
    return (search.macs_limit is not None and _macs(trial) > search.macs_limit) or (
        search.seconds_limit is not None and seconds > search.seconds_limit
    )


def _hopeless(search: Search, trial: Trial) -> bool:
    prototype = search.profile.quality if search.profile else None
    return prototype is not None and -_loss(trial) < prototype.psnr_db - HOPELESS_DB


def _loss(trial: Trial) -> float:
    # A thousandth of a decibel is noise: let the cost decide there.
    return -round(trial.quality.psnr_db, 3) if trial.quality else _UNKNOWN


def _macs(trial: Trial) -> float:
    macs = trial.cost.macs_per_pixel if trial.cost else None
    return _UNKNOWN if macs is None else macs

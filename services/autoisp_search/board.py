"""The trials of one search, arranged so that ten thousand of them don't slow a decision down."""

from __future__ import annotations

from bisect import insort
from collections import Counter, defaultdict
from collections.abc import Iterable

from autoisp_core.spec import Spec

from autoisp_search.domain import Objective, Search, Trial, TrialState
from autoisp_search.donors import Donors
from autoisp_search.pareto import ParetoFront, best_of, standing, succeeded
from autoisp_search.ranking import FrontRanking, OrderRanking, Ranking
from autoisp_search.strategies.latency import LatencyModel
from autoisp_search.worktime import WorkTime


class Board:
    """What has been started, what came of it, and what would go up next.

    Args:
        search: running, so that its limits are known.
        trials: what there is so far, in any order.
    """

    def __init__(self, search: Search, trials: Iterable[Trial] = ()) -> None:
        self._search = search
        self._trials: dict[str, Trial] = {}
        self._hashes: set[str] = set()
        self._in_flight: defaultdict[int, set[str]] = defaultdict(set)
        self._rankings: defaultdict[int, Ranking] = defaultdict(
            OrderRanking if search.settings.objectives == (Objective.QUALITY,) else FrontRanking
        )
        self._seconds: dict[str, float] = {}
        self._errors: list[float] = []
        self.asked: Counter[int] = Counter()
        self.started: Counter[int] = Counter()
        """Trials by rung, without those that were over the budget and never ran."""
        self.finished: Counter[int] = Counter()
        self.successes: Counter[int] = Counter()
        self.pruned = 0
        self.worktime = WorkTime()
        self.latency = LatencyModel()
        self.donors = Donors()
        self.front = ParetoFront(search.settings.objectives)
        # As it went: what depends on the order of results is then as it would be if nothing had stopped.
        for trial in sorted(trials, key=_as_it_went):
            self.put(trial)

    def put(self, trial: Trial) -> None:
        """A trial is new or has changed."""
        before = self._trials.get(trial.trial_id)
        self._trials[trial.trial_id] = trial
        if before is None:
            self._start(trial)
        if trial.state.final and not (before and before.state.final):
            self._end(trial)

    def get(self, trial_id: str) -> Trial | None:
        """The trial, or None."""
        return self._trials.get(trial_id)

    def trials(self) -> list[Trial]:
        """All, the earliest started first within a rung."""
        return list(self._trials.values())

    def tried(self, spec_hash: str) -> bool:
        """Whether the first rung has had this spec."""
        return spec_hash in self._hashes

    def in_flight(self, *rungs: int) -> int:
        """Trials that have not ended, of these rungs or of all."""
        return sum(len(self._in_flight[rung]) for rung in rungs or list(self._in_flight))

    def holding(self, rung: int) -> int:
        """Places of the rung that are taken: by trials that have succeeded or not ended."""
        return self.started[rung] - self.finished[rung] + self.successes[rung]

    def unfinished(self) -> list[Trial]:
        """The trials that have not ended, by rung and ordinal."""
        names = [name for names in self._in_flight.values() for name in names]
        found = [self._trials[name] for name in names]
        return sorted(found, key=lambda trial: (trial.rung, trial.ordinal))

    def next_up(self, rung: int) -> Trial | None:
        """The best success of the rung that has not gone up yet."""
        found = self._rankings[rung].best()
        return None if found is None else self._trials[found]

    def winner(self) -> Trial | None:
        """The best of the highest rung with a success, since training goes on from rung to rung, or None."""
        top = max((rung for rung, count in self.successes.items() if count), default=None)
        if top is None:
            return None
        found = [trial for trial in self._trials.values() if trial.rung == top and succeeded(trial)]
        return best_of(self._search, found, self._seconds)

    def latency_error_percent(self) -> float | None:
        """Median of how far predictions were from what was measured after; None before any."""
        count = len(self._errors)
        return 50 * (self._errors[count // 2] + self._errors[~(count // 2)]) if count else None

    def _start(self, trial: Trial) -> None:
        self.asked[trial.rung] += 1
        self.started[trial.rung] += 1
        self._in_flight[trial.rung].add(trial.trial_id)
        if trial.rung == 0:
            self._hashes.add(trial.spec_hash)
        if trial.parent:
            self._rankings[self._trials[trial.parent].rung].promote(trial.parent)

    def _end(self, trial: Trial) -> None:
        self._in_flight[trial.rung].discard(trial.trial_id)
        self.worktime.add(trial)
        self._measure(trial)
        if trial.state is TrialState.PRUNED:
            self.pruned += 1
            self.started[trial.rung] -= 1
            return
        self.finished[trial.rung] += 1
        if succeeded(trial):
            self.successes[trial.rung] += 1
            seconds = self._seconds.get(trial.spec_hash, float("inf"))
            self._rankings[trial.rung].add(standing(self._search, trial, seconds))
            self.front.add(trial)
            if self._search.settings.training.inherit_weights:
                self.donors.add(trial)

    def _measure(self, trial: Trial) -> None:
        measured = trial.cost.seconds_per_megapixel if trial.cost else 0.0
        if not measured:
            return
        if trial.state is TrialState.SUCCEEDED:
            known = self._seconds.get(trial.spec_hash, measured)
            self._seconds[trial.spec_hash] = min(known, measured)
        if trial.rung == 0:
            self.latency.measured(Spec.from_json(trial.spec), measured)
            if trial.predicted_seconds_per_megapixel is not None:
                insort(self._errors, abs(trial.predicted_seconds_per_megapixel / measured - 1))


def _as_it_went(trial: Trial) -> tuple[float, int, int]:
    return (float("inf") if trial.told is None else trial.told, trial.rung, trial.ordinal)

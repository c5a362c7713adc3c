"""How far a search is, from what its watch has told so far."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field

from autoisp.search.v1 import search_pb2

TRIAL_OVERHEAD_SECONDS = 3.0
"""About what a trial takes beside its training: export, gate, validation."""

_ENDED = frozenset(
    {
        search_pb2.TRIAL_STATE_SUCCEEDED,
        search_pb2.TRIAL_STATE_FAILED,
        search_pb2.TRIAL_STATE_PRUNED,
        search_pb2.TRIAL_STATE_CANCELLED,
    }
)


@dataclass(frozen=True)
class RungProgress:
    """How far one rung is; several are on their way at once.

    Attributes:
        planned: trials, as far as is known by now.
        done: trials that are through, the pruned ones left out: those cost nothing.
    """

    planned: int
    done: int
    running: int


@dataclass
class SearchProgress:
    """A search and its trials, kept up to date by :meth:`apply`.

    Attributes:
        history: best PSNR after each trial that was judged.
    """

    search: search_pb2.Search = field(default_factory=search_pb2.Search)
    trials: dict[str, search_pb2.Trial] = field(default_factory=dict)
    clock: Callable[[], float] = time.monotonic
    history: list[float] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._start = self.clock()
        self._done_at_start: float | None = None

    def apply(self, update: search_pb2.SearchUpdate) -> search_pb2.Trial | None:
        """Takes one update in; returns the trial if it is one that has ended just now."""
        if update.WhichOneof("change") == "search":
            self.search = update.search
            return None
        trial = update.trial
        before = self.trials.get(trial.name)
        self.trials[trial.name] = trial
        if trial.state not in _ENDED or (before is not None and before.state in _ENDED):
            return None
        if trial.state == search_pb2.TRIAL_STATE_SUCCEEDED:
            self.history.append(max([trial.quality.psnr_db, *self.history[-1:]]))
        return trial

    def count(self, *states: search_pb2.TrialState.ValueType) -> int:
        """Trials in one of the states."""
        return sum(trial.state in states for trial in self.trials.values())

    @property
    def ended(self) -> int:
        """Trials that are through, well or not, the pruned ones left out: those cost nothing."""
        return sum(map(_took_its_turn, self.trials.values()))

    def rungs(self) -> list[RungProgress]:
        """Each rung of the plan, cheapest first."""
        found = []
        for index, rung in enumerate(self.search.rungs):
            trials = [trial for trial in self.trials.values() if trial.rung == index]
            done = sum(_took_its_turn(trial) for trial in trials)
            running = sum(trial.state == search_pb2.TRIAL_STATE_RUNNING for trial in trials)
            # With the clock, the first rung may grow beyond its plan.
            found.append(RungProgress(max(rung.trials, done + running), done, running))
        return found

    def front(self) -> list[search_pb2.Trial]:
        """The trials that no other beats in all objectives so far, cheapest first."""
        return [self.trials[name] for name in self.search.pareto_trials if name in self.trials]

    def best(self, count: int = 1) -> list[search_pb2.Trial]:
        """The trials of the highest quality, one per architecture, best first."""
        succeeded = [t for t in self.trials.values() if t.state == search_pb2.TRIAL_STATE_SUCCEEDED]
        ranked = sorted(succeeded, key=lambda trial: trial.quality.psnr_db, reverse=True)
        return list({trial.spec_hash: trial for trial in reversed(ranked)}.values())[::-1][:count]

    @property
    def fraction(self) -> float:
        """Share of the planned training that is done, 0 to 1."""
        planned = self._planned()
        return min(1.0, self._done() / planned) if planned > 0 else 0.0

    def seconds_left(self) -> float | None:
        """Until the training ends; None before there is anything to go by.

        Rungs in seconds tell it themselves; rungs in steps are extrapolated from this run.
        """
        if self.search.state != search_pb2.SEARCH_STATE_RUNNING:
            return None
        if all(rung.WhichOneof("fidelity") == "seconds" for rung in self.search.rungs):
            return self._planned_seconds_left()
        fraction = self.fraction
        if self._done_at_start is None:
            self._done_at_start, self._start = fraction, self.clock()
        gained, elapsed = fraction - self._done_at_start, self.clock() - self._start
        if gained < 0.02 or elapsed < 2:
            return None
        return (1 - fraction) * elapsed / gained

    def _planned_seconds_left(self) -> float:
        trials = sum(rung.planned - rung.done for rung in self.rungs())
        ahead = max(0.0, self._planned() - self._done()) + trials * TRIAL_OVERHEAD_SECONDS
        return ahead / max(1, self.search.max_parallel_trials)

    def _planned(self) -> float:
        efforts = map(_effort, self.search.rungs)
        return sum(rung.planned * effort for rung, effort in zip(self.rungs(), efforts, strict=True))

    def _done(self) -> float:
        done = 0.0
        for trial in self.trials.values():
            if trial.rung >= len(self.search.rungs) or trial.state == search_pb2.TRIAL_STATE_PRUNED:
                continue
            share = 1.0 if trial.state in _ENDED else trial.progress
            done += share * _effort(self.search.rungs[trial.rung])
        return done


def _took_its_turn(trial: search_pb2.Trial) -> bool:
    return trial.state in _ENDED and trial.state != search_pb2.TRIAL_STATE_PRUNED


def _effort(rung: search_pb2.Rung) -> float:
    return float(rung.steps) if rung.WhichOneof("fidelity") == "steps" else rung.seconds

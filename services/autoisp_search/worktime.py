"""What finished trials tell of time: how long, by how many workers, and what comes on top of training."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from datetime import datetime

from autoisp_search.domain import Trial, TrialState

OVERHEAD_SECONDS = 3.0
"""What a trial takes beside its training (export, gate, validation, artifacts) until it is measured."""


class WorkTime:
    """Adds up recorded times alone, so pauses when everything was switched off don't count."""

    def __init__(self) -> None:
        self._busy = 0.0
        self._overheads: list[float] = []
        # Disjoint stretches in which at least one trial was being worked on, oldest first.
        self._begins: list[datetime] = []
        self._ends: list[datetime] = []
        self._elapsed = 0.0

    def add(self, trial: Trial) -> None:
        """A trial has ended."""
        if not trial.busy_seconds or trial.start_time is None or trial.end_time is None:
            return
        self._busy += trial.busy_seconds
        self._cover(trial.start_time, trial.end_time)
        if trial.state is TrialState.SUCCEEDED and trial.train_seconds:
            insort(self._overheads, trial.busy_seconds - trial.train_seconds)

    @property
    def elapsed(self) -> float:
        """Seconds in which at least one of the trials was being worked on."""
        return self._elapsed

    @property
    def overhead(self) -> float:
        """Seconds that a trial takes beside its training, on these workers: the median."""
        if not self._overheads:
            return OVERHEAD_SECONDS
        middle = len(self._overheads) // 2
        median = (self._overheads[middle] + self._overheads[~middle]) / 2
        return max(0.0, median)

    def present(self, workers: int) -> int:
        """How many of so many workers were really there."""
        return min(workers, max(1, round(self._busy / self._elapsed))) if self._elapsed else workers

    def _cover(self, begin: datetime, end: datetime) -> None:
        first, last = bisect_left(self._ends, begin), bisect_right(self._begins, end)
        for index in range(first, last):
            begin, end = min(begin, self._begins[index]), max(end, self._ends[index])
            self._elapsed -= (self._ends[index] - self._begins[index]).total_seconds()
        self._begins[first:last] = [begin]
        self._ends[first:last] = [end]
        self._elapsed += (end - begin).total_seconds()

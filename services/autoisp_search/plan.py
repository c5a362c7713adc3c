"""The service's own plan of successive halving, and how it follows the clock."""

from __future__ import annotations

from collections.abc import Iterable
from statistics import median

from autoisp_search.domain import Rung, Trial, TrialState

FIRST_SHARE = 0.4
"""Share of the time that the first rung gets; the last one gets as much."""
MIDDLE_SHARE = 0.2

OVERHEAD_SECONDS = 3.0
"""What a trial takes beside its training (export, gate, validation, artifacts) until it is measured."""

_SHORTEST, _USUAL, _LONGEST, _LEAST = 6.0, 12.0, 60.0, 2.0
_FEWEST_TRIALS, _WANTED_TRIALS, _MANY_TRIALS = 4, 16, 48
_MIDDLE_TRIALS, _MIDDLE_PART = 4, 8
_SECOND_FINALIST_SECONDS = 180.0


def default_plan(max_duration_seconds: float, workers: int) -> tuple[Rung, ...]:
    """Two or three rungs that fill the duration on so many workers.

    About 40 % of the time goes to many short trials, 20 % to the few best of them, 40 % to the finalists.
    When there is too little time for a middle rung, its share is the last one's.

    Example:
        >>> [(rung.trials, rung.seconds) for rung in default_plan(300, 2)]
        [(16, 12.0), (4, 27.0), (2, 117.0)]
    """
    total = max_duration_seconds * workers
    first = _first_rung(FIRST_SHARE * total)
    last_share = 1 - FIRST_SHARE
    middle: tuple[Rung, ...] = ()
    count = _middle_trials(first.trials, workers)
    seconds = _seconds(MIDDLE_SHARE * total / count)
    if 2 * count <= first.trials and seconds > (first.seconds or 0.0):
        middle = (Rung(count, seconds=seconds),)
        last_share -= MIDDLE_SHARE
    finalists = _finalists(workers, last_share * max_duration_seconds, (middle or (first,))[-1].trials)
    rounds = -(-finalists // workers)
    return (first, *middle, Rung(finalists, seconds=_seconds(last_share * max_duration_seconds / rounds)))


def fitted_plan(
    plan: tuple[Rung, ...], index: int, trials: Iterable[Trial], max_duration: float, workers: int
) -> tuple[Rung, ...]:
    """The plan with rung ``index`` (from 1) fitted to what happened so far.

    It gets the time that is really left, for the workers that were really there, less what trials really took
    beside their training. A middle rung that would not look longer at fewer trials is left out.
    """
    finished = [trial for trial in trials if trial.busy_seconds]
    elapsed = elapsed_seconds(finished)
    busy = sum(trial.busy_seconds for trial in finished)
    present = min(workers, max(1, round(busy / elapsed))) if elapsed else workers
    left, overhead = max_duration - elapsed, _overhead(finished)
    candidates = sum(trial.rung == index - 1 and trial.state is TrialState.SUCCEEDED for trial in finished)

    def fitted(count: int, seconds: float) -> Rung:
        rounds = -(-count // present)
        return Rung(count, seconds=_seconds(seconds / rounds, overhead))

    if index < len(plan) - 1:
        count = min(plan[index].trials, max(present, candidates // 2))
        middle = fitted(count, left * MIDDLE_SHARE / (1 - FIRST_SHARE))
        if count > plan[-1].trials and (middle.seconds or 0) >= (plan[0].seconds or 0):
            return (*plan[:index], middle, *plan[index + 1 :])
        plan = (*plan[:index], *plan[index + 1 :])
    finalists = _finalists(present, left, max(1, min(plan[index].trials, candidates)))
    return (*plan[:index], fitted(finalists, left))


def first_rung_over(trials: Iterable[Trial], rung: Rung, max_duration: float) -> bool:
    """Whether one more trial would bring the first rung further from its share of the time."""
    finished = [trial for trial in trials if trial.busy_seconds]
    expected = (rung.seconds or 0.0) + _overhead(finished)
    return elapsed_seconds(finished) + expected / 2 > FIRST_SHARE * max_duration


def elapsed_seconds(trials: Iterable[Trial]) -> float:
    """How long at least one of the finished trials was being worked on.

    Wall time without the pauses when everything was switched off, from the recorded times alone.
    """
    spans = sorted(
        (trial.start_time, trial.end_time) for trial in trials if trial.start_time and trial.end_time
    )
    total, covered = 0.0, None
    for start, end in spans:
        begin = start if covered is None else max(start, covered)
        total += max(0.0, (end - begin).total_seconds())
        covered = end if covered is None else max(end, covered)
    return total


def _first_rung(worker_seconds: float) -> Rung:
    seconds = min(_USUAL, max(_SHORTEST, worker_seconds / _WANTED_TRIALS - OVERHEAD_SECONDS))
    # Long searches look longer at each rather than at ever more.
    seconds = min(_LONGEST, max(seconds, worker_seconds / _MANY_TRIALS - OVERHEAD_SECONDS))
    count = int(worker_seconds / (seconds + OVERHEAD_SECONDS))
    if count < _FEWEST_TRIALS:
        seconds = min(_USUAL, max(_LEAST, worker_seconds / _FEWEST_TRIALS - OVERHEAD_SECONDS))
        count = max(1, int(worker_seconds / (seconds + OVERHEAD_SECONDS)))
    return Rung(count, seconds=round(seconds, 1))


def _middle_trials(first: int, workers: int) -> int:
    return max(_MIDDLE_TRIALS, workers, first // _MIDDLE_PART)


def _finalists(workers: int, seconds: float, candidates: int) -> int:
    # One worker is better off with one network trained long, until there is time for two.
    wanted = 2 if workers == 1 and seconds >= 2 * _SECOND_FINALIST_SECONDS else workers
    return min(wanted, candidates)


def _overhead(finished: Iterable[Trial]) -> float:
    """Seconds that a trial takes beside its training, on these workers."""
    measured = [
        trial.busy_seconds - trial.train_seconds
        for trial in finished
        if trial.state is TrialState.SUCCEEDED and trial.train_seconds
    ]
    return max(0.0, median(measured)) if measured else OVERHEAD_SECONDS


def _seconds(slot: float, overhead: float = OVERHEAD_SECONDS) -> float:
    return round(max(_LEAST, slot - overhead), 1)

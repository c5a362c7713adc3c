"""The service's own plan: how many trials, how long each, and how the last follow the clock."""

from __future__ import annotations

from dataclasses import replace

from autoisp_search.domain import Rung, SearchSettings
from autoisp_search.worktime import OVERHEAD_SECONDS, WorkTime

FIRST_SHARE = 0.4
"""Share of the time that the first rung gets; the last one gets as much."""
MIDDLE_SHARE = 0.2

LESSON_SHARE = 0.1
"""How long the prototype may make lessons, as a share of the training time that comes after."""

_LESSON_SECONDS = (5.0, 20.0, 120.0)
"""The least, those of a search without a clock, and the most."""
_SHORTEST, _USUAL, _LONGEST, _LEAST = 6.0, 20.0, 60.0, 2.0
_FEWEST_TRIALS, _WANTED_TRIALS, _MANY_TRIALS, _MOST_TRIALS = 4, 12, 48, 10_000
_MIDDLE_TRIALS, _MIDDLE_PART = 4, 8
_SECOND_FINALIST_SECONDS = 180.0


def plan_of(settings: SearchSettings) -> tuple[Rung, ...]:
    """The user's own rungs, else a plan that fills the time, else one for so many trials."""
    workers, trials = settings.max_parallel_trials, settings.max_trials
    if settings.rungs:
        return settings.rungs
    if settings.max_duration_seconds is not None:
        return default_plan(settings.max_duration_seconds, workers, trials)
    return plan_for_trials(trials or 1, workers)


def default_plan(
    max_duration_seconds: float, workers: int, max_trials: int | None = None
) -> tuple[Rung, ...]:
    """Two or three rungs that fill the duration on so many workers.

    About 40 % of the time goes to many short trials, 20 % to the few best of them, 40 % to the finalists.
    When there is too little time for a middle rung, its share is the last one's.

    Example:
        >>> [(rung.trials, rung.seconds) for rung in default_plan(300, 2)]
        [(12, 17.0), (4, 27.0), (2, 117.0)]
    """
    total = max_duration_seconds * workers
    first = _first_rung(FIRST_SHARE * total)
    if max_trials is not None:
        first = replace(first, trials=min(first.trials, max_trials))
    return _with_later_rungs(first, total, workers)


def plan_for_trials(max_trials: int, workers: int) -> tuple[Rung, ...]:
    """Two or three rungs that begin with so many trials, each looked at for the usual time.

    The shares of the rungs are those of :func:`default_plan`; how long it takes follows.

    Example:
        >>> [(rung.trials, rung.seconds) for rung in plan_for_trials(12, 2)]
        [(12, 20.0), (4, 31.5), (2, 135.0)]
    """
    workers = min(workers, max_trials)  # more have nothing to do, so they shorten nothing
    first = Rung(max_trials, seconds=_USUAL)
    return _with_later_rungs(first, max_trials * (_USUAL + OVERHEAD_SECONDS) / FIRST_SHARE, workers)


def lesson_seconds(settings: SearchSettings) -> float:
    """About how long the prototype may make lessons; 0 if nobody wants any."""
    training = settings.training
    if not (training.taught_on_truth or training.taught_on_real_raw):
        return 0.0
    least, usual, most = _LESSON_SECONDS
    duration = _training_seconds(settings)
    return usual if duration is None else min(most, max(least, LESSON_SHARE * duration))


def _training_seconds(settings: SearchSettings) -> float | None:
    """How long the whole of the training takes; None if only its steps are known."""
    if not settings.rungs:
        return settings.max_duration_seconds
    if any(rung.seconds is None for rung in settings.rungs):
        return None
    return sum(rung.trials * (rung.seconds or 0.0) for rung in settings.rungs) / settings.max_parallel_trials


def finalists(plan: tuple[Rung, ...], worktime: WorkTime, max_duration: float, workers: int) -> int:
    """How many networks the last rung trains, for the workers that were really there."""
    return _finalists(worktime.present(workers), max_duration - worktime.elapsed, plan[-2].trials)


def finalist_seconds(worktime: WorkTime, max_duration: float, workers: int, waiting: int) -> float:
    """How long the next finalist trains: the time that is really left, shared with those it can't run beside.

    Args:
        worktime: of the trials so far.
        max_duration: of the whole search.
        workers: that were planned with.
        waiting: finalists that have not begun, this one included.
    """
    rounds = -(-waiting // worktime.present(workers))
    return _seconds((max_duration - worktime.elapsed) / rounds, worktime.overhead)


def first_phase_over(plan: tuple[Rung, ...], worktime: WorkTime, max_duration: float) -> bool:
    """Whether one more trial would bring the rungs below the last further from their share of the time."""
    share = FIRST_SHARE + (MIDDLE_SHARE if len(plan) > 2 else 0.0)
    expected = (plan[0].seconds or 0.0) + worktime.overhead
    return worktime.elapsed + expected / 2 > share * max_duration


def _with_later_rungs(first: Rung, total: float, workers: int) -> tuple[Rung, ...]:
    """The plan that begins so and takes ``total`` seconds of workers' time."""
    last_share = 1 - FIRST_SHARE
    middle: tuple[Rung, ...] = ()
    count = _middle_trials(first.trials, workers)
    seconds = _seconds(MIDDLE_SHARE * total / count)
    if 2 * count <= first.trials and seconds > (first.seconds or 0.0):
        middle = (Rung(count, seconds=seconds),)
        last_share -= MIDDLE_SHARE
    duration = last_share * total / workers
    last = _finalists(workers, duration, (middle or (first,))[-1].trials)
    rounds = -(-last // workers)
    return (first, *middle, Rung(last, seconds=_seconds(duration / rounds)))


def _first_rung(worker_seconds: float) -> Rung:
    seconds = min(_USUAL, max(_SHORTEST, worker_seconds / _WANTED_TRIALS - OVERHEAD_SECONDS))
    # Long searches look longer at each rather than at ever more.
    seconds = min(_LONGEST, max(seconds, worker_seconds / _MANY_TRIALS - OVERHEAD_SECONDS))
    # Weeks on hundreds of workers: a choice among so many is as good as one among millions.
    seconds = max(seconds, worker_seconds / _MOST_TRIALS - OVERHEAD_SECONDS)
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


def _seconds(slot: float, overhead: float = OVERHEAD_SECONDS) -> float:
    return round(max(_LEAST, slot - overhead), 1)

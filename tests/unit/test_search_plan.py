"""The service's own plan."""

from datetime import timedelta
from itertools import permutations

import pytest
from autoisp_search.domain import Rung, Trial, TrialState
from autoisp_search.plan import (
    default_plan,
    finalist_seconds,
    finalists,
    first_phase_over,
    plan_for_trials,
)
from autoisp_search.worktime import OVERHEAD_SECONDS, WorkTime
from search_fakes import START


def span(ordinal: int, begin: float, end: float, rung: int = 0, train: float | None = None) -> Trial:
    """A trial that kept a worker busy so long, a second of it beside the training if not told otherwise."""
    return Trial(
        "s",
        rung,
        ordinal,
        "{}",
        str(ordinal),
        START,
        state=TrialState.SUCCEEDED,
        train_seconds=end - begin - 1 if train is None else train,
        start_time=START + timedelta(seconds=begin),
        end_time=START + timedelta(seconds=end),
    )


@pytest.mark.parametrize("workers", [1, 2, 3, 8])
@pytest.mark.parametrize("duration", [5, 20, 30, 60, 120, 300, 600, 3600, 86_400])
def test_a_plan_fills_its_time_and_is_a_plan(duration: float, workers: int) -> None:
    plan = default_plan(duration, workers)
    assert len(plan) in (2, 3)
    trials = [rung.trials for rung in plan]
    assert trials == sorted(trials, reverse=True)
    assert trials[-1] >= 1
    seconds = [rung.seconds or 0 for rung in plan]
    assert min(seconds) >= 2
    used = sum(rung.trials * ((rung.seconds or 0) + 3) for rung in plan) / workers
    if duration >= 20:
        assert used <= duration * 1.25
    if duration >= 120:
        assert used >= duration * 0.7
        assert seconds == sorted(seconds)


def test_every_worker_has_a_finalist() -> None:
    for workers in (2, 4, 8):
        assert default_plan(600, workers)[-1].trials == workers
    assert default_plan(300, 1)[-1].trials == 1
    assert default_plan(1800, 1)[-1].trials == 2


def worked(*trials: Trial) -> WorkTime:
    worktime = WorkTime()
    for trial in trials:
        worktime.add(trial)
    return worktime


@pytest.mark.parametrize("workers", [1, 2, 8])
@pytest.mark.parametrize("trials", [1, 3, 16, 100, 1000])
def test_a_plan_for_trials_begins_with_so_many(trials: int, workers: int) -> None:
    plan = plan_for_trials(trials, workers)
    counts = [rung.trials for rung in plan]
    assert counts[0] == trials
    assert counts == sorted(counts, reverse=True)
    assert min(rung.seconds or 0 for rung in plan) >= 2


@pytest.mark.parametrize("trials", [1, 4, 16])
def test_workers_that_have_nothing_to_do_shorten_no_training(trials: int) -> None:
    assert plan_for_trials(trials, 100) == plan_for_trials(trials, trials)
    assert (plan_for_trials(trials, 100)[-1].seconds or 0) > 20


def test_fewer_trials_than_the_time_would_have() -> None:
    assert default_plan(300, 2, 5)[0] == Rung(5, seconds=17.0)
    assert default_plan(300, 2, 100) == default_plan(300, 2)
    assert len(default_plan(300, 2, 5)) == 2  # too few for a rung between


def test_elapsed_time_has_no_pauses_and_counts_overlaps_once() -> None:
    trials = [span(1, 0, 10), span(2, 5, 12), span(3, 1000, 1010), span(4, 1001, 1005)]
    for order in permutations(trials):
        assert worked(*order).elapsed == pytest.approx(22)
    assert worked().elapsed == 0
    assert worked(span(1, 0, 5), span(2, 10, 15), span(3, 4, 11)).elapsed == pytest.approx(15)


def test_the_time_beside_training_is_measured() -> None:
    assert worked().overhead == OVERHEAD_SECONDS
    assert worked(span(1, 0, 10), span(2, 10, 20, train=5), span(3, 20, 30, train=7)).overhead == 3
    assert worked(span(1, 0, 10, train=20)).overhead == 0


def test_a_finalist_takes_what_is_left() -> None:
    busy = worked(*(span(n, 100 * (n // 2), 100 * (n // 2) + 100, rung=1) for n in range(4)))
    assert finalists(default_plan(300, 2), busy, 300, 2) == 2
    assert finalist_seconds(busy, 300, 2, waiting=2) == 99.0
    late = worked(
        *(span(n, 100 * (n // 2), 100 * (n // 2) + 100, rung=1) for n in range(4)), span(5, 200, 230)
    )
    assert finalist_seconds(late, 300, 2, waiting=1) == 69.0


def test_a_missing_worker_costs_a_finalist_not_the_deadline() -> None:
    alone = worked(*(span(n, 50 * n, 50 * n + 50, rung=1) for n in range(4)))
    assert finalists(default_plan(300, 2), alone, 300, 2) == 1
    assert finalist_seconds(alone, 300, 2, waiting=1) == 99.0


def test_one_worker_shares_a_long_time_between_two() -> None:
    plan, alone = default_plan(1800, 1), worked(span(1, 0, 1000))
    assert finalists(plan, alone, 1800, 1) == 2
    assert finalist_seconds(alone, 1800, 1, waiting=2) == 399.0
    assert finalist_seconds(worked(span(1, 0, 1400)), 1800, 1, waiting=1) == 399.0


def test_a_late_search_still_trains_its_last_rung() -> None:
    assert finalist_seconds(worked(span(1, 0, 500)), 60, 1, waiting=1) == 2.0


def test_the_first_trials_end_with_their_share() -> None:
    plan = default_plan(300, 2)  # 60 % with the rung between, a trial takes 18 seconds
    assert not first_phase_over(plan, worked(span(1, 0, 170)), 300)
    assert first_phase_over(plan, worked(span(1, 0, 172)), 300)
    short = default_plan(60, 2)
    assert len(short) == 2
    assert first_phase_over(short, worked(span(1, 0, 24)), 60)


def test_a_month_on_a_thousand_workers_looks_longer_instead_of_at_millions() -> None:
    first = default_plan(30 * 86_400, 1024)[0]
    assert 9_000 <= first.trials <= 10_000
    assert first.seconds is not None
    assert first.trials * first.seconds == pytest.approx(0.4 * 30 * 86_400 * 1024, rel=0.05)

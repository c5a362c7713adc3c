"""The service's own plan."""

from datetime import timedelta

import pytest
from autoisp_search.domain import Trial, TrialState
from autoisp_search.plan import default_plan, elapsed_seconds, fitted_plan
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


def test_elapsed_time_has_no_pauses_and_counts_overlaps_once() -> None:
    trials = [span(1, 0, 10), span(2, 5, 12), span(3, 1000, 1010), span(4, 1001, 1005)]
    assert elapsed_seconds(trials) == pytest.approx(22)
    assert elapsed_seconds([]) == 0


def test_the_last_rung_takes_what_is_left() -> None:
    plan = default_plan(300, 2)
    trials = [span(n, 100 * (n // 2), 100 * (n // 2) + 100, rung=1) for n in range(4)]
    fitted = fitted_plan(plan, 2, trials, 300, 2)
    assert fitted[:2] == plan[:2]
    assert (fitted[2].trials, fitted[2].seconds) == (2, 99.0)


def test_a_missing_worker_costs_a_finalist_not_the_deadline() -> None:
    plan = default_plan(300, 2)
    trials = [span(n, 50 * n, 50 * n + 50, rung=1) for n in range(4)]
    last = fitted_plan(plan, 2, trials, 300, 2)[2]
    assert (last.trials, last.seconds) == (1, 99.0)


def test_a_late_search_still_trains_its_last_rung() -> None:
    assert fitted_plan(default_plan(60, 1), 1, [span(1, 0, 500)], 60, 1)[1].seconds == 2.0


def test_a_middle_rung_looks_longer_at_fewer_or_is_left_out() -> None:
    plan = default_plan(300, 2)
    many = [span(n, 13 * (n // 2), 13 * (n // 2) + 13) for n in range(16)]
    fitted = fitted_plan(plan, 1, many, 300, 2)
    assert len(fitted) == 3
    assert fitted[1].trials == 4
    assert (fitted[1].seconds or 0) > 12
    few = many[:4]
    fitted = fitted_plan(plan, 1, few, 300, 2)
    assert len(fitted) == 2
    assert (fitted[1].trials, fitted[1].seconds) == (2, 300 - 26 - 1)
    slow = [span(n, 30 * (n // 2), 30 * (n // 2) + 30, train=12.0) for n in range(16)]
    assert len(fitted_plan(plan, 1, slow, 300, 2)) == 2

"""States of searches and trials; budgets in absolute terms."""

from dataclasses import replace

import pytest
from autoisp_core.errors import FailedPreconditionError
from autoisp_search.domain import Budget, Failure, SearchState, Trial, TrialResult, TrialState, trial_seed
from search_fakes import COUNTED, OPAQUE, START, running_search

TRIAL = Trial("s", 0, 1, "{}", "h", START)
FAILURE = Failure("X", "x")


@pytest.mark.parametrize("state", [state for state in TrialState if state.final])
def test_a_trial_that_has_ended_stays_as_it_is(state: TrialState) -> None:
    ended = replace(TRIAL, state=state)
    for target in TrialState:
        if target.final:
            with pytest.raises(FailedPreconditionError) as caught:
                ended.completed(TrialResult(target), 1, START)
            assert caught.value.reason == "INVALID_STATE"
    with pytest.raises(FailedPreconditionError):
        ended.reported("w", 0.5, 1, START)
    with pytest.raises(FailedPreconditionError):
        ended.cancelled(START)


@pytest.mark.parametrize("state", [TrialState.QUEUED, TrialState.RUNNING])
def test_a_trial_may_end_before_it_was_seen_running(state: TrialState) -> None:
    for target in TrialState:
        if target.final:
            ended = replace(TRIAL, state=state).completed(TrialResult(target), 3, START)
            assert (ended.state, ended.told) == (target, 3)


@pytest.mark.parametrize("state", [TrialState.QUEUED, TrialState.RUNNING])
def test_no_end_is_not_an_end(state: TrialState) -> None:
    with pytest.raises(FailedPreconditionError):
        replace(TRIAL, state=TrialState.RUNNING).completed(TrialResult(state), 1, START)


def test_progress_never_goes_back() -> None:
    trial = TRIAL.reported("a", 0.7, 70, START).reported("b", 0.2, 20, START)
    assert (trial.state, trial.progress, trial.steps, trial.worker) == (TrialState.RUNNING, 0.7, 20, "b")


@pytest.mark.parametrize("state", [state for state in SearchState if state.final])
def test_a_search_that_has_ended_stays_as_it_is(state: SearchState) -> None:
    search = replace(running_search(), state=state)
    for move in (
        lambda: search.profiled(OPAQUE, START),
        lambda: search.succeeded("t", START),
        lambda: search.failed(FAILURE, START),
        lambda: search.cancelled(START),
    ):
        with pytest.raises(FailedPreconditionError):
            move()


def test_a_search_succeeds_only_after_it_ran() -> None:
    search = replace(running_search(), state=SearchState.PROFILING)
    with pytest.raises(FailedPreconditionError):
        search.succeeded("t", START)
    assert search.failed(FAILURE, START).state is SearchState.FAILED


def test_budgets_in_absolute_terms() -> None:
    fresh = replace(running_search(), state=SearchState.PROFILING)
    opaque = fresh.profiled(OPAQUE, START)
    assert opaque.macs_limit is None
    assert opaque.seconds_limit == pytest.approx(5.0 / 100 * 0.9)
    counted = fresh.profiled(COUNTED, START)
    assert (counted.macs_limit, counted.seconds_limit) == (3554.4, None)
    absolute = running_search(budget=Budget(macs_per_pixel=700.0))
    assert (absolute.macs_limit, absolute.seconds_limit) == (700.0, None)


def test_a_prototype_without_ccm_input_gets_raw_with_the_identity() -> None:
    fresh = replace(running_search(), state=SearchState.PROFILING)
    assert fresh.profiled(COUNTED, START).settings.sensor.identity_ccm
    assert not fresh.profiled(OPAQUE, START).settings.sensor.identity_ccm


def test_seeds_differ_between_trials_and_searches() -> None:
    first, other = running_search(seed=1), running_search(seed=2)
    seeds = {trial_seed(search, replace(TRIAL, ordinal=n)) for search in (first, other) for n in range(50)}
    assert len(seeds) == 100
    assert all(0 <= seed < 2**31 for seed in seeds)

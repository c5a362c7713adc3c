"""Asynchronous successive halving on a fake worker, decision by decision."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from autoisp_core.spec import SearchSpace, Spec, cost
from autoisp_search.asha import Decision, advance
from autoisp_search.board import Board
from autoisp_search.domain import (
    Budget,
    Failure,
    MeasuredCost,
    PrototypeProfile,
    Quality,
    Rung,
    RunTrial,
    Search,
    SearchCompleted,
    SearchState,
    Trial,
    TrialResult,
    TrialState,
)
from autoisp_search.pareto import best_of, pareto_front
from autoisp_search.strategies import rebuild
from search_fakes import (
    COUNTED,
    OPAQUE,
    START,
    FakeClock,
    FakeStore,
    FakeWorker,
    Service,
    draft,
    quality_of,
    run_to_end,
    running_search,
)

RUNGS = (Rung(6, seconds=1.0), Rung(3, seconds=2.0), Rung(1, steps=50))


async def searched(
    judge: Callable[[RunTrial], TrialResult | None] = lambda command: None,
    profile: PrototypeProfile = COUNTED,
    **changes: object,
) -> tuple[Search, list[Trial], FakeStore]:
    store, clock = FakeStore(), FakeClock()
    service = Service(store, clock)
    await service.searches.create(draft(**{"rungs": RUNGS, **changes}), "s")
    await run_to_end(FakeWorker(store, clock, profile, judge), service)
    search = await store.search("s")
    assert search is not None
    return search, await store.trials("s"), store


def psnr(trial: Trial) -> float:
    assert trial.quality
    return trial.quality.psnr_db


def ended(trial: Trial, told: int) -> Trial:
    spec = Spec.from_json(trial.spec)
    measured = MeasuredCost(cost(spec).macs_per_pixel, 1, 1, 0.01)
    result = TrialResult(TrialState.SUCCEEDED, cost=measured, quality=Quality(quality_of(spec), 0.9))
    return trial.completed(result, told, START)


async def test_a_users_rungs_are_obeyed_exactly() -> None:
    search, trials, _ = await searched()
    assert search.state is SearchState.SUCCEEDED
    assert search.rungs == RUNGS
    assert [sum(trial.rung == rung for trial in trials) for rung in range(3)] == [6, 3, 1]
    assert {trial.state for trial in trials} == {TrialState.SUCCEEDED}
    assert search.best_trial == "r2-0001"


async def test_each_that_goes_up_is_the_best_so_far_and_continues_its_parent() -> None:
    commands: dict[str, RunTrial] = {}

    def note(command: RunTrial) -> None:
        commands[command.trial.trial_id] = command

    search, trials, _ = await searched(note, max_parallel_trials=1)
    by_id = {trial.trial_id: trial for trial in trials}
    for trial in trials:
        command = commands[trial.trial_id]
        assert command.fidelity == search.rungs[trial.rung]
        parent = by_id.get(trial.parent)
        assert command.initial_checkpoint == (parent.checkpoint if parent else None)
        assert trial.spec == (parent.spec if parent else trial.spec)
        if parent is None:
            continue
        # Two of the first rung earn one its way up to the second, three of the second one to the third.
        below = [t for t in trials if t.rung == parent.rung and (t.told or 0) <= trial.told_before]
        assert len(below) >= trial.ordinal * (2, 3)[parent.rung]
        gone = {t.parent for t in trials if t.rung == trial.rung and t.ordinal < trial.ordinal}
        assert psnr(parent) == max(psnr(t) for t in below if t.trial_id not in gone)


async def test_nobody_waits_for_a_straggler() -> None:
    search = running_search(rungs=RUNGS, max_parallel_trials=2, budget=Budget(macs_per_pixel=1e5))
    board, strategy = Board(search), rebuild(search, [])
    decision = advance(search, board, strategy, START)
    straggler, running = decision.start  # the first is never heard of again
    started = [straggler.trial_id]
    while decision.search.state is SearchState.RUNNING:
        told = decision.search.told + 1
        board.put(ended(running, told))
        decision = advance(replace(decision.search, told=told), board, strategy, START)
        started.append(running.trial_id)
        if decision.search.state is SearchState.RUNNING:
            [running] = decision.start
    assert [sum(name.startswith(f"r{rung}-") for name in started) for rung in range(3)] == [6, 3, 1]
    assert decision.search.state is SearchState.SUCCEEDED
    assert decision.search.best_trial == "r2-0001"
    # It is given up rather than waited for: nothing above has room for it any more.
    assert [trial.trial_id for trial in decision.stop] == [straggler.trial_id]


async def test_never_more_in_flight_than_allowed() -> None:
    store, clock = FakeStore(), FakeClock()
    service = Service(store, clock)
    await service.searches.create(draft(rungs=RUNGS, max_parallel_trials=3), "s")
    worker = FakeWorker(store, clock)
    while await worker.step(service):
        in_flight = [trial for trial in store.rows.values() if not trial.state.final]
        assert len(in_flight) <= 3


async def test_a_failed_trial_does_not_end_a_search() -> None:
    def judge(command: RunTrial) -> TrialResult | None:
        broken = command.trial.trial_id in ("r0-0002", "r0-0003", "r1-0001", "r2-0001")
        return TrialResult(TrialState.FAILED, failure=Failure("NAN", "lost")) if broken else None

    search, trials, _ = await searched(judge)
    assert search.state is SearchState.SUCCEEDED
    assert search.best_trial == "r2-0002"  # the next best took the place of the finalist that failed
    assert sum(trial.rung == 1 and trial.state is TrialState.SUCCEEDED for trial in trials) == 3
    assert sum(trial.rung == 0 for trial in trials) == 6


async def test_if_all_trials_fail_the_search_tells_why() -> None:
    search, _, store = await searched(
        lambda command: TrialResult(TrialState.FAILED, failure=Failure("OUT_OF_MEMORY", "buy some"))
    )
    assert search.state is SearchState.FAILED
    assert search.failure
    assert search.failure.reason == "ALL_TRIALS_FAILED"
    assert "OUT_OF_MEMORY: buy some" in search.failure.message
    assert not any(isinstance(message, SearchCompleted) for message in store.sent)


async def test_pruned_trials_are_replaced_and_teach_the_limit() -> None:
    search, trials, _ = await searched(profile=OPAQUE)
    assert search.state is SearchState.SUCCEEDED
    states = [trial.state for trial in trials if trial.rung == 0]
    assert states.count(TrialState.SUCCEEDED) == 6
    assert states.count(TrialState.PRUNED) >= 1
    best = next(trial for trial in trials if trial.trial_id == search.best_trial)
    assert best.cost
    assert search.seconds_limit
    assert best.cost.seconds_per_megapixel <= search.seconds_limit


async def test_a_budget_out_of_reach_names_the_cheapest_and_the_fix() -> None:
    def judge(command: RunTrial) -> TrialResult:
        return TrialResult(TrialState.PRUNED, cost=MeasuredCost(100.0, 1, 1, 0.9))

    search, trials, _ = await searched(judge, OPAQUE)
    assert search.state is SearchState.FAILED
    assert search.failure
    assert search.failure.reason == "BUDGET_UNREACHABLE"
    assert "0.9" in search.failure.message
    assert "at most 5 instead of 100" in search.failure.message
    assert len(trials) <= 6 * 2 + 8 + 3  # one was in flight
    assert SearchSpace().cheapest().to_json() in {trial.spec for trial in trials}


async def test_a_reduction_no_spec_can_meet_is_refused_once_the_prototype_is_known() -> None:
    search, trials, _ = await searched(budget=Budget(reduction=100_000.0))
    assert search.state is SearchState.FAILED
    assert search.failure
    assert search.failure.reason == "BUDGET_UNREACHABLE"
    assert not trials
    cheapest = cost(SearchSpace().cheapest()).macs_per_pixel
    assert f"{cheapest:.6g}" in search.failure.message
    assert f"at most {int(355_440 / cheapest)} instead of 100000" in search.failure.message


@pytest.mark.parametrize(("duration", "workers"), [(30.0, 1), (30.0, 2), (120.0, 1), (300.0, 1)])
async def test_the_services_own_plan_keeps_its_time(duration: float, workers: int) -> None:
    store, clock = FakeStore(), FakeClock()
    service = Service(store, clock)
    plan = draft(max_duration_seconds=duration, max_parallel_trials=workers)
    await service.searches.create(plan, "s")
    await run_to_end(FakeWorker(store, clock), service)
    view = await service.searches.get("s")
    assert view.search.state is SearchState.SUCCEEDED
    # One real worker, whatever was planned.
    assert 0.8 * duration <= (clock.now - START).total_seconds() <= 1.05 * duration
    trials = await store.trials("s")
    assert view.counts.planned == sum(trial.state is not TrialState.PRUNED for trial in trials)


@pytest.mark.parametrize("workers", [1, 2])
async def test_a_failed_finalist_leaves_its_time_to_the_next(workers: int) -> None:
    store, clock = FakeStore(), FakeClock()
    service = Service(store, clock)

    def judge(command: RunTrial) -> TrialResult | None:
        if command.trial.trial_id != "r2-0001":
            return None
        begin, clock.now = clock.now, clock.now + timedelta(seconds=4)
        failure = Failure("OUT_OF_MEMORY", "buy some")
        return TrialResult(TrialState.FAILED, failure=failure, start_time=begin, end_time=clock.now)

    await service.searches.create(draft(max_duration_seconds=300.0, max_parallel_trials=workers), "s")
    await run_to_end(FakeWorker(store, clock, judge=judge), service)
    search = await store.search("s")
    assert search
    assert search.best_trial == "r2-0002"
    assert 0.8 * 300 <= (clock.now - START).total_seconds() <= 1.05 * 300


async def test_finalists_that_all_fail_late_are_not_tried_for_ever() -> None:
    store, clock = FakeStore(), FakeClock()
    service = Service(store, clock)
    worker = FakeWorker(store, clock)

    def judge(command: RunTrial) -> TrialResult | None:
        if command.trial.rung < 2:
            return None
        return replace(worker.train(command), state=TrialState.FAILED, failure=Failure("NAN", "lost"))

    worker.judge = judge
    await service.searches.create(draft(max_duration_seconds=300.0, max_parallel_trials=1), "s")
    await run_to_end(worker, service)
    search = await store.search("s")
    assert search
    assert search.best_trial.startswith("r1-")
    assert (clock.now - START).total_seconds() <= 1.05 * 300


def trial(ordinal: int, psnr: float, macs: float, **changes: object) -> Trial:
    made = Trial(
        "s",
        0,
        ordinal,
        "{}",
        f"hash {ordinal}",
        START,
        state=TrialState.SUCCEEDED,
        quality=Quality(psnr, 0.9),
        cost=MeasuredCost(macs, 1, 1, macs / 1e4),
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def test_ties_go_to_the_cheaper_and_the_budget_goes_first() -> None:
    search = replace(running_search(), macs_limit=1000.0, seconds_limit=None)
    trials = [trial(1, 28.0, 900), trial(2, 28.0, 800), trial(3, 30.0, 1001), trial(4, 27.0, 100)]
    order = []
    while trials:
        order.append(best_of(search, trials, {}).ordinal)
        trials = [trial for trial in trials if trial.ordinal != order[-1]]
    assert order == [2, 1, 4, 3]


def test_hopeless_within_the_budget_is_better_than_over_it() -> None:
    search = replace(running_search(), macs_limit=1000.0, seconds_limit=None)  # the prototype has 25 dB
    assert best_of(search, [trial(1, 28.0, 1001), trial(2, 21.0, 900)], {}).ordinal == 2


def test_the_pareto_front_takes_the_highest_fidelity_of_a_spec() -> None:
    trials = [
        trial(1, 25.0, 500),
        trial(2, 26.0, 700),
        trial(3, 24.0, 600),
        trial(4, 27.0, 900),
        trial(1, 29.0, 900, rung=1, spec_hash="hash 4"),
        trial(5, 40.0, 10, state=TrialState.PRUNED, quality=None),
    ]
    assert pareto_front(trials) == ("r0-0001", "r0-0002", "r1-0001")


def test_deciding_again_decides_nothing_new() -> None:
    search = running_search(rungs=RUNGS, max_parallel_trials=2)

    def decided(*trials: Trial) -> Decision:
        return advance(search, Board(search, trials), rebuild(search, trials), START)

    first = decided()
    assert [t.trial_id for t in first.start] == ["r0-0001", "r0-0002"]
    assert decided(*first.start).start == ()
    assert decided(*first.start[:1]).start == first.start[1:]

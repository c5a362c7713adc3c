"""Creating, cancelling and following searches; results that come twice, late or never; restarts."""

import asyncio
import random
from dataclasses import replace
from datetime import timedelta

import pytest
from autoisp_core.errors import (
    AlreadyExistsError,
    FailedPreconditionError,
    InvalidArgumentError,
    NotFoundError,
    UnavailableError,
)
from autoisp_core.pagination import PageRequest
from autoisp_core.spec import Spec
from autoisp_search.domain import (
    Budget,
    Failure,
    MeasuredCost,
    ProfilePrototype,
    PrototypeProfile,
    Quality,
    Rung,
    RunTrial,
    SearchCancelled,
    SearchCompleted,
    SearchState,
    SearchView,
    Trial,
    TrialResult,
    TrialState,
)
from autoisp_search.usecases import watch
from autoisp_search.usecases.drafts import SensorDraft
from autoisp_search.usecases.results import SILENCE
from search_fakes import COUNTED, FakeClock, FakeStore, FakeWorker, Service, artifact, draft, run_to_end

RUNGS = (Rung(4, seconds=1.0), Rung(2, seconds=2.0))
SUCCESS = TrialResult(
    TrialState.SUCCEEDED,
    cost=MeasuredCost(100.0, 1, 1, 0.01),
    quality=Quality(28.0, 0.9),
    onnx=artifact("onnx"),
    checkpoint=artifact("checkpoint"),
)


@pytest.fixture
def store() -> FakeStore:
    return FakeStore()


@pytest.fixture
def service(store: FakeStore) -> Service:
    return Service(store, FakeClock())


@pytest.fixture
def worker(store: FakeStore, service: Service) -> FakeWorker:
    return FakeWorker(store, service.clock, COUNTED)


async def test_the_same_request_creates_one_search(service: Service) -> None:
    first = await service.searches.create(draft(), "", "request-1")
    again = await service.searches.create(draft(), "", "request-1")
    assert first == again
    named = await service.searches.create(draft(), "mine")
    assert await service.searches.create(draft(), "mine") == named
    assert await service.searches.create(draft(), "mine", "request-2") == named
    assert len(service.store.searches) == 2
    assert sum(isinstance(message, ProfilePrototype) for message in service.store.sent) == 2


async def test_another_request_may_not_take_the_name(service: Service) -> None:
    await service.searches.create(draft(), "mine", "request-1")
    other = draft(budget=Budget(reduction=50))
    with pytest.raises(AlreadyExistsError) as caught:
        await service.searches.create(other, "mine")
    assert caught.value.metadata["field"] == "search_id"
    with pytest.raises(AlreadyExistsError) as caught:
        await service.searches.create(other, "", "request-1")
    assert caught.value.metadata["field"] == "request_id"
    with pytest.raises(AlreadyExistsError):
        await service.searches.create(draft(), "yours", "request-1")


async def test_a_lost_race_is_the_other_ones_search(service: Service, store: FakeStore) -> None:
    real, calls = store.find, 0

    async def blind_once(**key: str) -> tuple[SearchView, str] | None:
        nonlocal calls
        calls += 1
        return None if calls == 1 else await real(**key)

    await service.searches.create(draft(), "mine")
    store.find = blind_once  # type: ignore[method-assign]
    assert (await service.searches.create(draft(), "mine")).search.search_id == "mine"


async def test_validating_writes_nothing(service: Service) -> None:
    search = await service.searches.validate(draft(), "mine")
    assert search.rungs
    assert search.settings.model == "models/mine"
    assert not service.store.searches
    assert not service.store.sent
    for bad in ("Mine", "1a", "a_b", "x" * 64):
        with pytest.raises(InvalidArgumentError) as caught:
            await service.searches.validate(draft(), bad)
        assert caught.value.field == "search_id"


async def test_pages(service: Service, worker: FakeWorker) -> None:
    for name in "abc":
        await service.searches.create(draft(rungs=RUNGS), name)
    page = await service.searches.page(PageRequest.parse(2, ""))
    rest = await service.searches.page(PageRequest.parse(2, page.next_page_token))
    assert [v.search.search_id for v in (*page.items, *rest.items)] == ["a", "b", "c"]
    assert rest.next_page_token == ""
    await run_to_end(worker, service)
    trials = await service.searches.trials_page("a", PageRequest.parse(4, ""))
    more = await service.searches.trials_page("a", PageRequest.parse(4, trials.next_page_token))
    ids = [trial.trial_id for trial in (*trials.items, *more.items)]
    assert ids == ["r0-0001", "r0-0002", "r0-0003", "r0-0004", "r1-0001", "r1-0002"]
    with pytest.raises(NotFoundError):
        await service.searches.trials_page("none", PageRequest.parse(4, ""))
    with pytest.raises(NotFoundError):
        await service.searches.trial("a", "r9-0001")


async def test_cancelling(service: Service, worker: FakeWorker) -> None:
    await service.searches.create(draft(rungs=RUNGS), "s")
    await worker.step(service)
    service.store.sent.clear()
    cancelled = await service.searches.cancel("s")
    assert cancelled.search.state is SearchState.CANCELLED
    assert {trial.state for trial in await service.store.trials("s")} == {TrialState.CANCELLED}
    assert service.store.sent == [SearchCancelled(cancelled.search)]
    assert await service.searches.cancel("s") == cancelled
    assert len(service.store.sent) == 1

    before = dict(service.store.rows)
    await service.results.completed("s", "r0-0001", SUCCESS)
    await service.results.reported("s", "r0-0002", "w", 0.5, 3)
    await service.results.profiled("s", COUNTED)
    assert service.store.rows == before
    assert (await service.searches.get("s")) == cancelled
    with pytest.raises(NotFoundError):
        await service.searches.cancel("none")


async def test_what_has_ended_can_not_be_cancelled(service: Service, worker: FakeWorker) -> None:
    await service.searches.create(draft(rungs=RUNGS), "s")
    await run_to_end(worker, service)
    with pytest.raises(FailedPreconditionError):
        await service.searches.cancel("s")


async def test_a_result_counts_once(service: Service, worker: FakeWorker) -> None:
    await service.searches.create(draft(rungs=RUNGS), "s")
    await worker.step(service)
    await service.results.completed("s", "r0-0001", SUCCESS)
    rows, sent = dict(service.store.rows), list(service.store.sent)
    better = replace(SUCCESS, quality=Quality(99.0, 1.0))
    for result in (SUCCESS, better, TrialResult(TrialState.FAILED)):
        await service.results.completed("s", "r0-0001", result)
    await service.results.reported("s", "r0-0001", "w", 0.1, 1)
    await service.results.profiled("s", COUNTED)
    assert (service.store.rows, service.store.sent) == (rows, sent)
    view = await service.searches.get("s")
    assert view.counts.succeeded == 1


async def test_what_is_not_ours_is_left_alone(service: Service) -> None:
    await service.results.completed("none", "r0-0001", SUCCESS)
    await service.results.reported("none", "r0-0001", "w", 0.5, 1)
    await service.results.profiled("none", COUNTED)
    assert not service.store.rows


@pytest.mark.parametrize(
    "result",
    [
        replace(SUCCESS, quality=None),
        replace(SUCCESS, onnx=None),
        replace(SUCCESS, cost=None),
        replace(SUCCESS, quality=Quality(float("nan"), 0.5)),
        replace(SUCCESS, quality=Quality(float("inf"), 0.5)),
        replace(SUCCESS, quality=Quality(28.0, float("nan"))),
        replace(SUCCESS, cost=MeasuredCost(float("nan"), 1, 1, 0.01)),
    ],
)
async def test_a_success_without_figures_is_a_failure(
    service: Service, worker: FakeWorker, result: TrialResult
) -> None:
    await service.searches.create(draft(rungs=RUNGS), "s")
    await worker.step(service)
    await service.results.completed("s", "r0-0001", result)
    trial = await service.searches.trial("s", "r0-0001")
    assert trial.state is TrialState.FAILED
    assert trial.failure
    assert trial.failure.reason == "NO_METRICS"
    assert (await service.searches.get("s")).search.pareto_trials == ()


@pytest.mark.parametrize(
    "outcome",
    [
        Failure("BAD_ONNX", "no input raw"),
        PrototypeProfile(MeasuredCost(None, 0, 0, 0.0)),
        PrototypeProfile(MeasuredCost(float("nan"), 0, 0, 1.0)),
        PrototypeProfile(MeasuredCost(100_000.0, 0, 0, float("nan"))),
        PrototypeProfile(MeasuredCost(100_000.0, 0, 0, -1.0)),
        replace(COUNTED, quality=Quality(float("nan"), 0.9)),
        replace(COUNTED, quality=Quality(float("inf"), 0.9)),
    ],
)
async def test_a_prototype_that_can_not_be_measured_ends_the_search(
    service: Service, outcome: Failure | PrototypeProfile
) -> None:
    await service.searches.create(draft(), "s")
    await service.results.profiled("s", outcome)
    view = await service.searches.get("s")
    assert view.search.state is SearchState.FAILED
    assert view.search.failure
    assert view.search.failure.reason in ("BAD_ONNX", "PROTOTYPE_UNMEASURED")
    assert not service.store.rows


async def test_an_absolute_budget_needs_no_arithmetic_of_the_prototype(service: Service) -> None:
    await service.searches.create(draft(budget=Budget(macs_per_pixel=1000.0)), "s")
    await service.results.profiled("s", replace(COUNTED, cost=MeasuredCost(0.0, 0, 9, 0.1)))
    assert (await service.searches.get("s")).search.state is SearchState.RUNNING


async def test_the_end_is_told_with_all_that_others_need(service: Service, worker: FakeWorker) -> None:
    await service.searches.create(draft(rungs=RUNGS), "s")
    while not isinstance(service.store.sent[0], SearchCompleted):
        await worker.step(service)
    [message] = service.store.sent
    assert isinstance(message, SearchCompleted)
    assert message.best_trial == await service.searches.trial("s", message.view.search.best_trial)
    assert message.view == await service.searches.get("s")
    assert message.view.counts.succeeded == 6


async def test_a_watcher_sees_a_snapshot_the_changes_and_the_end(
    service: Service, worker: FakeWorker
) -> None:
    await service.searches.create(draft(rungs=RUNGS), "s")
    await worker.step(service)

    async def follow() -> list[SearchView | Trial]:
        return [change async for change in watch(service.store, service.changes, "s")]

    watchers = [asyncio.create_task(follow()) for _ in range(5)]
    await asyncio.sleep(0)
    while await worker.step(service):  # noqa: ASYNC110 - lets the watchers run
        await asyncio.sleep(0.005)
    for seen in await asyncio.gather(*watchers):
        assert isinstance(seen[0], SearchView)
        assert [change.trial_id for change in seen[1:3] if isinstance(change, Trial)] == [
            "r0-0001",
            "r0-0002",
        ]
        assert isinstance(seen[-1], SearchView)
        assert seen[-1].search.state is SearchState.SUCCEEDED
        ended = [c.trial_id for c in seen if isinstance(c, Trial) and c.state is TrialState.SUCCEEDED]
        assert sorted(set(ended)) == [t.trial_id for t in await service.store.trials("s")]
    assert service.changes.listeners == 0


async def test_a_slow_watcher_gets_the_latest_once(service: Service, worker: FakeWorker) -> None:
    await service.searches.create(draft(rungs=RUNGS), "s")
    await worker.step(service)
    changes = watch(service.store, service.changes, "s")
    assert isinstance(await anext(changes), SearchView)
    first = await anext(changes)
    for progress in range(100):
        await service.results.reported("s", "r0-0001", "w", progress / 100, progress)
    await anext(changes)
    latest = await anext(changes)
    assert isinstance(first, Trial)
    assert isinstance(latest, Trial)
    assert (first.progress, latest.progress) == (0.0, 0.99)
    await changes.aclose()
    assert service.changes.listeners == 0


async def test_watching_what_is_not_there(service: Service) -> None:
    with pytest.raises(NotFoundError):
        await anext(watch(service.store, service.changes, "none"))


async def test_a_broker_that_lost_its_disk_is_told_again(service: Service, worker: FakeWorker) -> None:
    def lose_the_disk() -> None:
        service.store.known.clear()
        service.store.sent.clear()

    await service.searches.create(draft(rungs=RUNGS), "s")
    lose_the_disk()
    assert await service.results.resume() == 1
    assert [type(message) for message in service.store.sent] == [ProfilePrototype]
    await worker.step(service)
    await service.results.reported("s", "r0-0001", "w", 0.5, 1)
    lose_the_disk()
    await service.results.resume()
    assert [m.trial.trial_id for m in service.store.sent if isinstance(m, RunTrial)] == ["r0-0002"]
    lose_the_disk()
    await service.results.resume(queue_since=service.clock.now + timedelta(seconds=1))
    assert [m.trial.trial_id for m in service.store.sent if isinstance(m, RunTrial)] == ["r0-0001", "r0-0002"]
    lose_the_disk()
    service.clock.now += 2 * SILENCE
    await service.results.resume()
    again = [m.trial.trial_id for m in service.store.sent if isinstance(m, RunTrial)]
    assert sorted(again) == ["r0-0001", "r0-0002"]
    await run_to_end(worker, service)
    assert (await service.searches.get("s")).search.state is SearchState.SUCCEEDED
    assert await service.results.resume() == 0


async def test_a_stopping_server_ends_its_watches(service: Service) -> None:
    await service.searches.create(draft(), "s")
    changes = watch(service.store, service.changes, "s")
    await anext(changes)
    waiting = asyncio.ensure_future(anext(changes))
    await asyncio.sleep(0.01)
    service.changes.close()
    with pytest.raises(UnavailableError):
        await asyncio.wait_for(waiting, 1)


async def history(seed: int | None) -> list[tuple[str, str, str]]:
    """All trials of a search with one worker; with a seed the service dies and returns at random points."""
    store, clock, chance = FakeStore(), FakeClock(), random.Random(seed)
    service = Service(store, clock)
    worker = FakeWorker(store, clock)
    await service.searches.create(draft(max_duration_seconds=60.0, max_parallel_trials=1), "s")
    for _ in range(500):
        crash = seed is not None and chance.random() < 0.3
        if crash and store.sent and isinstance(command := store.sent[0], RunTrial) and chance.random() < 0.5:
            # It dies while it handles a result: nothing is written, and the result comes again.
            before, real_save = dict(store.rows), store.save

            async def dies(search: object) -> None:
                raise ConnectionError

            store.save = dies  # type: ignore[method-assign]
            with pytest.raises(ConnectionError):
                await service.results.completed("s", command.trial.trial_id, SUCCESS)
            store.save = real_save  # type: ignore[method-assign]
            assert store.rows == before
        if crash:
            service = Service(store, clock)
            await service.results.resume()
        if not await worker.step(service):
            break
    assert (await service.searches.get("s")).search.state is SearchState.SUCCEEDED
    return [(t.trial_id, t.spec, t.parent) for t in await store.trials("s")]


async def test_a_service_that_dies_at_any_point_makes_the_same_search() -> None:
    expected = await history(None)
    assert len(expected) >= 4
    for seed in range(12):
        assert await history(seed) == expected


async def test_what_was_learned_before_is_learned_again(service: Service, worker: FakeWorker) -> None:
    await service.searches.create(draft(rungs=RUNGS), "earlier")
    running = draft(rungs=RUNGS, warm_start=("searches/earlier",))
    with pytest.raises(InvalidArgumentError) as caught:
        await service.searches.create(running, "s")
    assert caught.value.field == "search.warm_start[0]"
    assert "PROFILING" in caught.value.message
    await run_to_end(worker, service)
    await service.searches.create(running, "s")
    await run_to_end(worker, service)
    earlier = {trial.spec_hash: trial for trial in await service.store.trials("earlier")}
    first = await service.searches.trial("s", "r0-0001")
    # The best of before is tried first, and trained anew: no weights are taken over.
    assert first.spec_hash in earlier
    assert first.onnx not in [trial.onnx for trial in earlier.values()]
    assert not first.parent


@pytest.mark.parametrize(
    ("names", "changes", "error", "fix"),
    [
        (("searches/none",), {}, NotFoundError, "does not exist"),
        (("searches/earlier", "searches/s"), {}, InvalidArgumentError, "itself"),
        (
            ("searches/earlier",),
            {"sensor": SensorDraft(test_noise=(0.1, 0.1))},
            InvalidArgumentError,
            "sensor",
        ),
    ],
)
async def test_what_can_not_be_learned_from_is_named(
    service: Service,
    worker: FakeWorker,
    names: tuple[str, ...],
    changes: dict[str, object],
    error: type[InvalidArgumentError | NotFoundError],
    fix: str,
) -> None:
    await service.searches.create(draft(rungs=RUNGS), "earlier")
    await run_to_end(worker, service)
    with pytest.raises(error) as caught:
        await service.searches.create(draft(rungs=RUNGS, warm_start=names, **changes), "s")
    assert caught.value.metadata["field"] == f"search.warm_start[{len(names) - 1}]"
    assert fix in caught.value.message


async def test_memory_is_given_back(service: Service, worker: FakeWorker) -> None:
    await service.searches.create(draft(rungs=RUNGS), "ends")
    await service.searches.create(draft(rungs=RUNGS), "cancelled")
    await worker.step(service)
    await worker.step(service)
    assert len(service.live) == 2
    await service.searches.cancel("cancelled")
    await run_to_end(worker, service)
    assert len(service.live) == 0


async def test_a_failure_without_a_cause_gets_one(service: Service, worker: FakeWorker) -> None:
    await service.searches.create(draft(rungs=RUNGS), "s")
    await worker.step(service)
    await service.results.completed("s", "r0-0001", TrialResult(TrialState.FAILED))
    trial = await service.searches.trial("s", "r0-0001")
    assert trial.failure
    assert trial.failure.reason == "UNKNOWN"


@pytest.mark.parametrize("seconds", [float("nan"), float("inf"), -1.0])
@pytest.mark.parametrize("state", [TrialState.PRUNED, TrialState.FAILED, TrialState.SUCCEEDED])
async def test_an_impossible_figure_teaches_nothing(
    service: Service, worker: FakeWorker, state: TrialState, seconds: float
) -> None:
    await service.searches.create(draft(rungs=RUNGS), "s")
    await worker.step(service)
    result = replace(SUCCESS, state=state, cost=MeasuredCost(100.0, 1, 1, seconds), train_seconds=seconds)
    await service.results.completed("s", "r0-0001", result)
    trial = await service.searches.trial("s", "r0-0001")
    assert (trial.cost, trial.train_seconds) == (None, 0.0)
    assert trial.state is (TrialState.PRUNED if state is TrialState.PRUNED else TrialState.FAILED)
    search = await service.store.search("s")
    assert search
    live = await service.live.of(service.store, search)
    assert live.board.latency.predict(Spec.from_json(trial.spec)) > 0

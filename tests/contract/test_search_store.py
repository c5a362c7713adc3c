"""What the search service's store promises, over SQLite and PostgreSQL."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime

import pytest
import pytest_asyncio
from autoisp_core.artifact import Artifact
from autoisp_core.errors import AlreadyExistsError
from autoisp_core.sensor import Noise
from autoisp_runtime.database import Database
from autoisp_runtime.migrations import differences, migrate
from autoisp_runtime.outbox import Outbox
from autoisp_search.bus import OutboxSender
from autoisp_search.domain import (
    Budget,
    Failure,
    MeasuredCost,
    Objective,
    ProfilePrototype,
    Prototype,
    PrototypeProfile,
    Quality,
    Rung,
    RunTrial,
    Search,
    SearchSettings,
    SearchState,
    Sensor,
    Trial,
    TrialCounts,
    TrialResult,
    TrialState,
)
from autoisp_search.store import SqlSearchStore, metadata, outbox
from autoisp_testing.spans import kept_spans
from sqlalchemy import delete, select

NOW = datetime(2030, 1, 2, 3, 4, 5, 678901, tzinfo=UTC)
ARTIFACT = Artifact("blobs/aa/aa", "a" * 64, 5, "application/onnx")
SETTINGS = SearchSettings(
    dataset="datasets/d",
    prototype=Prototype(onnx=ARTIFACT),
    budget=Budget(reduction=100.0),
    model="models/m",
    sensor=Sensor(toml="name = 'ä'", test_noise=Noise(0.01, 0.0005)),
    rungs=(Rung(4, seconds=0.1), Rung(2, steps=3)),
    seed=2**62,
    objectives=(Objective.QUALITY, Objective.LATENCY),
    warm_start=("earlier",),
    max_trials=4,
    max_duration_seconds=None,
)
PROFILE = PrototypeProfile(MeasuredCost(None, 1, 2, 3.5), Quality(25.0, 0.7), 5, ("raw", "gains"))


def search(search_id: str = "s", **changes: object) -> Search:
    made = Search(search_id, SETTINGS, ARTIFACT, SETTINGS.rungs, False, NOW)
    return replace(made, **changes)  # type: ignore[arg-type]


def trial(ordinal: int, rung: int = 0, revision: int = 1, search_id: str = "s") -> Trial:
    return Trial(search_id, rung, ordinal, '{"block":[]}', f"h{ordinal}", NOW, revision=revision)


async def insert(store: SqlSearchStore, new: Search) -> None:
    async with store.transaction() as transaction:
        await transaction.insert(new, "")


@pytest_asyncio.fixture
async def store(database: Database) -> AsyncIterator[SqlSearchStore]:
    await migrate(database, "autoisp_search.migrations")
    yield SqlSearchStore(database, OutboxSender(Outbox(database, outbox)))


async def test_the_migrated_tables_are_the_codes(store: SqlSearchStore, database: Database) -> None:
    assert await differences(database, metadata) == []


async def test_everything_comes_back_as_it_was(store: SqlSearchStore) -> None:
    running = search().profiled(PROFILE, NOW)
    ended = replace(
        running, pareto_trials=("r0-0001",), told=3, strategy_figures={"latency_error_percent": 4.5}
    ).succeeded("r0-0001", NOW)
    result = TrialResult(
        TrialState.SUCCEEDED,
        cost=MeasuredCost(1.5, 2, 3, 0.25),
        quality=Quality(28.25, 0.875),
        failure=Failure("A", "b"),
        onnx=ARTIFACT,
        checkpoint=ARTIFACT,
        steps=10,
        train_seconds=1.25,
        worker="w",
        start_time=NOW,
        end_time=NOW,
    )
    asked = replace(trial(1), told_before=2, predicted_seconds_per_megapixel=0.5, seconds=7.5)
    done = asked.completed(result, 1, NOW)
    async with store.transaction() as transaction:
        await transaction.insert(search(request_id="r"), "print")
        assert await transaction.search("s") == search(request_id="r")
        for state in (running, ended):
            await transaction.save(state)
            assert await transaction.search("s") == state
        await transaction.save_trial(trial(1))
        await transaction.save_trial(done)
        assert await transaction.trial("s", "r0-0001") == done
        assert await transaction.trials("s") == [done]
    assert await store.trial("s", "r0-0001") == done
    found = await store.find(search_id="s")
    assert found
    assert (found[0].search, found[1]) == (ended, "print")
    assert await store.find(request_id="r") == found
    assert await store.find(search_id="none") is None
    assert await store.find(request_id="none") is None
    assert await store.trial("s", "r0-0002") is None


async def test_names_and_request_ids_are_unique(store: SqlSearchStore) -> None:
    async with store.transaction() as transaction:
        await transaction.insert(search(request_id="r"), "")
    for other in (search(), search("t", request_id="r")):
        with pytest.raises(AlreadyExistsError):
            await insert(store, other)
    async with store.transaction() as transaction:
        await transaction.insert(search("t"), "")
        await transaction.insert(search("u"), "")  # no request_id is not a request_id
    assert [view.search.search_id for view in await store.page(None, 10)] == ["s", "t", "u"]


async def test_a_failed_transaction_leaves_nothing(store: SqlSearchStore, database: Database) -> None:
    async def fail() -> None:
        async with store.transaction() as transaction:
            await transaction.insert(search(), "")
            await transaction.save_trial(trial(1))
            await transaction.emit(ProfilePrototype(search()))
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await fail()
    assert await store.page(None, 10) == []
    assert await Outbox(database, outbox).pending() == 0


async def test_a_message_is_written_with_its_change(store: SqlSearchStore, database: Database) -> None:
    async with store.transaction() as transaction:
        await transaction.insert(search(), "")
        await transaction.emit(ProfilePrototype(search()))
    assert await Outbox(database, outbox).pending() == 1


async def test_pages_and_changes(store: SqlSearchStore) -> None:
    async with store.transaction() as transaction:
        for name in "cab":
            await transaction.insert(search(name, revision=7), "")
        for ordinal in range(1, 13):
            await transaction.save_trial(trial(ordinal, revision=ordinal, search_id="a"))
        await transaction.save_trial(trial(1, rung=1, revision=3, search_id="a"))
        await transaction.save_trial(trial(1, search_id="b"))
    assert [v.search.search_id for v in await store.page("a", 1)] == ["b"]
    ids = [t.trial_id for t in await store.trials_page("a", "r0-0011", 5)]
    assert ids == ["r0-0012", "r1-0001"]
    assert [t.ordinal for t in await store.trials_page("a", None, 3)] == [1, 2, 3]
    async with store.transaction() as transaction:
        await transaction.save_trial(trial(10_000, search_id="c"))
        await transaction.save_trial(trial(9_999, search_id="c"))
        await transaction.save_trial(trial(2, rung=1, search_id="c"))
    assert [t.trial_id for t in await store.trials_page("c", "r0-9999", 5)] == ["r0-10000", "r1-0002"]
    assert [t.ordinal for t in await store.trials_page("c", None, 5)] == [9_999, 10_000, 2]
    changed = await store.changed("a", 5)
    assert changed
    assert [t.ordinal for t in changed[1]] == [6, 7, 8, 9, 10, 11, 12]
    unchanged = await store.changed("a", 7)
    assert unchanged
    assert unchanged[1] == ()
    assert await store.changed("none", 0) is None


async def test_counts(store: SqlSearchStore) -> None:
    async with store.transaction() as transaction:
        await transaction.insert(search(), "")
        states = [*TrialState, TrialState.SUCCEEDED]
        for ordinal, state in enumerate(states, start=1):
            await transaction.save_trial(replace(trial(ordinal), state=state))
        view = await transaction.view(search())
    # Six were trained at a first rung planned for four.
    assert view.counts == TrialCounts(1, 1, 2, 1, 1, planned=6 + 2)


async def test_unfinished_searches(store: SqlSearchStore) -> None:
    async with store.transaction() as transaction:
        for state in SearchState:
            await transaction.insert(search(state.value.lower(), state=state), "")
    assert await store.unfinished() == ["profiling", "running"]


async def test_changes_of_one_search_wait_for_each_other(store: SqlSearchStore) -> None:
    async with store.transaction() as transaction:
        await transaction.insert(search(), "")

    async def count() -> None:
        async with store.transaction() as transaction:
            found = await transaction.search("s")
            assert found
            await asyncio.sleep(0.005)
            await transaction.save(replace(found, told=found.told + 1))

    await asyncio.gather(*(count() for _ in range(10)))
    found = await store.find(search_id="s")
    assert found
    assert found[0].search.told == 10


async def test_a_trial_that_is_commanded_again_stays_in_its_trace(
    store: SqlSearchStore, database: Database
) -> None:
    """As after a restart of the service, hours later: its worker fell silent, or NATS came back empty."""

    async def commanded(*ordinals: int) -> list[str]:
        async with store.transaction() as transaction:
            for ordinal in ordinals:
                await transaction.emit(RunTrial(search(), trial(ordinal), SETTINGS.rungs[0], None))
        async with database.transaction() as session:
            headers = (await session.scalars(select(outbox.c.headers).order_by(outbox.c.id))).all()
            await session.execute(delete(outbox))
        return [header["traceparent"] for header in headers]

    await insert(store, search())
    with kept_spans():
        first, other = await commanded(1, 2)
    with kept_spans():
        (again,) = await commanded(1)
    assert first.split("-")[1] == again.split("-")[1]
    assert len({first, other, again}) == 3
    assert other.split("-")[1] != first.split("-")[1]

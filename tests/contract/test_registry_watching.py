"""Watching models over SQLite and PostgreSQL, as two replicas that share one database would."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import replace

import pytest
from autoisp_core.errors import InvalidArgumentError, NotFoundError, UnavailableError
from autoisp_registry import tables
from autoisp_registry.audit import AuditDraft
from autoisp_registry.bus import encode
from autoisp_registry.domain import Model
from autoisp_registry.ports import Message
from autoisp_registry.store import SqlFinder, SqlStore
from autoisp_registry.usecases import watching as watching_module
from autoisp_registry.usecases.changes import Changes
from autoisp_registry.usecases.watching import Change, Synced, Watching
from autoisp_runtime.database import Database
from autoisp_runtime.migrations import migrate
from autoisp_runtime.outbox import Outbox
from registry_filled import NOW, make_version

Items = AsyncIterator[Model | Synced | Change]


class Replica:
    """One process's part of the registry."""

    def __init__(self, database: Database) -> None:
        self.changes = Changes()
        outbox = Outbox(database, tables.outbox)
        self.store: SqlStore[Message] = SqlStore(database, outbox, encode, changed=self.changes.announce)
        finder = SqlFinder(database)
        self.watching = Watching(self.store, finder, finder, self.changes)

    async def register(self, name: str) -> None:
        async with self.store.transaction() as transaction:
            model = (await transaction.lock(name, NOW)).with_version(NOW)
            version = make_version(name, model.latest_version, random.Random(1))
            await transaction.add_version(replace(version, delete_time=None), None)
            await transaction.save(model)
            draft = AuditDraft("ann", "version.register", version.name, f"{version.name} is new")
            await transaction.record(draft, NOW)

    async def note(self, resource: str) -> None:
        async with self.store.transaction() as transaction:
            await transaction.record(AuditDraft("ann", "channel.update", resource, "changed"), NOW)


@pytest.fixture
async def replica(database: Database) -> Replica:
    await migrate(database, "autoisp_registry.migrations")
    return Replica(database)


async def take(items: Items, count: int) -> list[Model | Synced | Change]:
    async with asyncio.timeout(20):
        return [await anext(items) for _ in range(count)]


def told(items: list[Model | Synced | Change]) -> list[str]:
    return [
        item.name
        if isinstance(item, Model)
        else f"synced {item.sequence}"
        if isinstance(item, Synced)
        else f"{item.entry.sequence} {item.entry.draft.resource}"
        for item in items
    ]


async def test_a_snapshot_then_changes_as_they_are_made(
    replica: Replica, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching_module, "POLL_S", 60.0)  # own commits wake, not the poll
    await replica.register("models/a")
    await replica.register("models/b")
    async with aclosing(replica.watching.watch()) as items:
        assert told(await take(items, 3)) == ["models/a", "models/b", "synced 2"]
        waiting = asyncio.create_task(take(items, 1))
        await asyncio.sleep(0.05)
        await replica.register("models/a")
        (change,) = await waiting
    assert isinstance(change, Change)
    assert change.entry.draft.resource == "models/a/versions/2"
    assert change.version is not None
    assert (change.version.number, change.model and change.model.latest_version) == (2, 2)


@pytest.mark.parametrize("woken", [True, False])
async def test_another_replica_is_heard_by_its_event_or_by_polling(
    replica: Replica, database: Database, woken: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(watching_module, "POLL_S", 60.0 if woken else 0.1)
    other = Replica(database)
    async with aclosing(replica.watching.watch()) as items:
        assert told(await take(items, 1)) == ["synced 0"]
        waiting = asyncio.create_task(take(items, 1))
        await asyncio.sleep(0.05)
        await other.register("models/a")
        if woken:
            await replica.changes.on_event(b"")
        assert told(await waiting) == ["1 models/a/versions/1"]


async def test_it_goes_on_where_a_watcher_was(replica: Replica) -> None:
    for name in ("models/a", "models/b", "models/a"):
        await replica.register(name)
    await replica.note("products/p/channels/c")
    async with aclosing(replica.watching.watch(after=1)) as items:
        found = await take(items, 3)
    assert told(found) == ["2 models/b/versions/1", "3 models/a/versions/2", "4 products/p/channels/c"]
    channel = found[-1]
    assert isinstance(channel, Change)
    assert (channel.model, channel.version) == (None, None)


async def test_one_model_alone(replica: Replica) -> None:
    for name in ("models/a", "models/b"):
        await replica.register(name)
    async with aclosing(replica.watching.watch("models/b")) as items:
        assert told(await take(items, 2)) == ["models/b", "synced 2"]
        for name in ("models/a", "models/b"):
            await replica.register(name)
        await replica.note("products/p/channels/c")
        await replica.register("models/b")
        assert told(await take(items, 2)) == ["4 models/b/versions/2", "6 models/b/versions/3"]


async def test_nothing_is_lost_or_repeated_between_many_writers(replica: Replica, database: Database) -> None:
    other = Replica(database)
    async with aclosing(replica.watching.watch()) as items:
        await take(items, 1)
        writing = [one.register(f"models/m{i}") for i in range(8) for one in (replica, other)]
        found, *_ = await asyncio.gather(take(items, 16), *writing)
    assert [item.entry.sequence for item in found if isinstance(item, Change)] == list(range(1, 17))


async def test_a_slow_watcher_reads_on_later_and_piles_up_nothing(replica: Replica) -> None:
    async with aclosing(replica.watching.watch()) as items:
        await take(items, 1)
        for _ in range(30):
            await replica.note("products/p/channels/c")
        assert told(await take(items, 30))[-1] == "30 products/p/channels/c"


async def test_a_service_that_stops_ends_its_watches(replica: Replica) -> None:
    async with aclosing(replica.watching.watch()) as items:
        await take(items, 1)
        waiting = asyncio.create_task(take(items, 1))
        await asyncio.sleep(0.05)
        replica.watching.stop()
        with pytest.raises(UnavailableError, match="go on watching"):
            await waiting


@pytest.mark.parametrize(
    ("model", "after", "kind", "field"),
    [
        ("m", 0, InvalidArgumentError, "model"),
        ("models/none", 0, NotFoundError, "model"),
        ("", -1, InvalidArgumentError, "after_sequence"),
        ("", 1, InvalidArgumentError, "after_sequence"),
        ("", 1 << 62, InvalidArgumentError, "after_sequence"),
    ],
)
async def test_what_cannot_be_watched_is_refused(
    replica: Replica, model: str, after: int, kind: type[Exception], field: str
) -> None:
    async with aclosing(replica.watching.watch(model, after)) as items:
        with pytest.raises(kind) as raised:
            await anext(items)
    assert raised.value.metadata["field"] == field  # type: ignore[attr-defined]

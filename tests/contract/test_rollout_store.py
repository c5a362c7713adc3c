"""Rollouts over SQLite and PostgreSQL: changes with their entries and events, and reports counted exactly."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from autoisp.common.v1 import common_pb2
from autoisp.events.v1 import events_pb2
from autoisp.registry.v1 import registry_pb2
from autoisp_core.errors import (
    AbortedError,
    AlreadyExistsError,
    AutoISPError,
    FailedPreconditionError,
    InvalidArgumentError,
    NotFoundError,
    UnavailableError,
)
from autoisp_core.pagination import PageRequest
from autoisp_registry import audit, tables
from autoisp_registry.audit import AuditEntry
from autoisp_registry.audit.store import read_after
from autoisp_registry.rollouts import store as rollout_store
from autoisp_registry.rollouts import wire as rollouts_wire
from autoisp_registry.rollouts.domain.buckets import WHOLE
from autoisp_registry.rollouts.domain.channel import Channel, RolloutState
from autoisp_registry.rollouts.domain.constraints import Constraints, Device
from autoisp_registry.rollouts.domain.outcomes import HaltRule, Outcomes
from autoisp_registry.rollouts.domain.resolving import Answer
from autoisp_registry.rollouts.store import RolloutStore, RolloutTransaction
from autoisp_registry.rollouts.usecases import (
    Board,
    Call,
    Changes,
    Channels,
    NewChannel,
    NewRollout,
    OutcomeRecorder,
    Report,
    Rollouts,
)
from autoisp_registry.rollouts.versions import channels_serving
from autoisp_runtime.database import Database
from autoisp_runtime.migrations import migrate
from autoisp_runtime.outbox import Outbox
from sqlalchemy import func, select

NOW = datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)
NAME = "products/p/channels/c"
CALL = Call(NAME, "ann")
NEW = NewChannel("models/m", 1, Constraints(("npu-10",), "1.2", ""), "for phones")
ROLLOUT = NewRollout(2, 10_000, "", ("tester",), Constraints(), HaltRule(0.1, 10))
EVERYBODY = replace(ROLLOUT, share=WHOLE)
RULELESS = replace(EVERYBODY, halt_rule=HaltRule(disabled=True))


class Registry:
    """The rooms of rollouts over one database."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.store = RolloutStore(database, Outbox(database, tables.outbox))
        self.board: Board[Answer] = Board(self.store, lambda answer: answer)
        self.channels = Channels(self.store, self.board)
        self.rollouts = Rollouts(self.store, self.board)
        self.outcomes = OutcomeRecorder(self.store, self.board)

    async def add_versions(self, model: str, *numbers: int) -> None:
        onnx = common_pb2.Artifact(uri=f"blobs/aa/{'a' * 64}", sha256="a" * 64, size_bytes=5)
        body = registry_pb2.Model(name=model, latest_version=max(numbers)).SerializeToString()
        async with self.database.transaction() as session:
            await session.execute(tables.models.insert().values(name=model, revision=1, body=body))
            key = select(tables.models.c.id).where(tables.models.c.name == model).scalar_subquery()
            for number in numbers:
                version = registry_pb2.ModelVersion(name=f"{model}/versions/{number}", onnx=onnx)
                await session.execute(
                    tables.versions.insert().values(
                        model_id=key, number=number, body=version.SerializeToString()
                    )
                )

    async def entries(self) -> list[AuditEntry]:
        async with self.database.read() as session:
            assert await audit.verify(session) == (0, "")
            return await read_after(session, 0, 1000)

    async def events(self) -> list[events_pb2.ChannelChanged]:
        async with self.database.read() as session:
            rows = (await session.execute(select(tables.outbox).order_by(tables.outbox.c.id))).all()
        assert {row.subject for row in rows} <= {"autoisp.v1.evt.channel.changed.p-c"}
        return [events_pb2.ChannelChanged.FromString(row.payload) for row in rows]

    async def kept_reports(self) -> int:
        async with self.database.read() as session:
            return int(await session.scalar(select(func.count()).select_from(tables.rollout_reports)) or 0)

    @asynccontextmanager
    async def recording(self) -> AsyncIterator[None]:
        task = asyncio.create_task(self.outcomes.run())
        try:
            yield
        finally:
            task.cancel()

    async def started(self, new: NewRollout = EVERYBODY) -> Channel:
        await self.channels.create(CALL, NEW)
        return await self.rollouts.start(CALL, new)

    async def report(self, channel: Channel, device: str, reason: str | None = None) -> bool:
        assert channel.rollout is not None
        failed = reason is not None
        return await self.outcomes.report(
            Report(channel.name, channel.rollout.rollout_id, device, failed, reason or "")
        )


@pytest.fixture
async def registry(database: Database) -> Registry:
    await migrate(database, "autoisp_registry.migrations")
    made = Registry(database)
    await made.add_versions("models/m", 1, 2, 3)
    await made.board.load()
    return made


async def refused(call: object) -> AutoISPError:
    with pytest.raises(AutoISPError) as caught:
        await call  # type: ignore[misc]
    return caught.value


async def test_a_channel_is_kept_as_it_was_created(registry: Registry) -> None:
    made = await registry.channels.create(CALL, NEW)
    assert await registry.channels.get(NAME) == made
    assert (made.model, made.version, made.constraints, made.description) == (
        NEW.model,
        1,
        NEW.constraints,
        NEW.description,
    )
    assert isinstance(await refused(registry.channels.create(CALL, NEW)), AlreadyExistsError)
    assert isinstance(await refused(registry.channels.get("products/p/channels/d")), NotFoundError)
    assert [entry.draft.action for entry in await registry.entries()] == ["channel.create"]


async def test_a_whole_rollout_and_what_is_told_of_it(registry: Registry) -> None:
    before = await registry.started(ROLLOUT)
    assert before.rollout is not None
    rollouts = registry.rollouts
    await rollouts.update(replace(CALL, comment="more"), Changes(share=100_000, testers=("t", "u")))
    await rollouts.pause(CALL)
    await rollouts.resume(CALL)
    done = await rollouts.complete(replace(CALL, actor="bob"))
    assert (done.version, done.rollout, done.history) == (2, None, (1,))
    assert done.last_rollout is not None
    assert (done.last_rollout.share, done.last_rollout.testers) == (100_000, ("t", "u"))
    back = await rollouts.rollback(CALL)
    assert (back.version, back.history) == (1, ())
    assert await registry.channels.get(NAME) == back
    entries = await registry.entries()
    assert [(entry.draft.action, entry.draft.actor) for entry in entries] == [
        ("channel.create", "ann"),
        ("rollout.start", "ann"),
        ("rollout.update", "ann"),
        ("rollout.pause", "ann"),
        ("rollout.resume", "ann"),
        ("rollout.complete", "bob"),
        ("channel.rollback", "ann"),
    ]
    assert entries[1].draft.details == {"rollout": before.rollout.rollout_id, "version": "2", "percent": "1"}
    assert entries[2].draft.comment == "more"
    assert (entries[2].draft.details["from"], entries[2].draft.details["percent"]) == ("1", "10")
    assert (entries[6].draft.details["from"], entries[6].draft.details["to"]) == ("2", "1")
    events = await registry.events()
    assert [event.entry.sequence for event in events] == list(range(1, 8))
    assert events[-1].channel.version == 1
    assert events[-1].channel.etag == back.etag


async def test_rollouts_can_t_be_done_in_a_wrong_order(registry: Registry) -> None:
    await registry.channels.create(CALL, NEW)
    rollouts = registry.rollouts
    for call in (rollouts.pause(CALL), rollouts.complete(CALL), rollouts.abort(CALL), rollouts.resume(CALL)):
        error = await refused(call)
        assert isinstance(error, FailedPreconditionError)
        assert error.metadata["possible"] == "start"
    await rollouts.start(CALL, ROLLOUT)
    assert "abort, complete" in (await refused(rollouts.start(CALL, ROLLOUT))).metadata["possible"]
    assert len(await registry.entries()) == 2


@pytest.mark.parametrize(
    ("new", "field"),
    [
        (replace(NEW, version=4), "channel.version"),
        (replace(NEW, version=-1), "channel.version"),
        (replace(NEW, version=1 << 40), "channel.version"),
        (replace(NEW, model="models/none"), "channel.model"),
        (replace(NEW, model="models/../m"), "channel.model"),
        (replace(NEW, description="x" * 10_001), "channel.description"),
    ],
)
async def test_bad_channels_name_the_field_and_leave_nothing(
    registry: Registry, new: NewChannel, field: str
) -> None:
    assert (await refused(registry.channels.create(CALL, new))).metadata["field"] == field
    assert isinstance(await refused(registry.channels.get(NAME)), NotFoundError)
    assert await registry.entries() == []


@pytest.mark.parametrize("version", [0, -1, 4, 1 << 40])
async def test_only_versions_that_exist_are_rolled_out(registry: Registry, version: int) -> None:
    await registry.channels.create(CALL, NEW)
    error = await refused(registry.rollouts.start(CALL, replace(ROLLOUT, version=version)))
    assert isinstance(error, NotFoundError)
    assert error.metadata["field"] == "rollout.version"


async def test_a_deleted_model_s_versions_are_not_rolled_out(registry: Registry) -> None:
    await registry.channels.create(CALL, NEW)
    gone = registry_pb2.Model(name="models/m")
    gone.delete_time.FromDatetime(NOW)
    async with registry.database.transaction() as session:
        await session.execute(tables.models.update().values(body=gone.SerializeToString()))
    assert isinstance(await refused(registry.rollouts.start(CALL, ROLLOUT)), NotFoundError)
    await registry.board.load()
    with pytest.raises(NotFoundError) as caught:
        registry.board.resolve(NAME, Device("d", "npu-10", (2,)), ())
    assert caught.value.reason == "VERSION_DELETED"


@pytest.mark.parametrize(
    ("call", "field"),
    [
        (Call("products/p/channels/", "ann"), "channel"),
        (Call("products/p/channels/c%2e", "ann"), "channel"),
        (replace(CALL, request_id="é"), "request_id"),
        (replace(CALL, request_id="x" * 129), "request_id"),
        (replace(CALL, comment="x" * 1001), "comment"),
    ],
)
async def test_bad_calls_name_the_field(registry: Registry, call: Call, field: str) -> None:
    await registry.started()
    for done in (registry.rollouts.pause(call), registry.channels.create(call, NEW)):
        error = await refused(done)
        assert isinstance(error, InvalidArgumentError)
        assert error.field == field


async def test_a_stale_etag_changes_nothing(registry: Registry) -> None:
    made = await registry.channels.create(CALL, NEW)
    started = await registry.rollouts.start(replace(CALL, etag=made.etag), ROLLOUT)
    stale = replace(CALL, etag=made.etag)
    for call in (registry.rollouts.abort(stale), registry.channels.delete(stale)):
        assert isinstance(await refused(call), AbortedError)
    assert await registry.channels.get(NAME) == started
    await registry.channels.delete(replace(CALL, etag=started.etag))
    again = await registry.channels.create(CALL, NEW)
    assert again.etag != made.etag
    actions = [entry.draft.action for entry in await registry.entries()]
    assert actions == ["channel.create", "rollout.start", "channel.delete", "channel.create"]


async def test_a_repeated_request_is_done_once(registry: Registry) -> None:
    call = replace(CALL, request_id="r")
    made = [await registry.channels.create(call, NEW) for _ in range(2)]
    started = [await registry.rollouts.start(call, ROLLOUT) for _ in range(2)]
    assert made[0] == made[1]
    assert started[0] == started[1]
    await registry.rollouts.abort(replace(call, etag=started[0].etag))
    await registry.rollouts.abort(replace(call, etag=started[0].etag))
    assert len(await registry.entries()) == 3
    elsewhere = replace(call, channel="products/p/channels/d")
    error = await refused(registry.channels.create(elsewhere, NEW))
    assert (error.reason, error.metadata["field"]) == ("REQUEST_ID_REUSED", "request_id")


async def test_the_same_request_at_once_is_done_once(registry: Registry) -> None:
    call = replace(CALL, request_id="r")
    made = await asyncio.gather(*(registry.channels.create(call, NEW) for _ in range(6)))
    assert len({channel.uid for channel in made}) == 1
    started = await asyncio.gather(*(registry.rollouts.start(call, ROLLOUT) for _ in range(6)))
    assert len({channel.rollout and channel.rollout.rollout_id for channel in started}) == 1
    assert len(await registry.entries()) == 2


async def test_of_two_rollouts_at_once_one_wins(registry: Registry) -> None:
    made = await registry.channels.create(CALL, NEW)
    for etag, loses in ((made.etag, AbortedError), ("", FailedPreconditionError)):
        calls = [registry.rollouts.start(replace(CALL, etag=etag), ROLLOUT) for _ in range(2)]
        results = await asyncio.gather(*calls, return_exceptions=True)
        assert sorted(type(result).__name__ for result in results) == sorted(["Channel", loses.__name__])
        await registry.rollouts.abort(CALL)


async def test_channels_of_a_product(registry: Registry) -> None:
    names = [f"products/{product}/channels/c{number}" for product in ("a", "b") for number in range(3)]
    for name in names:
        await registry.channels.create(replace(CALL, channel=name), NEW)
    first = await registry.channels.list("products/-", 4, "")
    rest = await registry.channels.list("products/-", 4, first.next_page_token)
    assert [channel.name for channel in (*first.items, *rest.items)] == names
    assert [channel.name for channel in (await registry.channels.list("products/b", 0, "")).items] == names[
        3:
    ]
    assert (await refused(registry.channels.list("products/", 0, ""))).metadata["field"] == "parent"
    assert (await refused(registry.channels.list("products/-", 0, "x"))).metadata["field"] == "page_token"
    assert (await registry.store.list_channels("none", PageRequest(10, None))).items == ()


async def test_a_page_fits_into_a_message(registry: Registry, monkeypatch: pytest.MonkeyPatch) -> None:
    wanted = [f"products/p/channels/c{number}" for number in range(5)]
    for name in wanted:
        await registry.channels.create(replace(CALL, channel=name), NEW)
    size = len(rollouts_wire.channel_to(await registry.channels.get(wanted[0])).SerializeToString())
    for fitting, expected in ((2 * size + size // 2, [2, 2, 1]), (1, [1] * 5), (10 * size, [5])):
        monkeypatch.setattr(rollout_store, "_PAGE_BYTES", fitting)
        page = await registry.channels.list("products/p", 0, "")
        pages = [page.items]
        while page.next_page_token:
            page = await registry.channels.list("products/p", 0, page.next_page_token)
            pages.append(page.items)
        assert [len(items) for items in pages] == expected
        assert [channel.name for items in pages for channel in items] == wanted


async def test_devices_see_at_once_what_was_done(registry: Registry) -> None:
    device = Device("tester", "npu-10", (2,))

    def told() -> int | str:
        try:
            return registry.board.resolve(NAME, device, ()).version.number
        except AutoISPError as error:
            return error.reason

    await registry.channels.create(CALL, NEW)
    assert told() == 1
    await registry.rollouts.start(CALL, ROLLOUT)
    assert told() == 2
    await registry.rollouts.abort(CALL)
    assert told() == 1
    await registry.channels.delete(CALL)
    assert told() == "NOT_FOUND"


async def test_another_process_reads_what_this_one_did(registry: Registry) -> None:
    other: Board[Answer] = Board(RolloutStore(registry.database, registry.store._outbox), lambda a: a)
    await other.load()
    await registry.started()
    with pytest.raises(NotFoundError):
        other.resolve(NAME, Device("tester", "npu-10", (2,)), ())
    await other.catch_up()
    assert other.resolve(NAME, Device("tester", "npu-10", (2,)), ()).version.number == 2


async def test_who_serves_a_version_is_told(registry: Registry) -> None:
    async def serving(number: int | None, model: str = "models/m") -> list[str]:
        async with registry.database.read() as session:
            return await channels_serving(session, model, number)

    other = replace(CALL, channel="products/p/channels/other")
    await registry.channels.create(other, replace(NEW, version=0))
    assert await serving(None) == []
    await registry.started()
    assert await serving(None) == [NAME]
    assert [await serving(number) for number in (1, 2, 3)] == [[NAME], [NAME], []]
    assert await serving(1, "models/n") == []
    await registry.rollouts.start(other, replace(ROLLOUT, version=3))
    assert await serving(3) == [other.channel]
    await registry.rollouts.abort(CALL)
    assert await serving(2) == []


# Reports


async def test_reports_are_counted_exactly_whoever_comes_when(registry: Registry) -> None:
    channel = await registry.started(RULELESS)
    draw = random.Random(3)
    said = [(f"d{draw.randrange(150)}", draw.choice([None, None, "A", "B"])) for _ in range(600)]
    second = OutcomeRecorder(registry.store, registry.board)  # another process
    async with registry.recording():
        running = asyncio.create_task(second.run())
        recorders = (registry.outcomes, second)
        assert channel.rollout is not None
        again = await asyncio.gather(
            *(
                recorders[number % 2].report(
                    Report(NAME, channel.rollout.rollout_id, device, reason is not None, reason or "")
                )
                for number, (device, reason) in enumerate(said)
            )
        )
        running.cancel()
    assert not any(again)
    failing = {device for device, reason in said if reason is not None}
    counted = (await registry.channels.get(NAME)).rollout
    assert counted is not None
    assert counted.outcomes.failed == len(failing) == sum(counted.outcomes.reasons.values())
    assert counted.outcomes.succeeded == len({device for device, _ in said} - failing)
    assert set(counted.outcomes.reasons) == {"A", "B"}
    assert await registry.kept_reports() == counted.outcomes.devices
    # Counts are no change of the channel.
    assert (await registry.channels.get(NAME)).etag == channel.etag


async def test_too_many_failures_halt_with_an_entry_and_an_event(registry: Registry) -> None:
    channel = await registry.started()
    async with registry.recording():
        again = [await registry.report(channel, f"d{number}", None) for number in range(8)]
        again.append(await registry.report(channel, "d8", "LOAD_FAILED"))
        assert not any(again)
        assert await registry.report(channel, "d9", "LOAD_FAILED")
        device = Device("tester", "npu-10", (2,))
        assert registry.board.resolve(NAME, device, ()).version.number == 1
        assert await registry.report(channel, "d10", None)  # counted all the same
    halted = await registry.channels.get(NAME)
    assert halted.rollout is not None
    assert halted.rollout.state is RolloutState.HALTED
    assert halted.rollout.outcomes == Outcomes(9, 2, {"LOAD_FAILED": 2})
    assert halted.etag != channel.etag
    entry = (await registry.entries())[-1].draft
    assert (entry.action, entry.actor, entry.refused) == ("rollout.halt", "registry", False)
    assert (entry.details["failed"], entry.details["devices"]) == ("2", "10")
    assert len(await registry.entries()) == 3
    assert (await registry.events())[-1].channel.rollout.state_reason == "2 of 10 devices failed"


async def test_a_halted_rollout_goes_on_with_or_without_its_counts(registry: Registry) -> None:
    channel = await registry.started()
    async with registry.recording():
        for number in range(10):
            await registry.report(channel, f"d{number}", "A" if number < 3 else None)
        await registry.rollouts.resume(CALL)
        assert not await registry.report(channel, "d20")
        assert await registry.report(channel, "d21", "A")  # halted again
        resumed = await registry.rollouts.resume(CALL, reset_outcomes=True)
        assert resumed.rollout is not None
        assert resumed.rollout.outcomes == Outcomes()
        assert not await registry.report(channel, "d0", "A")  # counted anew
    found = (await registry.channels.get(NAME)).rollout
    assert found is not None
    assert found.outcomes == Outcomes(0, 1, {"A": 1})


async def test_devices_outside_of_the_rollout_are_not_counted(registry: Registry) -> None:
    channel = await registry.started(replace(ROLLOUT, share=500_000, halt_rule=HaltRule(0.1, 1)))
    assert channel.rollout is not None
    devices = [f"d{number}" for number in range(60)]
    reached = [device for device in devices if channel.rollout.reaches(device)]
    outside = sorted({*devices} - {*reached})
    assert 10 < len(reached) < 50
    for device in devices:  # as ResolveModel says
        version = registry.board.resolve(NAME, Device(device, "npu-10", (2,)), ()).version.number
        assert version == 1 + (device in reached)
    async with registry.recording():
        assert all([await registry.report(channel, device, "A") for device in outside])
        again = await asyncio.gather(*(registry.report(channel, device) for device in (*reached, "tester")))
        assert not any(again)
        found = (await registry.channels.get(NAME)).rollout
        assert found is not None
        assert (found.state, found.outcomes) == (RolloutState.ACTIVE, Outcomes(len(reached) + 1))
        assert await registry.kept_reports() == len(reached) + 1
        # A share that shrinks leaves those that it reaches no more to the channel's version.
        await registry.rollouts.update(CALL, Changes(share=0))
        assert await registry.report(channel, reached[0], "A")
        assert not await registry.report(channel, "tester")
    found = (await registry.channels.get(NAME)).rollout
    assert found is not None
    assert found.outcomes.failed == 0


async def test_reports_of_what_is_over_are_not_counted(registry: Registry) -> None:
    channel = await registry.started()
    async with registry.recording():
        assert not await registry.report(channel, "d1")
        done = await registry.rollouts.complete(CALL)
        assert await registry.report(channel, "d2", "A")
        assert done.last_rollout is not None
        assert (await registry.channels.get(NAME)).last_rollout == done.last_rollout
        assert done.last_rollout.outcomes == Outcomes(1, 0)
        assert channel.rollout is not None
        missing = Report("products/p/channels/none", channel.rollout.rollout_id, "d", False)
        later = asyncio.create_task(registry.report(channel, "d3"))
        assert isinstance(await refused(registry.outcomes.report(missing)), NotFoundError)
        assert await later


async def test_reports_are_deleted_once_their_rollout_is_over(registry: Registry) -> None:
    channel = await registry.started(RULELESS)
    async with registry.recording():
        await asyncio.gather(*(registry.report(channel, f"d{number}") for number in range(25)))
        assert not await registry.store.delete_some(10)
        await registry.rollouts.resume(
            replace(CALL, etag=(await registry.rollouts.pause(CALL)).etag), reset_outcomes=True
        )
        await registry.report(channel, "d0")
    assert await registry.kept_reports() == 26
    while await registry.store.delete_some(10):
        pass
    assert await registry.kept_reports() == 1
    await registry.channels.delete(CALL)
    while await registry.store.delete_some(10):
        pass
    assert await registry.kept_reports() == 0


async def test_a_report_is_not_acknowledged_before_it_is_written(
    registry: Registry, monkeypatch: pytest.MonkeyPatch
) -> None:
    channel = await registry.started()
    written = RolloutTransaction.save

    async def fail(self: RolloutTransaction, channels: object) -> None:
        raise UnavailableError("away")

    async with registry.recording():
        monkeypatch.setattr(RolloutTransaction, "save", fail)
        errors = await asyncio.gather(
            *(registry.report(channel, f"d{number}") for number in range(5)), return_exceptions=True
        )
        assert all(isinstance(error, UnavailableError) for error in errors)
        assert await registry.kept_reports() == 0
        monkeypatch.setattr(RolloutTransaction, "save", written)
        assert not await registry.report(channel, "d0")
    assert await registry.kept_reports() == 1


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"channel": "products/p"}, "channel"),
        ({"rollout_id": ""}, "rollout_id"),
        ({"rollout_id": "r'; DROP TABLE channels"}, "rollout_id"),
        ({"device_id": ""}, "device_id"),
        ({"device_id": "x" * 257}, "device_id"),
        ({"reason": "A"}, "reason"),
        ({"reason": "a", "failed": True}, "reason"),
    ],
)
async def test_bad_reports_name_the_field(registry: Registry, changes: dict[str, object], field: str) -> None:
    good = Report(NAME, "r" + "0" * 22, "d", False)
    error = await refused(registry.outcomes.report(replace(good, **changes)))  # type: ignore[arg-type]
    assert isinstance(error, InvalidArgumentError)
    assert error.field == field

"""The evaluation service's store over SQLite and PostgreSQL."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest
from autoisp_core.artifact import Artifact
from autoisp_core.errors import AlreadyExistsError, InvalidArgumentError
from autoisp_core.pagination import PageRequest, encode_page_token
from autoisp_evaluation import tables, wire
from autoisp_evaluation.domain import (
    ClipResult,
    Cost,
    DeviceEstimate,
    Evaluation,
    FrameResult,
    Latency,
    MetricResult,
    ModelVersion,
    Picture,
    Prototype,
    Quality,
    Registration,
    Sensor,
    Split,
    State,
    Subject,
    SubjectResult,
    WorstFrame,
)
from autoisp_evaluation.store import SqlStore
from autoisp_runtime.database import Database
from autoisp_runtime.migrations import differences, migrate
from autoisp_runtime.outbox import Outbox, OutgoingMessage
from sqlalchemy import text

NOW = datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)
ALL = PageRequest(1000, None)


def encode(text: str) -> OutgoingMessage:
    return OutgoingMessage(f"autoisp.v1.evt.test.said.{text}", text.encode(), text)


@pytest.fixture
def outbox(database: Database) -> Outbox:
    return Outbox(database, tables.outbox)


@pytest.fixture
async def store(database: Database, outbox: Outbox) -> SqlStore[str]:
    await migrate(database, "autoisp_evaluation.migrations")
    return SqlStore(database, outbox, encode)


def evaluation(number: int = 1, **changes: Any) -> Evaluation:
    onnx = Artifact(f"blobs/aa/{'a' * 64}", "a" * 64, 5, "application/onnx")
    fields: dict[str, Any] = {
        "name": f"evaluations/e{number}",
        "dataset": "datasets/d",
        "split": Split.TEST,
        "subjects": (Subject("prototype", Prototype("classical")), Subject("model", onnx)),
        "sensor": Sensor("phone", identity_ccm=True),
        "seed": 2**60,
        "frames_per_clip": 24,
        "create_time": NOW,
        "search": f"searches/s{number % 2}",
        "registration": Registration("models/m", '{"a": 1}', 300.5, None),
        "clips": tuple(ClipResult(f"clips/c{i}", f"Clip {i} ✓", State.RUNNING) for i in (2, 1)),
    }
    return Evaluation(**{**fields, **changes})


def result(clip: str) -> ClipResult:
    frames = tuple(FrameResult(i, Quality(30.0 + i, 0.9)) for i in range(3))
    cost = Cost(None, 3, 4, 0.5)
    subjects = tuple(SubjectResult(label, Quality(31, 0.9), cost, frames) for label in ("prototype", "model"))
    return ClipResult(clip, "", State.SUCCEEDED, subjects)


async def add(store: SqlStore[str], *evaluations: Evaluation) -> None:
    for one in evaluations:
        async with store.transaction() as transaction:
            await transaction.add(one, f"key/{one.name}")


async def test_migrations_make_the_tables(store: SqlStore[str], database: Database) -> None:
    assert await differences(database, tables.metadata) == []


async def test_evaluations_of_the_first_schema_stay(database: Database, outbox: Outbox) -> None:
    await migrate(database, "autoisp_evaluation.migrations", "0001")
    old = evaluation(clips=())
    row = {
        "id": 7,
        "name": old.name,
        "idempotency_key": "k",
        "search": old.search,
        "revision": old.revision,
        "body": wire.evaluation_to(old).SerializeToString(),
        "model": "models/m",
        "spec": '{"a": 1}',
        "macs_per_pixel_limit": 300.5,
    }
    async with database.transaction() as session:
        columns = ", ".join(row)
        values = ", ".join(f":{column}" for column in row)
        await session.execute(text(f"INSERT INTO evaluations ({columns}) VALUES ({values})"), row)
    await migrate(database, "autoisp_evaluation.migrations")
    assert await SqlStore(database, outbox, encode).get(old.name) == old


async def test_what_is_added_can_be_read(store: SqlStore[str]) -> None:
    await add(store, evaluation(1), evaluation(2, registration=None))
    assert await store.get("evaluations/e1") == evaluation(1)
    assert await store.get("evaluations/e2") == evaluation(2, registration=None)
    assert await store.find("key/evaluations/e1") == evaluation(1)
    assert await store.revision("evaluations/e1") == 1
    assert await store.get("evaluations/none") is None
    assert await store.revision("evaluations/none") is None
    async with store.transaction() as transaction:
        assert await transaction.lock("evaluations/none") is None
    assert await store.find("key/none") is None


async def test_results_are_kept_clip_by_clip(store: SqlStore[str]) -> None:
    await add(store, evaluation())
    for clip in ("clips/c1", "clips/c2"):
        async with store.transaction() as transaction:
            current = await store.get("evaluations/e1")
            assert current is not None
            assert await transaction.lock("evaluations/e1") == current.revision
            after = current.judged(result(clip), NOW)
            assert after is not None
            await transaction.update(after, [clip])
        assert await store.get("evaluations/e1") == after
    assert after.state is State.SUCCEEDED


async def test_all_that_was_measured_is_kept(store: SqlStore[str]) -> None:
    """Metrics with intervals, worst frames, costs, comparisons and the gate's report."""
    onnx = Artifact(f"blobs/aa/{'a' * 64}", "a" * 64, 5, "application/onnx")
    picture = Picture("truth", 1, Artifact(f"blobs/bb/{'b' * 64}", "b" * 64, 9, "image/png"))
    subjects = (
        Subject("prototype", Prototype("classical")),
        Subject("model", ModelVersion("models/m/versions/2", onnx)),
    )
    gate = '[[check]]\nmetric = "psnr"\nat_least = 30\n[[check]]\nmetric = "mac_ratio"\nat_least = 2'
    start = evaluation(subjects=subjects, metrics=("psnr", "ssim", "delta_e2000"), gate=gate)
    await add(store, start)
    for clip in ("clips/c1", "clips/c2"):
        judged = result(clip)
        rich = tuple(
            replace(
                subject,
                cost=Cost(250.0, 3, 4, 0.5, 6.0, 7.0, 8.0),
                metrics=(MetricResult("delta_e2000", values=(1.5, 2.5, 3.5)),),
                latency=Latency(0.1, 0.2, 0.3, 3, 1, "CPUExecutionProvider", 1 << 40),
                devices=(DeviceEstimate("phone-npu-10", 0.01, "traffic", True, 31.5),),
            )
            for subject in judged.subjects
        )
        worst = (WorstFrame("model", "psnr", 1, 30.0, (picture,)),)
        current = await store.get(start.name)
        assert current is not None
        after = current.judged(replace(judged, subjects=rich, worst=worst, pictures=(picture,)), NOW)
        assert after is not None
        async with store.transaction() as transaction:
            await transaction.update(after, [clip])
    assert after.gate_report is not None
    assert [check.passed for check in after.gate_report.checks] == [True, False, True]
    assert {comparison.metric for comparison in after.comparisons} == {"psnr", "ssim", "delta_e2000"}
    assert await store.get(start.name) == after


async def test_a_cancelled_evaluation_is_kept_with_what_was_judged(store: SqlStore[str]) -> None:
    await add(store, evaluation())
    judged = evaluation().judged(result("clips/c1"), NOW)
    assert judged is not None
    cancelled = judged.cancelled(NOW)
    assert cancelled is not None
    async with store.transaction() as transaction:
        await transaction.update(cancelled, ["clips/c1", "clips/c2"])
    assert await store.get("evaluations/e1") == cancelled
    assert [clip.state for clip in cancelled.clips] == [State.CANCELLED, State.SUCCEEDED]


async def test_names_and_keys_are_unique_and_a_clash_spoils_nothing(store: SqlStore[str]) -> None:
    await add(store, evaluation(1))
    async with store.transaction() as transaction:
        with pytest.raises(AlreadyExistsError):
            await transaction.add(evaluation(1), None)
        with pytest.raises(AlreadyExistsError):
            await transaction.add(evaluation(2), "key/evaluations/e1")
        await transaction.add(evaluation(3), None)
        await transaction.add(evaluation(4), None)
    assert await store.get("evaluations/e2") is None
    assert await store.get("evaluations/e4") == evaluation(4)


async def test_changes_and_messages_go_together(store: SqlStore[str], outbox: Outbox) -> None:
    async def fail() -> None:
        async with store.transaction() as transaction:
            await transaction.add(evaluation(1), None)
            await transaction.send("lost")
            raise RuntimeError

    with pytest.raises(RuntimeError):
        await fail()
    assert await store.get("evaluations/e1") is None
    assert await outbox.pending() == 0
    async with store.transaction() as transaction:
        await transaction.add(evaluation(1), None)
        await transaction.send("kept")
    assert await outbox.pending() == 1


async def test_results_that_come_at_once_are_all_kept(store: SqlStore[str]) -> None:
    clips = tuple(ClipResult(f"clips/c{i}", "", State.RUNNING) for i in range(8))
    await add(store, evaluation(clips=clips))
    ends = []

    async def judge(clip: str) -> None:
        while True:
            current = await store.get("evaluations/e1")
            assert current is not None
            after = current.judged(result(clip), NOW)
            assert after is not None
            async with store.transaction() as transaction:
                if await transaction.lock("evaluations/e1") == current.revision:
                    await transaction.update(after, [clip])
                    ends.append(after.state)
                    return

    await asyncio.gather(*(judge(clip.clip) for clip in clips))
    ended = await store.get("evaluations/e1")
    assert ended is not None
    assert ended.state is State.SUCCEEDED
    assert ends.count(State.SUCCEEDED) == 1
    assert all(clip.state is State.SUCCEEDED for clip in ended.clips)


async def test_pages(store: SqlStore[str]) -> None:
    await add(store, *(evaluation(number) for number in range(1, 6)))
    first = await store.list(PageRequest.parse(2, ""), "")
    second = await store.list(PageRequest.parse(2, first.next_page_token), "")
    third = await store.list(PageRequest.parse(2, second.next_page_token), "")
    names = [one.name for page in (first, second, third) for one in page.items]
    assert names == [f"evaluations/e{number}" for number in range(1, 6)]
    assert third.next_page_token == ""


async def test_pages_of_one_search_have_no_frames(store: SqlStore[str]) -> None:
    judged = evaluation(2).judged(result("clips/c1"), NOW)
    assert judged is not None
    await add(store, evaluation(1), judged, evaluation(3))
    page = await store.list(ALL, "searches/s0")
    assert page.items == (judged.without_frames(),)


@pytest.mark.parametrize("key", ["x", "-1", "9" * 19, "²"])
async def test_a_forged_token_is_refused(store: SqlStore[str], key: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        await store.list(PageRequest.parse(2, encode_page_token(key)), "")
    assert caught.value.field == "page_token"


async def test_a_page_ends_where_it_would_not_fit_into_a_message(
    store: SqlStore[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    await add(store, *(evaluation(number) for number in range(5)))
    size = wire.evaluation_to(evaluation(0)).ByteSize()
    for room, sizes in ((2.5 * size, [2, 2, 1]), (0.5 * size, [1] * 5)):
        monkeypatch.setattr(wire, "GRPC_BYTES", int(room))
        found, page, token = [], ALL, "first"
        while token:
            got = await store.list(page, "")
            found.append([one.name for one in got.items])
            token = got.next_page_token
            page = PageRequest.parse(1000, token)
        assert [len(names) for names in found] == sizes
        assert [name for names in found for name in names] == [f"evaluations/e{n}" for n in range(5)]

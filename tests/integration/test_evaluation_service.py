"""The evaluation service as a process, with a real broker; the test plays the worker."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import grpc
import pytest
from autoisp.common.v1 import common_pb2
from autoisp.evaluation.v1 import evaluation_pb2, evaluation_pb2_grpc
from autoisp.events.v1 import events_pb2
from autoisp.prototype.v1 import prototype_pb2
from autoisp_core.errors import AlreadyExistsError, ErrorCode, InvalidArgumentError, NotFoundError
from autoisp_runtime.artifacts import ArtifactStore
from autoisp_runtime.jetstream import Event, NatsConnection
from autoisp_testing.nats import NatsServer
from autoisp_testing.processes import ServiceProcess
from evaluation_calls import (
    ACK_WAIT_S,
    CLASSICAL,
    TEST,
    TRAIN,
    RoteWorker,
    events,
    publish,
    put_bytes,
    put_dataset,
    refused,
    search_completed,
    store_in,
    until,
)

SUCCEEDED = evaluation_pb2.EVALUATION_STATE_SUCCEEDED
Stub = evaluation_pb2_grpc.EvaluationServiceStub


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("evaluation")


@pytest.fixture(scope="module")
def nats(folder: Path) -> Iterator[NatsServer]:
    with NatsServer(folder / "nats") as server:
        yield server


@pytest.fixture(scope="module")
def service(folder: Path, nats: NatsServer) -> Iterator[ServiceProcess]:
    with ServiceProcess(
        "autoisp_evaluation", folder, nats_url=nats.url, ack_wait_seconds=ACK_WAIT_S
    ) as process:
        yield process


@pytest.fixture(scope="module")
def store(folder: Path) -> ArtifactStore:
    return store_in(folder)


@pytest.fixture(scope="module")
def onnx(store: ArtifactStore) -> common_pb2.Artifact:
    put_dataset(store, "d", test_clips=3)
    return put_bytes(store, b"a network")


@pytest.fixture
async def connection(nats: NatsServer, service: ServiceProcess) -> AsyncIterator[NatsConnection]:
    opened = await NatsConnection.open(nats.url)
    yield opened
    await opened.close()


@pytest.fixture
async def stub(service: ServiceProcess) -> AsyncIterator[Stub]:
    async with grpc.aio.insecure_channel(service.address) as channel:
        yield Stub(channel)


def request(
    onnx: common_pb2.Artifact, evaluation_id: str = "", request_id: str = ""
) -> evaluation_pb2.CreateEvaluationRequest:
    return evaluation_pb2.CreateEvaluationRequest(
        evaluation_id=evaluation_id,
        evaluation=evaluation_pb2.Evaluation(
            dataset="datasets/d",
            split=TEST,
            subjects=[
                evaluation_pb2.Subject(label="prototype", prototype=CLASSICAL),
                evaluation_pb2.Subject(label="model", onnx=onnx),
            ],
            frames_per_clip=2,
        ),
        request_id=request_id,
    )


async def watch(stub: Stub, name: str, timeout_s: float = 30) -> list[evaluation_pb2.Evaluation]:
    call = stub.WatchEvaluation(evaluation_pb2.WatchEvaluationRequest(name=name), timeout=timeout_s)
    return [snapshot async for snapshot in call]


def psnr(evaluation: evaluation_pb2.Evaluation) -> dict[str, float]:
    return {total.label: round(total.quality.psnr_db, 6) for total in evaluation.totals}


async def test_a_person_has_subjects_judged(
    stub: Stub, connection: NatsConnection, onnx: common_pb2.Artifact
) -> None:
    created = await stub.CreateEvaluation(request(onnx, "mine"))
    assert created.name == "evaluations/mine"
    assert created.sensor.builtin == "phone"
    worker = RoteWorker(connection, allowed=asyncio.Semaphore(0))
    async with worker.working():
        watching = asyncio.create_task(watch(stub, created.name))
        for _ in range(3):
            await asyncio.sleep(0.1)
            worker.allow(1)
        snapshots = await watching
    assert snapshots[0] == created
    judged = [sum(clip.state == SUCCEEDED for clip in snapshot.clips) for snapshot in snapshots]
    assert judged == [0, 1, 2, 3]
    last = snapshots[-1]
    assert last.state == SUCCEEDED
    # Clips have 20, 21, 22 dB; the model always has 5 more.
    assert psnr(last) == {"prototype": 21.0, "model": 26.0}
    assert [total.cost.seconds_per_megapixel for total in last.totals] == [4.0, 0.02]
    assert len(last.clips[0].subjects[0].frames) == 2
    assert await stub.GetEvaluation(evaluation_pb2.GetEvaluationRequest(name=created.name)) == last
    assert {command.entry.clip.display_name for command in worker.commands} == {
        f"d-t{i}.mp4" for i in range(3)
    }
    (sent,) = await events(connection, Event.EVALUATION_COMPLETED, "mine", at_least=1)
    assert events_pb2.EvaluationCompleted.FromString(sent).model == ""


async def test_requests_are_idempotent_and_ids_unique(stub: Stub, onnx: common_pb2.Artifact) -> None:
    first = await stub.CreateEvaluation(request(onnx, "twice", "r-1"))
    assert await stub.CreateEvaluation(request(onnx, "other", "r-1")) == first
    error = await refused(stub.CreateEvaluation(request(onnx, "twice")))
    assert isinstance(error, AlreadyExistsError)
    assert error.resource == "evaluations/twice"


async def test_a_completed_search_is_judged_once_whatever_is_repeated(
    stub: Stub, connection: NatsConnection, store: ArtifactStore
) -> None:
    event = search_completed(store, "s-1", put_dataset(store, "sd", test_clips=2))
    async with RoteWorker(connection, answers=3).working() as worker:
        for _ in range(2):
            await publish(connection, Event.SEARCH_COMPLETED, "s-1", event)
        await events(connection, Event.EVALUATION_COMPLETED, "s-1", at_least=1)
        mine = [command for command in worker.commands if command.evaluation == "evaluations/s-1"]
    assert sorted(command.entry.clip.name for command in mine) == ["clips/sd-t0", "clips/sd-t1"]
    await asyncio.sleep(0.5)
    sent = await events(connection, Event.EVALUATION_COMPLETED, "s-1")
    assert len(sent) == 1
    completed = events_pb2.EvaluationCompleted.FromString(sent[0])
    assert (completed.model, completed.spec) == ("models/s-1", '{"a": "spec"}')
    assert completed.latency_ratio_goal == 100
    assert completed.evaluation.trial == "searches/s-1/trials/r1-0001"
    assert psnr(completed.evaluation) == {"prototype": 20.5, "model": 25.5}
    of_search = await stub.ListEvaluations(evaluation_pb2.ListEvaluationsRequest(search="searches/s-1"))
    assert [found.name for found in of_search.evaluations] == ["evaluations/s-1"]


async def test_pages(stub: Stub, onnx: common_pb2.Artifact) -> None:
    for number in range(3):
        await stub.CreateEvaluation(request(onnx, f"page-{number}", f"page-{number}"))
    names, token = [], ""
    while True:
        page = await stub.ListEvaluations(
            evaluation_pb2.ListEvaluationsRequest(page_size=2, page_token=token)
        )
        names += [found.name for found in page.evaluations]
        assert not any(s.frames for e in page.evaluations for c in e.clips for s in c.subjects)
        if not (token := page.next_page_token):
            break
    assert names[-3:] == [f"evaluations/page-{number}" for number in range(3)]
    assert len(names) == len(set(names))


def _subject(index: int, **fields: object) -> object:
    def change(message: evaluation_pb2.CreateEvaluationRequest) -> None:
        subject = message.evaluation.subjects[index]
        subject.CopyFrom(evaluation_pb2.Subject(**{"label": subject.label, **fields}))  # type: ignore[arg-type]

    return change


def _evaluation(**fields: object) -> object:
    def change(message: evaluation_pb2.CreateEvaluationRequest) -> None:
        for field in fields:
            message.evaluation.ClearField(field)  # type: ignore[arg-type]
        message.evaluation.MergeFrom(evaluation_pb2.Evaluation(**fields))  # type: ignore[arg-type]

    return change


def _request(**fields: object) -> object:
    return lambda message: message.MergeFrom(evaluation_pb2.CreateEvaluationRequest(**fields))  # type: ignore[arg-type]


ABSENT = common_pb2.Artifact(sha256="0" * 64, size_bytes=5)
INVALID, NOT_FOUND = ErrorCode.INVALID_ARGUMENT, ErrorCode.NOT_FOUND


@pytest.mark.parametrize(
    ("change", "code", "field"),
    [
        (_request(evaluation_id="Big"), INVALID, "evaluation_id"),
        (_request(request_id="ü"), INVALID, "request_id"),
        (_evaluation(dataset=""), INVALID, "evaluation.dataset"),
        (_evaluation(dataset="datasets/none"), NOT_FOUND, "evaluation.dataset"),
        (_evaluation(split=0), INVALID, "evaluation.split"),
        (_evaluation(split=99), INVALID, "evaluation.split"),
        (_evaluation(split=2), INVALID, "evaluation.split"),
        (_evaluation(subjects=[]), INVALID, "evaluation.subjects"),
        (_evaluation(frames_per_clip=-1), INVALID, "evaluation.frames_per_clip"),
        (_evaluation(sensor=common_pb2.Sensor(builtin="x")), INVALID, "evaluation.sensor.builtin"),
        (_evaluation(sensor=common_pb2.Sensor(toml="x")), INVALID, "evaluation.sensor.toml"),
        (
            _evaluation(sensor=common_pb2.Sensor(test_noise=common_pb2.Noise(shot=7))),
            INVALID,
            "evaluation.sensor.test_noise.shot",
        ),
        (_evaluation(search="s"), INVALID, "evaluation.search"),
        (_evaluation(trial="t"), INVALID, "evaluation.trial"),
        (_subject(1), INVALID, "evaluation.subjects[1]"),
        (_subject(1, label="prototype", prototype=CLASSICAL), INVALID, "evaluation.subjects[1].label"),
        (_subject(0, label="noisy", prototype=CLASSICAL), INVALID, "evaluation.subjects[0].label"),
        (
            _subject(0, prototype=prototype_pb2.Prototype()),
            INVALID,
            "evaluation.subjects[0].prototype",
        ),
        (
            _subject(0, prototype=prototype_pb2.Prototype(builtin="clasical")),
            INVALID,
            "evaluation.subjects[0].prototype.builtin",
        ),
        (_subject(1, onnx=ABSENT), NOT_FOUND, "evaluation.subjects[1].onnx"),
        (
            _subject(0, prototype=prototype_pb2.Prototype(onnx=ABSENT)),
            NOT_FOUND,
            "evaluation.subjects[0].prototype.onnx",
        ),
        (_subject(1, onnx=common_pb2.Artifact(sha256="0")), INVALID, "evaluation.subjects[1].onnx.sha256"),
        (
            _subject(1, onnx=common_pb2.Artifact(sha256="0" * 64)),
            INVALID,
            "evaluation.subjects[1].onnx.size_bytes",
        ),
        (
            _subject(1, onnx=common_pb2.Artifact(sha256="0" * 64, size_bytes=1, uri="/etc/passwd")),
            INVALID,
            "evaluation.subjects[1].onnx.uri",
        ),
    ],
)
async def test_bad_requests_name_the_field(
    stub: Stub, onnx: common_pb2.Artifact, change: object, code: ErrorCode, field: str
) -> None:
    message = request(onnx)
    change(message)  # type: ignore[operator]
    error = await refused(stub.CreateEvaluation(message))
    assert (error.code, error.metadata["field"]) == (code, field)


async def test_the_training_split_can_be_judged_too(stub: Stub, onnx: common_pb2.Artifact) -> None:
    message = request(onnx)
    message.evaluation.split = TRAIN
    created = await stub.CreateEvaluation(message)
    assert [clip.clip for clip in created.clips] == ["clips/d-train"]


async def test_bad_reads_name_the_field(stub: Stub) -> None:
    get, follow = evaluation_pb2.GetEvaluationRequest, evaluation_pb2.WatchEvaluationRequest
    for name, kind in (("e", InvalidArgumentError), ("evaluations/none", NotFoundError)):
        assert isinstance(await refused(stub.GetEvaluation(get(name=name))), kind)
        assert isinstance(await refused(stub.WatchEvaluation(follow(name=name))), kind)
    pages = evaluation_pb2.ListEvaluationsRequest
    for field, bad in (
        ("page_size", pages(page_size=-1)),
        ("page_token", pages(page_token="?")),
        ("search", pages(search="s")),
    ):
        assert (await refused(stub.ListEvaluations(bad))).metadata["field"] == field


async def test_a_killed_service_goes_on_where_it_was(
    tmp_path: Path, nats_server: NatsServer, nats_connection: NatsConnection
) -> None:
    store = store_in(tmp_path)
    event = search_completed(store, "s-9", put_dataset(store, "kd", test_clips=4))
    worker = RoteWorker(nats_connection, answers=2, allowed=asyncio.Semaphore(0))
    service = ServiceProcess(
        "autoisp_evaluation", tmp_path, nats_url=nats_server.url, ack_wait_seconds=ACK_WAIT_S
    )
    async with worker.working():
        with service:
            await publish(nats_connection, Event.SEARCH_COMPLETED, "s-9", event)
            worker.allow(2)
            async with grpc.aio.insecure_channel(service.address) as channel:
                await until(lambda: _judged(Stub(channel)))
            service.kill()
            worker.allow(1)
            await until(lambda: _commands(worker, 3))  # judged while nobody listens
            service.start()
            worker.allow(1)
            async with grpc.aio.insecure_channel(service.address) as channel:
                (*_, last) = await watch(Stub(channel), "evaluations/s-9")
            await events(nats_connection, Event.EVALUATION_COMPLETED, "s-9", at_least=1)
            assert service.stop() == 0
    assert len(await events(nats_connection, Event.EVALUATION_COMPLETED, "s-9")) == 1
    assert [clip.state for clip in last.clips] == [SUCCEEDED] * 4
    assert psnr(last) == {"prototype": 21.5, "model": 26.5}
    assert sorted(command.entry.clip.name for command in worker.commands) == [
        f"clips/kd-t{i}" for i in range(4)
    ]


async def test_a_stop_does_not_wait_for_watchers(tmp_path: Path, nats_server: NatsServer) -> None:
    store = store_in(tmp_path)
    put_dataset(store, "d")
    with ServiceProcess("autoisp_evaluation", tmp_path, nats_url=nats_server.url) as service:
        async with grpc.aio.insecure_channel(service.address) as channel:
            stub = Stub(channel)
            await stub.CreateEvaluation(request(put_bytes(store, b"a network"), "mine"))
            watching = stub.WatchEvaluation(evaluation_pb2.WatchEvaluationRequest(name="evaluations/mine"))
            assert await watching.read()
            began = time.monotonic()
            assert await asyncio.to_thread(service.stop) == 0
            assert time.monotonic() - began < 5
            assert (await refused(watching)).code is ErrorCode.UNAVAILABLE


async def _commands(worker: RoteWorker, count: int) -> bool:
    return len(worker.commands) >= count


async def _judged(stub: Stub) -> int:
    try:
        found = await stub.GetEvaluation(evaluation_pb2.GetEvaluationRequest(name="evaluations/s-9"))
    except grpc.RpcError:
        return 0
    return sum(clip.state == SUCCEEDED for clip in found.clips)

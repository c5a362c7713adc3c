"""Comparing, gating, cancelling and watching evaluations of a real service; the test plays the worker."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import grpc
import pytest
from autoisp.common.v1 import common_pb2
from autoisp.evaluation.v1 import evaluation_pb2, evaluation_pb2_grpc
from autoisp.events.v1 import events_pb2
from autoisp.registry.v1 import registry_pb2, registry_pb2_grpc
from autoisp_core.errors import ErrorCode
from autoisp_runtime.artifacts import ArtifactStore
from autoisp_runtime.jetstream import Event, NatsConnection
from autoisp_testing.graphs import root_of
from autoisp_testing.nats import NatsServer
from autoisp_testing.processes import ServiceProcess
from evaluation_calls import (
    ACK_WAIT_S,
    CLASSICAL,
    TEST,
    RoteWorker,
    events,
    frames_judged,
    publish,
    put_bytes,
    put_dataset,
    refused,
    store_in,
    until,
)

SUCCEEDED = evaluation_pb2.EVALUATION_STATE_SUCCEEDED
RUNNING = evaluation_pb2.EVALUATION_STATE_RUNNING
CANCELLED = evaluation_pb2.EVALUATION_STATE_CANCELLED
GATE = '[[check]]\nmetric = "psnr"\nbetter_than_baseline_by = 4'
Stub = evaluation_pb2_grpc.EvaluationServiceStub


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("subjects")


@pytest.fixture(scope="module")
def nats(folder: Path) -> Iterator[NatsServer]:
    with NatsServer(folder / "nats") as server:
        yield server


@pytest.fixture(scope="module")
def services(folder: Path, nats: NatsServer) -> Iterator[tuple[ServiceProcess, ServiceProcess]]:
    settings = {"nats_url": nats.url, "ack_wait_seconds": ACK_WAIT_S}
    with (
        ServiceProcess("autoisp_evaluation", folder, **settings) as evaluation,
        ServiceProcess("autoisp_registry", folder, convert=False, **settings) as registry,
    ):
        yield evaluation, registry


@pytest.fixture(scope="module")
def store(folder: Path) -> ArtifactStore:
    return store_in(folder)


@pytest.fixture(scope="module")
def onnx(store: ArtifactStore) -> common_pb2.Artifact:
    put_dataset(store, "d", test_clips=2)
    return put_bytes(store, b"a network")


@pytest.fixture
async def connection(
    nats: NatsServer, services: tuple[ServiceProcess, ServiceProcess]
) -> AsyncIterator[NatsConnection]:
    opened = await NatsConnection.open(nats.url)
    yield opened
    await opened.close()


@pytest.fixture
async def stub(services: tuple[ServiceProcess, ServiceProcess]) -> AsyncIterator[Stub]:
    async with grpc.aio.insecure_channel(services[0].address) as channel:
        yield Stub(channel)


def request(
    evaluation_id: str, model: evaluation_pb2.Subject, **fields: object
) -> evaluation_pb2.CreateEvaluationRequest:
    return evaluation_pb2.CreateEvaluationRequest(
        evaluation_id=evaluation_id,
        evaluation=evaluation_pb2.Evaluation(
            dataset="datasets/d",
            split=TEST,
            subjects=[evaluation_pb2.Subject(label="prototype", prototype=CLASSICAL), model],
            frames_per_clip=2,
            **fields,  # type: ignore[arg-type]
        ),
    )


def network(onnx: common_pb2.Artifact) -> evaluation_pb2.Subject:
    return evaluation_pb2.Subject(label="model", onnx=onnx)


def watch(stub: Stub, name: str, *, frames: bool = False) -> grpc.aio.UnaryStreamCall:  # type: ignore[type-arg]
    return stub.WatchEvaluation(evaluation_pb2.WatchEvaluationRequest(name=name, frames=frames), timeout=30)  # type: ignore[return-value]


async def rest(call: grpc.aio.UnaryStreamCall) -> list[evaluation_pb2.Evaluation]:  # type: ignore[type-arg]
    """What is still to come; after reads no iteration is allowed."""
    found = []
    while (message := await call.read()) is not grpc.aio.EOF:
        found.append(message)
    return found


async def judged(stub: Stub, connection: NatsConnection, asked: object) -> evaluation_pb2.Evaluation:
    created = await stub.CreateEvaluation(asked)  # type: ignore[arg-type]
    async with RoteWorker(connection).working():
        (*_, last) = [one async for one in watch(stub, created.name)]
    return last


async def test_an_evaluation_ends_with_comparisons_and_its_gates_report(
    stub: Stub, connection: NatsConnection, onnx: common_pb2.Artifact
) -> None:
    last = await judged(stub, connection, request("gated", network(onnx), gate=GATE, metrics=["delta_e2000"]))
    assert last.state == SUCCEEDED
    assert list(last.metrics) == ["psnr", "ssim", "delta_e2000"]
    assert last.gate_report.passed
    assert last.gate_report.checks[0].text == "psnr against prototype: passed, +5.00 dB >= +4.00 dB"
    assert (last.gate_report.checks[0].value, last.gate_report.checks[0].bound) == (5, 4)
    (psnr, ssim) = last.comparisons
    assert (psnr.metric, psnr.subject, psnr.baseline) == ("psnr", "model", "prototype")
    assert psnr.verdict == evaluation_pb2.Comparison.VERDICT_BETTER
    assert psnr.improvement.mean == 5
    assert set(psnr.clips) == {"clips/d-t0", "clips/d-t1"}
    assert ssim.verdict == evaluation_pb2.Comparison.VERDICT_SAME
    total = last.totals[1].metrics[0]
    assert (total.metric, total.within.mean, total.within.clips) == ("psnr", 25.5, 2)
    assert list(last.clips[0].subjects[1].metrics[0].values) == [24.5, 25.5]
    (sent,) = await events(connection, Event.EVALUATION_COMPLETED, "gated", at_least=1)
    assert events_pb2.EvaluationCompleted.FromString(sent).evaluation.gate_report == last.gate_report

    response = await stub.CompareSubjects(
        evaluation_pb2.CompareSubjectsRequest(
            evaluation=last.name, subject="model", baseline="prototype", margins={"psnr": 6}
        )
    )
    assert response.comparisons[0].verdict == evaluation_pb2.Comparison.VERDICT_SAME
    assert response.comparisons[0].scope == evaluation_pb2.Comparison.SCOPE_THESE_CLIPS
    check = evaluation_pb2.CheckGateRequest(evaluation=last.name, gate=GATE.replace("4", "6"))
    report = await stub.CheckGate(check)
    assert not report.passed


async def test_subjects_of_two_evaluations_compare_if_their_frames_are_the_same(
    stub: Stub, connection: NatsConnection, onnx: common_pb2.Artifact
) -> None:
    one = await judged(stub, connection, request("one", network(onnx)))
    same = await judged(stub, connection, request("same", network(onnx)))
    other = await judged(stub, connection, request("other", network(onnx), seed=7))
    ask = evaluation_pb2.CompareSubjectsRequest(
        evaluation=one.name, subject="model", baseline="prototype", baseline_evaluation=same.name
    )
    assert [c.improvement.mean for c in (await stub.CompareSubjects(ask)).comparisons] == [5, 0]
    ask.baseline_evaluation = other.name
    error = await refused(stub.CompareSubjects(ask))
    assert (error.reason, error.metadata["field"]) == ("OTHER_FRAMES", "baseline_evaluation")
    assert "seed" in error.message


async def test_a_cancelled_evaluation_takes_no_more_results(
    stub: Stub, connection: NatsConnection, onnx: common_pb2.Artifact
) -> None:
    created = await stub.CreateEvaluation(request("unwanted", network(onnx)))
    worker = RoteWorker(connection, allowed=asyncio.Semaphore(1))
    async with worker.working():
        snapshots = watch(stub, created.name)
        while sum(clip.state == SUCCEEDED for clip in (await snapshots.read()).clips) < 1:
            pass
        cancelled = await stub.CancelEvaluation(evaluation_pb2.CancelEvaluationRequest(name=created.name))
        assert cancelled.state == CANCELLED
        assert [clip.state for clip in cancelled.clips].count(CANCELLED) == 1
        # Watchers end with it.
        assert await snapshots.read() == cancelled
        assert await snapshots.read() is grpc.aio.EOF
        worker.allow(1)
        await events(connection, Event.EVALUATION_CLIP_JUDGED, "unwanted-d-t1", at_least=1)
    again = await stub.CancelEvaluation(evaluation_pb2.CancelEvaluationRequest(name=created.name))
    assert again == cancelled
    (sent,) = await events(connection, Event.EVALUATION_CANCELLED, "unwanted", at_least=1)
    assert events_pb2.EvaluationCancelled.FromString(sent).evaluation == created.name
    assert await events(connection, Event.EVALUATION_COMPLETED, "unwanted") == []


async def test_frames_are_told_as_they_come_to_whoever_watches_them(
    stub: Stub, connection: NatsConnection, onnx: common_pb2.Artifact
) -> None:
    created = await stub.CreateEvaluation(request("live", network(onnx)))
    first, second = (watch(stub, created.name, frames=True) for _ in range(2))
    for snapshots in (first, second):
        assert [clip.frames_wanted for clip in (await snapshots.read()).clips] == [4, 4]
    await publish(
        connection,
        Event.EVALUATION_FRAMES_JUDGED,
        "live-d-t0",
        frames_judged(created.name, "clips/d-t0", [0]),
    )
    for snapshots in (first, second):
        news = await snapshots.read()
        (clip,) = news.clips
        assert (clip.clip, clip.state, clip.frames_done) == ("clips/d-t0", RUNNING, 1)
        assert [(subject.label, len(subject.frames)) for subject in clip.subjects] == [("model", 1)]
    async with RoteWorker(connection).working():
        messages = await rest(first)
    frames = [
        (clip.clip, subject.label, frame.frame)
        for message in messages[:-1]
        for clip in message.clips
        for subject in clip.subjects
        for frame in subject.frames
    ]
    assert len(frames) == len(set(frames))
    assert ("clips/d-t0", "model", 0) not in frames
    # The last clip's frames may come with the last message, which is whole.
    last = messages[-1]
    assert last == await stub.GetEvaluation(evaluation_pb2.GetEvaluationRequest(name=created.name))
    assert [len(subject.frames) for clip in last.clips for subject in clip.subjects] == [2] * 4


async def test_a_registered_version_is_judged_by_its_name_and_promoted_by_what_was_measured(
    stub: Stub,
    services: tuple[ServiceProcess, ServiceProcess],
    connection: NatsConnection,
    store: ArtifactStore,
) -> None:
    onnx = put_bytes(store, root_of(1.0))
    async with grpc.aio.insecure_channel(services[1].address) as channel:
        version = await registry_pb2_grpc.RegistryServiceStub(channel).RegisterModelVersion(
            registry_pb2.RegisterModelVersionRequest(
                parent="models/m", model_version=registry_pb2.ModelVersion(onnx=onnx)
            )
        )
    subject = evaluation_pb2.Subject(label="model", model_version=version.name)
    worker = RoteWorker(connection)
    created = await stub.CreateEvaluation(request("versioned", subject))
    assert created.subjects[1].model_version == version.name
    assert created.subjects[1].model_onnx == version.onnx
    async with worker.working():
        (*_, last) = [one async for one in watch(stub, created.name)]
    assert last.subjects == created.subjects
    mine = [command for command in worker.commands if command.evaluation == created.name]
    assert [command.subjects[1].onnx for command in mine] == [version.onnx] * 2
    async with grpc.aio.insecure_channel(services[1].address) as channel:
        registry = registry_pb2_grpc.RegistryServiceStub(channel)

        async def evidence() -> list[registry_pb2.Evidence]:
            get = registry_pb2.GetModelVersionRequest(name=version.name)
            return list((await registry.GetModelVersion(get)).evidence)

        await until(evidence)
        promoted = await registry.Promote(registry_pb2.PromoteRequest(name=version.name, gate=GATE))
        stricter = registry_pb2.PromoteRequest(name=version.name, gate=GATE.replace("4", "6"))
        refusal = await refused(registry.Promote(stricter))
    assert promoted.gate.checks[0] == "psnr against prototype: passed, +5.00 dB >= +4.00 dB"
    assert promoted.audit_entry.evaluation == created.name
    # All that was measured is kept, frame by frame, under the digest that the audit log has.
    record = store.find(promoted.audit_entry.evidence_sha256)
    assert record is not None
    assert evaluation_pb2.Evaluation.FromString(store.get_bytes(record)) == last
    assert (refusal.code, refusal.reason) == (ErrorCode.FAILED_PRECONDITION, "GATE_FAILED")


@pytest.mark.parametrize(
    ("name", "code", "reason"),
    [
        ("models/m", ErrorCode.INVALID_ARGUMENT, "INVALID_NAME"),
        ("models/m/versions/champion", ErrorCode.INVALID_ARGUMENT, "ALIAS"),
        ("models/none/versions/1", ErrorCode.NOT_FOUND, "NOT_FOUND"),
    ],
)
async def test_other_versions_are_refused(
    stub: Stub, onnx: common_pb2.Artifact, name: str, code: ErrorCode, reason: str
) -> None:
    subject = evaluation_pb2.Subject(label="model", model_version=name)
    error = await refused(stub.CreateEvaluation(request("", subject)))
    assert (error.code, error.reason) == (code, reason)
    assert error.metadata["field"] == "evaluation.subjects[1].model_version"


async def test_bad_questions_name_the_field(
    stub: Stub, connection: NatsConnection, onnx: common_pb2.Artifact
) -> None:
    running = await stub.CreateEvaluation(request("running", network(onnx)))
    compare, check = evaluation_pb2.CompareSubjectsRequest, evaluation_pb2.CheckGateRequest
    cancel = evaluation_pb2.CancelEvaluationRequest
    for call, code, field in (
        (stub.CreateEvaluation(request("", network(onnx), metrics=["beauty"])), 3, "evaluation.metrics"),
        (stub.CreateEvaluation(request("", network(onnx), gate="[[check]]")), 3, "evaluation.gate"),
        (stub.CreateEvaluation(request("", network(onnx), gate="x" * 20_000)), 3, "evaluation.gate"),
        (stub.CompareSubjects(compare(evaluation="x")), 3, "evaluation"),
        (stub.CompareSubjects(compare(evaluation=running.name)), 9, "evaluation"),
        (stub.CompareSubjects(compare(evaluation=running.name, scope=9)), 3, "scope"),  # type: ignore[arg-type]
        (stub.CompareSubjects(compare(evaluation="evaluations/none")), 5, "evaluation"),
        (stub.CheckGate(check(evaluation=running.name, gate="nonsense")), 3, "gate"),
        (stub.CheckGate(check(evaluation=running.name, gate=GATE)), 9, "evaluation"),
        (stub.CancelEvaluation(cancel(name="x")), 3, "name"),
    ):
        error = await refused(call)
        assert (error.code.value, error.metadata["field"]) == (code, field)
    missing = await refused(stub.CancelEvaluation(cancel(name="evaluations/none")))
    assert missing.code is ErrorCode.NOT_FOUND
    await stub.CancelEvaluation(cancel(name=running.name))


async def test_a_watcher_that_does_not_read_holds_up_nobody(
    stub: Stub, connection: NatsConnection, onnx: common_pb2.Artifact
) -> None:
    created = await stub.CreateEvaluation(request("slow", network(onnx)))
    idle = watch(stub, created.name, frames=True)
    await idle.read()
    for start in range(0, 20_000, 1000):
        news = frames_judged(created.name, "clips/d-t0", range(start, start + 1000))
        await publish(connection, Event.EVALUATION_FRAMES_JUDGED, "slow-d-t0", news)
    async with RoteWorker(connection).working():

        async def ended() -> bool:
            found = await stub.GetEvaluation(evaluation_pb2.GetEvaluationRequest(name=created.name))
            return found.state == SUCCEEDED

        await until(ended)
    messages = await rest(idle)
    assert messages[-1].state == SUCCEEDED

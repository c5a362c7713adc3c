"""Promotion and all that changes models, through the service: with events, commands and answers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from autoisp.common.v1 import common_pb2
from autoisp.evaluation.v1 import evaluation_pb2
from autoisp.events.v1 import commands_pb2, events_pb2
from autoisp.registry.v1 import registry_pb2
from autoisp_core.errors import AbortedError, ErrorCode
from autoisp_core.names import id_of
from autoisp_runtime.jetstream import Consumer, DeliveryPolicy, Envelope, Event, NatsConnection
from autoisp_runtime.jetstream.topology import WORKER_CONVERSIONS
from autoisp_testing.graphs import outside
from autoisp_testing.nats import NatsServer
from evaluation_calls import ACK_WAIT_S, events, publish, put_bytes, put_dataset, refused, until
from google.protobuf.field_mask_pb2 import FieldMask
from registry_calls import Registry, running_registry

GATE = '[[check]]\nmetric = "psnr"\nat_least = 30.0\n'
RUNNING = registry_pb2.CONVERSION_STATE_RUNNING
SUCCEEDED = evaluation_pb2.EVALUATION_STATE_SUCCEEDED


@pytest.fixture
async def registry(tmp_path: Path, nats_server: NatsServer) -> AsyncIterator[Registry]:
    async with running_registry(tmp_path, nats_server.url) as running:
        yield running


async def judge(registry: Registry, connection: NatsConnection, version: str, psnr: float) -> None:
    """An evaluation of one clip, as the evaluation service ends it."""
    name = f"evaluations/of-{id_of(version)}"
    quality = common_pb2.Quality(psnr_db=psnr, ssim=0.9)
    frames = [evaluation_pb2.FrameResult(frame=frame, quality=quality) for frame in range(2)]
    subject = evaluation_pb2.SubjectResult(label="mine", quality=quality, frames=frames)
    evaluation = evaluation_pb2.Evaluation(
        name=name,
        dataset="datasets/d",
        state=SUCCEEDED,
        subjects=[evaluation_pb2.Subject(label="mine", model_version=version)],
        clips=[evaluation_pb2.ClipResult(clip="clips/a", state=SUCCEEDED, subjects=[subject])],
        totals=[evaluation_pb2.SubjectResult(label="mine", quality=quality)],
    )
    record = put_bytes(registry.store, evaluation.SerializeToString())
    event = events_pb2.EvaluationCompleted(evaluation=evaluation, record=record)
    await publish(connection, Event.EVALUATION_COMPLETED, id_of(name), event)

    async def known() -> bool:
        return bool((await registry.version(version)).evidence)

    await until(known)


async def test_promotion_by_evidence_and_back(registry: Registry, nats_connection: NatsConnection) -> None:
    stub, promote = registry.stub, registry_pb2.PromoteRequest
    names = [(await registry.register()).name for _ in range(3)]
    error = await refused(stub.Promote(promote(name=names[0], gate=GATE)))
    assert (error.code, error.reason) == (ErrorCode.FAILED_PRECONDITION, "NO_EVIDENCE")
    for name, psnr in zip(names, (31.0, 32.0, 29.0), strict=True):
        await judge(registry, nats_connection, name, psnr)
    mask = FieldMask(paths=["promotion_gate", "tags.site"])
    wanted = registry_pb2.Model(name="models/m", promotion_gate=GATE, tags={"site": "lab"})
    model = await stub.UpdateModel(registry_pb2.UpdateModelRequest(model=wanted, update_mask=mask))
    assert (model.promotion_gate, dict(model.tags)) == (GATE, {"site": "lab"})
    for name in names[:2]:
        done = await stub.Promote(promote(name=name), metadata=(("autoisp-actor", "bob"),))
    assert (dict(done.model.aliases), done.audit_entry.actor) == ({"champion": 2}, "bob")
    assert done.gate.checks[0] == "psnr: passed, 32.00 dB >= 30.00 dB"
    failed = await refused(stub.Promote(promote(name=names[2])))
    assert (failed.code, failed.reason) == (ErrorCode.FAILED_PRECONDITION, "GATE_FAILED")
    assert "psnr: failed" in failed.metadata["checks"]
    told = await stub.Promote(promote(name=names[2], validate_only=True))
    assert (told.gate.passed, told.HasField("audit_entry")) == (False, False)
    back = await stub.Rollback(registry_pb2.RollbackRequest(model="models/m", comment="too green"))
    assert (dict(back.model.aliases), back.audit_entry.details["to"]) == ({"champion": 1}, "1")
    over = await refused(stub.Rollback(registry_pb2.RollbackRequest(model="models/m")))
    assert over.reason == "NO_EARLIER_VERSION"
    version = await registry.version("models/m/versions/champion")
    assert (version.name, list(version.aliases)) == (names[0], ["champion"])
    actions = await registry.actions()
    assert actions[:4] == [*["version.register"] * 3, "(version.promote)"]
    assert actions[-5:] == [
        *("version.promote", "version.promote", "(version.promote)"),
        *("version.rollback", "(version.rollback)"),
    ]
    changed = await events(nats_connection, Event.MODEL_CHANGED, "m", at_least=len(actions))
    told_of = [events_pb2.ModelChanged.FromString(payload) for payload in changed]
    assert [event.entry.sequence for event in told_of] == list(range(1, len(actions) + 1))
    assert dict(told_of[-2].model.aliases) == {"champion": 1}


async def test_of_two_promotions_at_once_one_wins(
    registry: Registry, nats_connection: NatsConnection
) -> None:
    names = [(await registry.register()).name for _ in range(2)]
    for name in names:
        await judge(registry, nats_connection, name, 31.0)
    model = await registry.stub.GetModel(registry_pb2.GetModelRequest(name="models/m"))
    calls = [
        registry.stub.Promote(registry_pb2.PromoteRequest(name=name, gate=GATE, etag=model.etag))
        for name in names
    ]
    outcomes = await asyncio.gather(*calls, return_exceptions=True)
    won = [outcome for outcome in outcomes if not isinstance(outcome, BaseException)]
    assert len(won) == 1
    lost = calls[next(i for i, outcome in enumerate(outcomes) if isinstance(outcome, BaseException))]
    assert isinstance(await refused(lost), AbortedError)
    assert (await registry.actions()).count("version.promote") == 1


async def test_what_is_deleted_is_hidden_and_comes_back(registry: Registry) -> None:
    stub = registry.stub
    name = (await registry.register(description="mine", tags={"a": "b"})).name
    version = await registry.version(name)
    assert (version.description, dict(version.tags)) == ("mine", {"a": "b"})
    await stub.SetAlias(registry_pb2.SetAliasRequest(model="models/m", alias="night", version=1))
    delete = registry_pb2.DeleteModelVersionRequest(name=name)
    assert (await refused(stub.DeleteModelVersion(delete))).reason == "IN_USE"
    champion = registry_pb2.SetAliasRequest(model="models/m", alias="champion", version=1)
    assert (await refused(stub.SetAlias(champion))).reason == "PROMOTION_ONLY"
    await stub.DeleteAlias(registry_pb2.DeleteAliasRequest(model="models/m", alias="night"))
    deleted = await stub.DeleteModelVersion(delete)
    assert deleted.HasField("purge_time")
    gone = await refused(stub.GetModelVersion(registry_pb2.GetModelVersionRequest(name=name)))
    assert (gone.code, gone.reason) == (ErrorCode.NOT_FOUND, "DELETED")
    await stub.UndeleteModelVersion(registry_pb2.UndeleteModelVersionRequest(name=name))
    update = registry_pb2.ModelVersion(name=name, description="again")
    await stub.UpdateModelVersion(registry_pb2.UpdateModelVersionRequest(model_version=update))
    assert (await registry.version(name)).description == "again"
    await stub.DeleteModel(registry_pb2.DeleteModelRequest(name="models/m"))
    assert not (await stub.ListModels(registry_pb2.ListModelsRequest())).models
    await stub.UndeleteModel(registry_pb2.UndeleteModelRequest(name="models/m"))
    log = registry_pb2.ListAuditEntriesRequest(resource="models/m", page_size=3, descending=True)
    page = await stub.ListAuditEntries(log)
    assert [entry.action for entry in page.audit_entries] == [
        "model.undelete",
        "model.delete",
        "version.update",
    ]
    assert page.next_page_token
    bad = registry_pb2.ListAuditEntriesRequest(resource="m")
    assert (await refused(stub.ListAuditEntries(bad))).metadata["field"] == "resource"


async def test_the_worker_is_told_to_convert_and_its_formats_are_kept(
    registry: Registry, nats_connection: NatsConnection
) -> None:
    manifest = put_dataset(registry.store, "d")
    await registry.register(
        lineage=registry_pb2.Lineage(dataset="datasets/d"), sensor=common_pb2.Sensor(builtin="phone")
    )
    commands: list[commands_pb2.ConvertModelVersion] = []

    async def handle(envelope: Envelope) -> None:
        command = envelope.decode(commands_pb2.ConvertModelVersion)
        commands.append(command)
        made = registry_pb2.EdgeFormat(format="onnx-fp16", artifact=command.onnx, note="halved")
        answer = events_pb2.ModelVersionConverted(
            model_version=command.model_version,
            conversion_id=command.conversion_id,
            formats=events_pb2.ModelVersionConverted.EdgeFormats(formats=[made]),
        )
        for _ in range(2):
            await publish(nats_connection, Event.MODEL_VERSION_CONVERTED, "m-1", answer)

    policy = DeliveryPolicy(ack_wait_s=ACK_WAIT_S, linger_s=0.2)
    consumer = Consumer(nats_connection, WORKER_CONVERSIONS, handle, policy=policy)
    task = asyncio.create_task(consumer.run())

    async def done() -> bool:
        return (await registry.version("models/m/versions/1")).conversion_state != RUNNING

    await until(done)
    ask = registry_pb2.ConvertModelVersionRequest(name="models/m/versions/1", formats=["onnx-fp16"])
    assert (await registry.stub.ConvertModelVersion(ask)).conversion_state == RUNNING
    await until(done)
    await consumer.stop(0.1)
    await task
    version = await registry.version("models/m/versions/1")
    assert version.conversion_state == registry_pb2.CONVERSION_STATE_SUCCEEDED
    assert [(form.format, form.artifact.sha256) for form in version.formats] == [
        ("onnx-fp32", version.onnx.sha256),
        ("onnx-fp16", version.onnx.sha256),
    ]
    assert [command.manifest for command in commands] == [manifest, manifest]
    assert commands[0].sensor.builtin == "phone"
    assert [list(command.formats) for command in commands] == [[], ["onnx-fp16"]]


async def test_bad_files_and_files_twice_are_refused(registry: Registry) -> None:
    bad = put_bytes(registry.store, outside("../../etc/passwd", "graph"))
    first = await registry.register()
    for onnx, code, reason in (
        (bad, ErrorCode.INVALID_ARGUMENT, "BAD_GRAPH"),
        (put_bytes(registry.store, b"no network"), ErrorCode.INVALID_ARGUMENT, "BAD_GRAPH"),
        (first.onnx, ErrorCode.ALREADY_EXISTS, "SAME_FILE"),
    ):
        request = registry_pb2.RegisterModelVersionRequest(
            parent="models/m", model_version=registry_pb2.ModelVersion(onnx=onnx)
        )
        error = await refused(registry.stub.RegisterModelVersion(request))
        assert (error.code, error.reason) == (code, reason)
    assert await registry.actions() == ["version.register"]

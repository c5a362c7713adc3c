"""Edge formats: asked for, taken in, signed; and evaluations as evidence."""

from __future__ import annotations

from datetime import timedelta

import pytest
from autoisp.common.v1 import common_pb2
from autoisp.evaluation.v1 import evaluation_pb2
from autoisp.events.v1 import commands_pb2, events_pb2
from autoisp.registry.v1 import registry_pb2
from autoisp_core.errors import FailedPreconditionError, InvalidArgumentError, NotFoundError
from autoisp_registry import wire
from autoisp_registry.bus import encode
from autoisp_registry.domain import (
    ConversionState,
    DeviceLint,
    EdgeFormat,
    Failure,
    Lineage,
    LintFinding,
    Quality,
    Sensor,
    Severity,
)
from autoisp_registry.ports import ConvertVersion
from autoisp_runtime.jetstream import Envelope
from registry_fakes import World, artifact, network

ONE = "models/m/versions/1"
INT8 = EdgeFormat(
    "onnx-int8",
    artifact(40),
    quality=Quality(30.0, 0.9),
    psnr_loss_db=0.4,
    shadow_loss_db=0.9,
    note="16-bit activations in 3 of 14 places",
    lints=(DeviceLint("phone", False, (LintFinding("R", Severity.ERROR, "why", "fix", ("n",)),)),),
)


def commands(world: World) -> list[commands_pb2.ConvertModelVersion]:
    sent = [encode(message) for message in world.store.sent if isinstance(message, ConvertVersion)]
    return [commands_pb2.ConvertModelVersion.FromString(message.payload) for message in sent]


async def test_a_registration_asks_for_formats_of_its_footage() -> None:
    world = World()
    await world.register(lineage=Lineage(dataset="datasets/d"), sensor=Sensor("phone"))
    await world.register("models/n", lineage=Lineage(dataset="datasets/elsewhere"))
    first, second = commands(world)
    assert first.manifest == wire.artifact_to(artifact(70))
    assert (first.model_version, first.sensor.builtin, first.frames_per_clip) == (ONE, "phone", 24)
    assert not second.HasField("manifest")
    assert first.conversion_id != second.conversion_id
    version = await world.models.get_version(ONE)
    assert version.conversion.state is ConversionState.RUNNING
    assert [(form.format, form.artifact) for form in version.formats] == [("onnx-fp32", version.content.onnx)]
    sent = encode(next(m for m in world.store.sent if isinstance(m, ConvertVersion)))
    assert sent.subject == "autoisp.v1.cmd.model_version.convert.m-1-1"
    assert sent.event_id == first.conversion_id


async def test_what_a_search_found_is_converted_as_it_was_judged() -> None:
    world = World()
    lineage = Lineage("datasets/d", evaluation="evaluations/e", manifest=artifact(71))
    await world.registering.register_evaluated(
        network(lineage=lineage, seed=7, frames_per_clip=3, sensor=Sensor(toml="x"))
    )
    (command,) = commands(world)
    assert (command.seed, command.frames_per_clip, command.sensor.toml) == (7, 3, "x")
    assert command.manifest == wire.artifact_to(artifact(71))


async def converted(world: World, conversion_id: str, **outcome: object) -> None:
    event = events_pb2.ModelVersionConverted(
        model_version=ONE,
        conversion_id=conversion_id,
        **outcome,  # type: ignore[arg-type]
    )
    subject = "autoisp.v1.evt.model_version.converted.m-1"
    await world.bus.on_version_converted(Envelope(subject, event.SerializeToString(), "id"))


def formats(*forms: EdgeFormat) -> events_pb2.ModelVersionConverted.EdgeFormats:
    return events_pb2.ModelVersionConverted.EdgeFormats(formats=[wire.format_to(form) for form in forms])


async def test_formats_are_taken_in_once_and_signed() -> None:
    world = World()
    world.signer.signing = True
    registered = await world.register()
    assert registered.signed_manifest == artifact(801)
    (command,) = commands(world)
    lie = EdgeFormat("onnx-fp32", artifact(66), quality=Quality(31.0, 0.9))
    await converted(world, "another", formats=formats(INT8))
    assert (await world.models.get_version(ONE)).conversion.state is ConversionState.RUNNING
    for _ in range(2):
        await converted(world, command.conversion_id, formats=formats(lie, INT8))
    version = await world.models.get_version(ONE)
    assert version.conversion.state is ConversionState.SUCCEEDED
    plain, int8 = version.formats
    assert (plain.artifact, plain.quality) == (version.content.onnx, lie.quality)
    assert int8 == INT8
    assert world.signer.signed[-1].formats == version.formats
    assert version.signed_manifest == artifact(802)
    assert world.actions() == ["version.register", "version.converted"]


async def test_a_conversion_that_failed_may_be_asked_for_again() -> None:
    world = World()
    await world.register()
    (command,) = commands(world)
    failure = common_pb2.Failure(reason="BROKEN", message="it broke")
    await converted(world, command.conversion_id, failure=failure)
    version = await world.models.get_version(ONE)
    assert version.conversion.state is ConversionState.FAILED
    assert version.conversion.failure == Failure("BROKEN", "it broke")
    again = await world.conversions.ask(ONE, ("onnx-int8",), "datasets/d", "ann")
    assert again.conversion.attempt == 2
    second = commands(world)[1]
    assert second.conversion_id not in ("", command.conversion_id)
    assert list(second.formats) == ["onnx-int8"]
    assert second.manifest == wire.artifact_to(artifact(70))
    await converted(world, command.conversion_id, formats=formats(INT8))  # late
    assert (await world.models.get_version(ONE)).conversion.state is ConversionState.RUNNING


async def test_a_conversion_that_runs_is_not_asked_for_within_the_hour() -> None:
    world = World()
    await world.register()
    with pytest.raises(FailedPreconditionError) as caught:
        await world.conversions.ask(ONE, (), "", "ann")
    assert caught.value.reason == "CONVERSION_RUNNING"
    world.now += timedelta(hours=1)
    assert (await world.conversions.ask(ONE, (), "", "ann")).conversion.attempt == 2


async def test_formats_that_can_t_be_read_end_the_conversion() -> None:
    world = World()
    await world.register()
    (command,) = commands(world)
    bad = registry_pb2.EdgeFormat(format="onnx-int8", artifact=common_pb2.Artifact(sha256="x"))
    event = events_pb2.ModelVersionConverted(
        model_version=ONE,
        conversion_id=command.conversion_id,
        formats=events_pb2.ModelVersionConverted.EdgeFormats(formats=[bad]),
    )
    envelope = Envelope("autoisp.v1.evt.model_version.converted.m-1", event.SerializeToString(), "id")
    with pytest.raises(InvalidArgumentError) as caught:
        await world.bus.on_version_converted(envelope)
    await world.bus.on_unusable_conversion(envelope, caught.value)
    assert (await world.models.get_version(ONE)).conversion.state is ConversionState.FAILED


async def test_nothing_is_converted_where_nobody_does() -> None:
    world = World(convert=False)
    version = await world.register()
    assert commands(world) == []
    assert version.conversion.state is ConversionState.NOT_ASKED
    with pytest.raises(FailedPreconditionError, match="AUTOISP_CONVERT"):
        await world.conversions.ask(ONE, (), "", "ann")


@pytest.mark.parametrize(
    ("name", "wanted", "dataset", "kind", "field"),
    [
        ("models/m/versions/9", (), "", NotFoundError, "name"),
        ("models/n/versions/1", (), "", NotFoundError, "name"),
        (ONE, ("ONNX",), "", InvalidArgumentError, "formats"),
        (ONE, ("a",) * 33, "", InvalidArgumentError, "formats"),
        (ONE, (), "d", InvalidArgumentError, "dataset"),
        (ONE, (), "datasets/none", NotFoundError, "dataset"),
    ],
)
async def test_bad_requests_name_the_field(
    name: str, wanted: tuple[str, ...], dataset: str, kind: type[InvalidArgumentError], field: str
) -> None:
    world = World()
    await world.register()
    with pytest.raises(kind) as caught:
        await world.conversions.ask(name, wanted, dataset, "ann")
    assert caught.value.metadata["field"] == field


async def test_an_evaluation_of_versions_is_their_evidence() -> None:
    world = World()
    await world.filled(2)
    evaluation = evaluation_pb2.Evaluation(
        name="evaluations/mine",
        state=evaluation_pb2.EVALUATION_STATE_SUCCEEDED,
        subjects=[
            evaluation_pb2.Subject(label="old", model_version=ONE),
            evaluation_pb2.Subject(label="gone", model_version="models/none/versions/1"),
            evaluation_pb2.Subject(label="new", model_version="models/m/versions/2"),
        ],
    )
    record = wire.artifact_to(artifact(60))
    event = events_pb2.EvaluationCompleted(evaluation=evaluation, record=record)
    subject = "autoisp.v1.evt.evaluation.completed.mine"
    for _ in range(2):
        await world.bus.on_evaluation_completed(Envelope(subject, event.SerializeToString(), "id"))
    for number, label in ((1, "old"), (2, "new")):
        (evidence,) = (await world.models.get_version(f"models/m/versions/{number}")).evidence
        assert (evidence.evaluation, evidence.label, evidence.record) == (
            *("evaluations/mine", label),
            artifact(60),
        )
    assert world.actions()[2:] == ["version.evidence", "version.evidence"]
    # A release that left no record: what the event says is kept.
    event.ClearField("record")
    event.evaluation.name = "evaluations/other"
    await world.bus.on_evaluation_completed(Envelope(subject, event.SerializeToString(), "id"))
    kept = (await world.models.get_version(ONE)).evidence[1].record
    assert evaluation_pb2.Evaluation.FromString(world.artifacts.data[kept.sha256]) == event.evaluation
    event.evaluation.name, event.evaluation.state = "evaluations/x", evaluation_pb2.EVALUATION_STATE_FAILED
    await world.bus.on_evaluation_completed(Envelope(subject, event.SerializeToString(), "id"))
    assert len((await world.models.get_version(ONE)).evidence) == 2

"""What the registry says and understands on the bus and on the wire."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from autoisp.common.v1 import common_pb2
from autoisp.evaluation.v1 import evaluation_pb2
from autoisp.events.v1 import events_pb2
from autoisp.prototype.v1 import prototype_pb2
from autoisp.registry.v1 import registry_pb2
from autoisp_core.errors import InvalidArgumentError
from autoisp_registry import wire
from autoisp_registry.bus import encode
from autoisp_registry.domain import GateResult, Lineage, Model, ModelVersion, Prototype
from autoisp_registry.evaluated import evaluated_network
from autoisp_registry.gate import Clips, Limits
from autoisp_registry.ports import VersionPromoted, VersionRegistered
from autoisp_runtime.jetstream import Envelope
from registry_fakes import NOW, World, artifact, content


def total(label: str, psnr: float, seconds: float, macs: float | None) -> evaluation_pb2.SubjectResult:
    return evaluation_pb2.SubjectResult(
        label=label,
        quality=common_pb2.Quality(psnr_db=psnr, ssim=0.9),
        cost=common_pb2.Cost(
            macs_per_pixel=macs, parameters=10, size_bytes=20, seconds_per_megapixel=seconds
        ),
    )


def clip(name: str) -> evaluation_pb2.ClipResult:
    return evaluation_pb2.ClipResult(clip=f"clips/{name}", state=evaluation_pb2.EVALUATION_STATE_SUCCEEDED)


def completed() -> events_pb2.EvaluationCompleted:
    return events_pb2.EvaluationCompleted(
        evaluation=evaluation_pb2.Evaluation(
            name="evaluations/s",
            dataset="datasets/d",
            search="searches/s",
            trial="searches/s/trials/t",
            state=evaluation_pb2.EVALUATION_STATE_SUCCEEDED,
            subjects=[
                evaluation_pb2.Subject(
                    label="prototype", prototype=prototype_pb2.Prototype(builtin="classical")
                ),
                evaluation_pb2.Subject(label="model", onnx=wire.artifact_to(artifact(1))),
            ],
            clips=[clip("a"), clip("b")],
            totals=[total("prototype", 25, 1.5, None), total("model", 30, 0.01, 250)],
        ),
        model="models/m",
        spec="{}",
        latency_ratio_goal=100,
    )


def envelope(event: events_pb2.EvaluationCompleted) -> Envelope:
    return Envelope("autoisp.v1.evt.evaluation.completed.s", event.SerializeToString(), "id")


def test_a_completed_evaluation_is_read() -> None:
    network = evaluated_network(completed())
    assert network is not None
    assert (network.model, network.onnx, network.spec) == ("models/m", artifact(1), "{}")
    assert network.lineage == Lineage(
        "datasets/d", "searches/s", "searches/s/trials/t", "evaluations/s", Prototype("classical")
    )
    assert network.limits == Limits(None, 100)
    assert network.clips == Clips(2, 2)
    assert network.prototype is not None
    assert network.prototype.macs_per_pixel is None
    assert (network.measured.psnr_db, network.measured.macs_per_pixel) == (30, 250)


def _failed(event: events_pb2.EvaluationCompleted) -> None:
    event.evaluation.state = evaluation_pb2.EVALUATION_STATE_FAILED


def _nowhere(event: events_pb2.EvaluationCompleted) -> None:
    event.model = ""


def _of_others(event: events_pb2.EvaluationCompleted) -> None:
    event.evaluation.subjects[1].label = event.evaluation.totals[1].label = "mine"


@pytest.mark.parametrize("change", [_failed, _nowhere, _of_others])
async def test_what_brings_no_network_registers_nothing(
    change: Callable[[events_pb2.EvaluationCompleted], None],
) -> None:
    event, world = completed(), World()
    change(event)
    await world.bus.on_evaluation_completed(envelope(event))
    assert world.store.models == {}


async def test_the_same_event_registers_once() -> None:
    world = World()
    for _ in range(3):
        await world.bus.on_evaluation_completed(envelope(completed()))
    assert world.store.models["models/m"].latest_version == 1


async def test_a_network_that_some_clip_did_not_judge_is_no_champion() -> None:
    event, world = completed(), World()
    event.evaluation.clips[1].state = evaluation_pb2.EVALUATION_STATE_FAILED
    await world.bus.on_evaluation_completed(envelope(event))
    assert world.store.models["models/m"].aliases == {"candidate": 1}
    gate = world.store.versions["models/m", 1].content.gate
    assert gate is not None
    assert gate.checks[-1] == "clips_judged: failed, 1 of 2"


async def test_the_gate_of_an_evaluation_is_heard() -> None:
    event = completed()
    assert evaluated_network(event).own_gate is None  # type: ignore[union-attr]
    event.evaluation.gate = "checked, or not"
    unheard = evaluated_network(event)
    assert unheard is not None
    assert unheard.own_gate == GateResult(False, ("gate: failed, it was not checked",))
    check = evaluation_pb2.GateCheck(passed=True, text="ssim: passed, 0.9 >= 0.8")
    event.evaluation.gate_report.CopyFrom(evaluation_pb2.GateReport(passed=True, checks=[check]))
    heard = evaluated_network(event)
    assert heard is not None
    assert heard.own_gate == GateResult(True, ("ssim: passed, 0.9 >= 0.8",))


async def test_an_event_that_is_wrong_is_refused_for_good() -> None:
    event, world = completed(), World()
    event.model = "model"
    with pytest.raises(InvalidArgumentError):
        await world.bus.on_evaluation_completed(envelope(event))


def test_events_out() -> None:
    registered = encode(VersionRegistered(ModelVersion("models/m", 3, content(), NOW)))
    assert registered.subject == "autoisp.v1.evt.model_version.registered.m-3"
    assert (
        events_pb2.ModelVersionRegistered.FromString(registered.payload).model_version
        == "models/m/versions/3"
    )
    promoted = encode(VersionPromoted("models/m", 3, "champion", 5))
    assert promoted.subject == "autoisp.v1.evt.model_version.promoted.m-3"
    assert events_pb2.ModelVersionPromoted.FromString(promoted.payload) == events_pb2.ModelVersionPromoted(
        model_version="models/m/versions/3", alias="champion"
    )
    again = encode(VersionPromoted("models/m", 3, "champion", 9))
    assert len({registered.event_id, promoted.event_id, again.event_id}) == 3


def test_models_and_versions_survive_the_wire() -> None:
    model = Model("models/m", "M", NOW, NOW, 2, {"best": 1}, 7, 2)
    assert wire.model_from(wire.model_to(model), 7) == model
    for prototype in (None, Prototype("classical"), Prototype(onnx=artifact(4))):
        lineage = Lineage("datasets/d", "searches/s", "searches/s/trials/t", "evaluations/e", prototype)
        version = ModelVersion(
            "models/m", 2, content(lineage=lineage, spec="{}", gate=GateResult(False, ("a", "b"))), NOW
        )
        assert wire.version_from(wire.version_to(version)) == version


@pytest.mark.parametrize(
    ("onnx", "field"),
    [
        (None, "model_version.onnx"),
        (common_pb2.Artifact(sha256="x"), "model_version.onnx.sha256"),
        (common_pb2.Artifact(sha256="0" * 64), "model_version.onnx.size_bytes"),
        (common_pb2.Artifact(sha256="0" * 64, size_bytes=1, uri="a"), "model_version.onnx.uri"),
    ],
)
def test_a_malformed_file_is_named(onnx: common_pb2.Artifact | None, field: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        wire.content_from(registry_pb2.ModelVersion(onnx=onnx), "model_version")
    assert caught.value.field == field

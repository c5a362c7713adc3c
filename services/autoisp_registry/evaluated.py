"""What the registry reads of a completed evaluation."""

from __future__ import annotations

from autoisp.evaluation.v1 import evaluation_pb2
from autoisp.events.v1 import events_pb2
from autoisp_core import names
from autoisp_core.artifact import Artifact
from autoisp_runtime.messages.results import cost_from

from autoisp_registry import gate, wire
from autoisp_registry.domain import GateResult, Lineage, finite
from autoisp_registry.usecases import EvaluatedNetwork, JudgedVersion

_MODEL, _PROTOTYPE = "model", "prototype"  # labels of the subjects in a search's evaluation


def judged_versions(evaluation: evaluation_pb2.Evaluation) -> list[JudgedVersion]:
    """The subjects that are versions of models."""
    return [
        JudgedVersion(subject.model_version, subject.label)
        for subject in evaluation.subjects
        if subject.WhichOneof("source") == "model_version"
    ]


def evaluated_network(
    event: events_pb2.EvaluationCompleted, record: Artifact | None = None
) -> EvaluatedNetwork | None:
    """Read an ``evaluation.completed``; None if it brings nothing to register.

    Raises:
        InvalidArgumentError: it lacks something that a registration needs.
    """
    evaluation = event.evaluation
    if evaluation.state != evaluation_pb2.EVALUATION_STATE_SUCCEEDED or not event.model:
        return None
    totals = {total.label: total for total in evaluation.totals}
    subjects = {subject.label: subject for subject in evaluation.subjects}
    if _MODEL not in totals or _MODEL not in subjects:
        return None
    names.MODEL.parse(event.model, "model")
    prototype = subjects[_PROTOTYPE].prototype if _PROTOTYPE in subjects else None
    sensor = evaluation.sensor if evaluation.HasField("sensor") else None
    return EvaluatedNetwork(
        model=event.model,
        onnx=wire.artifact_from(subjects[_MODEL].onnx, "evaluation.subjects.onnx"),
        spec=event.spec,
        lineage=Lineage(
            evaluation.dataset,
            evaluation.search,
            evaluation.trial,
            evaluation.name,
            wire.prototype_from(prototype, "evaluation.subjects.prototype") if prototype else None,
            wire.artifact_from(event.manifest, "manifest") if event.HasField("manifest") else None,
        ),
        measured=_measured(totals[_MODEL]),
        prototype=_measured(totals[_PROTOTYPE]) if _PROTOTYPE in totals else None,
        clips=gate.Clips(
            sum(clip.state == evaluation_pb2.EVALUATION_STATE_SUCCEEDED for clip in evaluation.clips),
            len(evaluation.clips),
        ),
        limits=gate.Limits(
            event.macs_per_pixel_limit if event.HasField("macs_per_pixel_limit") else None,
            event.latency_ratio_goal if event.HasField("latency_ratio_goal") else None,
        ),
        own_gate=_gate_result(evaluation),
        cost=cost_from(totals[_MODEL].cost) if totals[_MODEL].HasField("cost") else None,
        sensor=wire.sensor_from(sensor, "evaluation.sensor") if sensor else None,
        record=record,
        seed=evaluation.seed,
        frames_per_clip=evaluation.frames_per_clip,
    )


def _gate_result(evaluation: evaluation_pb2.Evaluation) -> GateResult | None:
    if evaluation.HasField("gate_report"):
        report = evaluation.gate_report
        return GateResult(report.passed, tuple(check.text for check in report.checks))
    # A gate that said nothing let nothing through.
    return GateResult(False, ("gate: failed, it was not checked",)) if evaluation.gate else None


def _measured(result: evaluation_pb2.SubjectResult) -> gate.Measured:
    cost = result.cost
    return gate.Measured(
        psnr_db=result.quality.psnr_db,
        ssim=result.quality.ssim,
        macs_per_pixel=cost.macs_per_pixel if cost.HasField("macs_per_pixel") else None,
        parameters=cost.parameters,
        size_bytes=cost.size_bytes,
        seconds_per_megapixel=cost.seconds_per_megapixel,
        metrics=finite({m.metric: m.within.mean for m in result.metrics if m.HasField("within")}),
    )

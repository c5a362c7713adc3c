"""Evaluations, comparisons and what gates say, both ways."""

from __future__ import annotations

from datetime import UTC, datetime

from autoisp.evaluation.v1 import evaluation_pb2
from autoisp_core.quality import GateCheck, GateReport, Scope, Verdict
from autoisp_runtime.messages.results import (
    STATE_NUMBERS,
    STATES,
    clip_result_from,
    clip_result_to,
    estimate_from,
    estimate_to,
    failure_from,
    failure_to,
    subject_result_from,
    subject_result_to,
)
from google.protobuf.timestamp_pb2 import Timestamp

from autoisp_evaluation.domain import Comparison, Evaluation
from autoisp_evaluation.wire.subjects import (
    sensor_from,
    sensor_to,
    split_from,
    split_to,
    subject_from,
    subject_to,
)

_VERDICTS = {
    evaluation_pb2.Comparison.VERDICT_BETTER: Verdict.BETTER,
    evaluation_pb2.Comparison.VERDICT_SAME: Verdict.SAME,
    evaluation_pb2.Comparison.VERDICT_WORSE: Verdict.WORSE,
    evaluation_pb2.Comparison.VERDICT_UNDECIDED: Verdict.UNDECIDED,
}
_SCOPES = {
    evaluation_pb2.Comparison.SCOPE_THESE_CLIPS: Scope.THESE_CLIPS,
    evaluation_pb2.Comparison.SCOPE_OTHER_CLIPS: Scope.OTHER_CLIPS,
}
_VERDICT_NUMBERS = {verdict: number for number, verdict in _VERDICTS.items()}
_SCOPE_NUMBERS = {scope: number for number, scope in _SCOPES.items()}


def evaluation_to(evaluation: Evaluation) -> evaluation_pb2.Evaluation:
    """Write an evaluation. Registration and revision are not part of the message."""
    return evaluation_pb2.Evaluation(
        name=evaluation.name,
        dataset=evaluation.dataset,
        split=split_to(evaluation.split),
        subjects=[subject_to(subject) for subject in evaluation.subjects],
        sensor=sensor_to(evaluation.sensor),
        seed=evaluation.seed,
        frames_per_clip=evaluation.frames_per_clip,
        search=evaluation.search,
        trial=evaluation.trial,
        metrics=evaluation.metrics,
        gate=evaluation.gate,
        state=STATE_NUMBERS[evaluation.state],
        failure=failure_to(evaluation.failure) if evaluation.failure else None,
        clips=[clip_result_to(clip) for clip in evaluation.clips],
        totals=[subject_result_to(total) for total in evaluation.totals],
        create_time=_time_to(evaluation.create_time),
        end_time=_time_to(evaluation.end_time) if evaluation.end_time else None,
        comparisons=[comparison_to(comparison) for comparison in evaluation.comparisons],
        gate_report=gate_report_to(evaluation.gate_report) if evaluation.gate_report else None,
    )


def evaluation_from(message: evaluation_pb2.Evaluation) -> Evaluation:
    """Read back what :func:`evaluation_to` wrote; for the database, not for requests."""
    split = split_from(message.split)
    assert split is not None, "only evaluations with a split are written"
    return Evaluation(
        name=message.name,
        dataset=message.dataset,
        split=split,
        subjects=tuple(subject_from(subject, "subjects") for subject in message.subjects),
        sensor=sensor_from(message.sensor, "sensor"),
        seed=message.seed,
        frames_per_clip=message.frames_per_clip,
        search=message.search,
        trial=message.trial,
        metrics=tuple(message.metrics),
        gate=message.gate,
        state=STATES[message.state],
        failure=failure_from(message.failure) if message.HasField("failure") else None,
        clips=tuple(clip_result_from(clip) for clip in message.clips),
        totals=tuple(subject_result_from(total) for total in message.totals),
        create_time=message.create_time.ToDatetime(UTC),
        end_time=message.end_time.ToDatetime(UTC) if message.HasField("end_time") else None,
        comparisons=tuple(_comparison_from(comparison) for comparison in message.comparisons),
        gate_report=_gate_report_from(message.gate_report) if message.HasField("gate_report") else None,
    )


def comparison_to(comparison: Comparison) -> evaluation_pb2.Comparison:
    """Write by how much a subject is better."""
    return evaluation_pb2.Comparison(
        metric=comparison.metric,
        subject=comparison.subject,
        baseline=comparison.baseline,
        improvement=estimate_to(comparison.improvement),
        margin=comparison.margin,
        verdict=_VERDICT_NUMBERS[comparison.verdict],
        scope=_SCOPE_NUMBERS[comparison.scope],
        unpaired=comparison.unpaired,
        clips={clip: estimate_to(estimate) for clip, estimate in comparison.clips.items()},
    )


def scope_from(number: evaluation_pb2.Comparison.Scope.ValueType) -> Scope | None:
    """Read a scope; None for unknown ones."""
    if number == evaluation_pb2.Comparison.SCOPE_UNSPECIFIED:
        return Scope.THESE_CLIPS
    return _SCOPES.get(number)


def gate_report_to(report: GateReport) -> evaluation_pb2.GateReport:
    """Write what a gate said."""
    return evaluation_pb2.GateReport(
        passed=report.passed,
        checks=[
            evaluation_pb2.GateCheck(
                passed=check.passed, text=check.text, value=check.value, bound=check.bound
            )
            for check in report.checks
        ],
    )


def _gate_report_from(message: evaluation_pb2.GateReport) -> GateReport:
    return GateReport(
        message.passed,
        tuple(
            GateCheck(
                check.passed,
                check.text,
                check.value if check.HasField("value") else None,
                check.bound if check.HasField("bound") else None,
            )
            for check in message.checks
        ),
    )


def _comparison_from(message: evaluation_pb2.Comparison) -> Comparison:
    return Comparison(
        message.metric,
        message.subject,
        message.baseline,
        estimate_from(message.improvement),
        message.margin,
        _VERDICTS[message.verdict],
        _SCOPES[message.scope],
        message.unpaired,
        {clip: estimate_from(estimate) for clip, estimate in message.clips.items()},
    )


def _time_to(time: datetime) -> Timestamp:
    message = Timestamp()
    message.FromDatetime(time)
    return message

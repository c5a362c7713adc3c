"""Between the domain and the protobuf messages, both ways; what comes from outside is checked in reading."""

from autoisp_runtime.messages.artifacts import artifact_from, artifact_to
from autoisp_runtime.messages.results import clip_result_from, clip_result_to, subject_result_from

from autoisp_evaluation.wire.evaluations import (
    comparison_to,
    evaluation_from,
    evaluation_to,
    gate_report_to,
    scope_from,
)
from autoisp_evaluation.wire.lightened import BUS_BYTES, GRPC_BYTES, lightened
from autoisp_evaluation.wire.subjects import (
    command_subject_to,
    prototype_from,
    prototype_to,
    sensor_from,
    sensor_to,
    split_from,
    subject_from,
    subject_to,
)

__all__ = [
    "BUS_BYTES",
    "GRPC_BYTES",
    "artifact_from",
    "artifact_to",
    "clip_result_from",
    "clip_result_to",
    "command_subject_to",
    "comparison_to",
    "evaluation_from",
    "evaluation_to",
    "gate_report_to",
    "lightened",
    "prototype_from",
    "prototype_to",
    "scope_from",
    "sensor_from",
    "sensor_to",
    "split_from",
    "subject_from",
    "subject_result_from",
    "subject_to",
]

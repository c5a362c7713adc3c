"""What an evaluation is: subjects judged on the clips of one dataset split, clip by clip.

Nothing here knows of wires, tables or brokers. All objects are immutable; a change makes a new one.
"""

from autoisp_core.quality.results import (
    QUALITY_OF,
    ClipResult,
    Cost,
    DeviceEstimate,
    Estimate,
    Failure,
    FrameResult,
    Latency,
    MetricResult,
    Picture,
    Quality,
    State,
    SubjectResult,
    WorstFrame,
    as_sent,
)

from autoisp_evaluation.domain.comparing import Comparison, compared, gate_report
from autoisp_evaluation.domain.evaluation import DEFAULT_METRICS, Entry, Evaluation, Registration, total
from autoisp_evaluation.domain.subjects import (
    MODEL_LABEL,
    PROTOTYPE_LABEL,
    ModelVersion,
    Prototype,
    Sensor,
    Split,
    Subject,
)

__all__ = [
    "DEFAULT_METRICS",
    "MODEL_LABEL",
    "PROTOTYPE_LABEL",
    "QUALITY_OF",
    "ClipResult",
    "Comparison",
    "Cost",
    "DeviceEstimate",
    "Entry",
    "Estimate",
    "Evaluation",
    "Failure",
    "FrameResult",
    "Latency",
    "MetricResult",
    "ModelVersion",
    "Picture",
    "Prototype",
    "Quality",
    "Registration",
    "Sensor",
    "Split",
    "State",
    "Subject",
    "SubjectResult",
    "WorstFrame",
    "as_sent",
    "compared",
    "gate_report",
    "total",
]

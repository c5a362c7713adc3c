"""Models, their versions, and what is made of these. All objects are immutable; a change makes a new one.

Nothing here knows of wires, tables or brokers.
"""

from autoisp_core.quality.results import Cost, Failure, Quality

from autoisp_registry.domain.content import Content, GateResult, Lineage, Prototype, Sensor, finite
from autoisp_registry.domain.formats import (
    ONNX_FP32,
    Conversion,
    ConversionState,
    DeviceLint,
    EdgeFormat,
    LintFinding,
    Severity,
)
from autoisp_registry.domain.models import CANDIDATE, CHAMPION, LATEST, MAX_HISTORY, Model
from autoisp_registry.domain.versions import Evidence, ModelVersion, as_registered

__all__ = [
    "CANDIDATE",
    "CHAMPION",
    "LATEST",
    "MAX_HISTORY",
    "ONNX_FP32",
    "Content",
    "Conversion",
    "ConversionState",
    "Cost",
    "DeviceLint",
    "EdgeFormat",
    "Evidence",
    "Failure",
    "GateResult",
    "Lineage",
    "LintFinding",
    "Model",
    "ModelVersion",
    "Prototype",
    "Quality",
    "Sensor",
    "Severity",
    "as_registered",
    "finite",
]

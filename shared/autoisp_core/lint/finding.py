"""What the lint says of a graph on a device."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

MAX_NODES = 20
"""Nodes that one finding names; its reason says how many there are."""


class Severity(StrEnum):
    """How bad it is."""

    ERROR = "error"
    """It does not run there, or not on the accelerator."""
    WARNING = "warning"
    """It runs, but slower or larger than it could, or with a loss that somebody should look at."""


class Rule(StrEnum):
    """Stable ids of the rules, in the order in which findings of one severity are listed."""

    UNSUPPORTED_OPERATOR = "UNSUPPORTED_OPERATOR"
    RUNTIME_WEIGHTS = "RUNTIME_WEIGHTS"
    CONTROL_FLOW = "CONTROL_FLOW"
    DYNAMIC_SHAPE = "DYNAMIC_SHAPE"
    RANK_TOO_HIGH = "RANK_TOO_HIGH"
    PRECISION_NOT_SUPPORTED = "PRECISION_NOT_SUPPORTED"
    OPSET_TOO_NEW = "OPSET_TOO_NEW"
    CPU_FALLBACK_SPLITS = "CPU_FALLBACK_SPLITS"
    EIGHT_BIT_SHADOWS = "EIGHT_BIT_SHADOWS"
    CHANNELS_NOT_ALIGNED = "CHANNELS_NOT_ALIGNED"
    WEIGHTS_TOO_LARGE = "WEIGHTS_TOO_LARGE"
    ARITHMETIC_OVER_BUDGET = "ARITHMETIC_OVER_BUDGET"
    TRAFFIC_OVER_BUDGET = "TRAFFIC_OVER_BUDGET"


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that stands in the way.

    Attributes:
        rule: which rule found it.
        severity: how bad it is.
        nodes: of the graph, by name; at most :data:`MAX_NODES`.
        reason: what is wrong, for people.
        fix: what to do about it, for people.
    """

    rule: Rule
    severity: Severity
    nodes: tuple[str, ...]
    reason: str
    fix: str


@dataclass(frozen=True, slots=True)
class DeviceLint:
    """Whether a device's accelerator runs a graph.

    Attributes:
        device: name of the profile.
        findings: errors first.
    """

    device: str
    findings: tuple[Finding, ...]

    @property
    def supported(self) -> bool:
        """Whether all of the graph runs there: no finding is an error."""
        return all(finding.severity is not Severity.ERROR for finding in self.findings)

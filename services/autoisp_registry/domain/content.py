"""What is registered: a network, and all that is known of it at that time. It never changes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field

from autoisp_core.artifact import Artifact
from autoisp_core.noise import Noise
from autoisp_core.quality.results import Cost


@dataclass(frozen=True)
class Prototype:
    """The slow reference that was replaced: one that ships (``builtin``) or an ONNX graph."""

    builtin: str = ""
    onnx: Artifact | None = None


@dataclass(frozen=True)
class Sensor:
    """The sensor that a network was made for: a profile that ships (``builtin``) or one as TOML text."""

    builtin: str = ""
    toml: str = ""
    test_noise: Noise | None = None
    identity_ccm: bool = False


@dataclass(frozen=True)
class Lineage:
    """Where a version came from; empty fields are unknown.

    Attributes:
        manifest: the dataset's DatasetManifest, which names the footage by digest.
    """

    dataset: str = ""
    search: str = ""
    trial: str = ""
    evaluation: str = ""
    prototype: Prototype | None = None
    manifest: Artifact | None = None


@dataclass(frozen=True)
class GateResult:
    """Whether a version was good enough to become champion, and one line per check."""

    passed: bool
    checks: tuple[str, ...]


@dataclass(frozen=True)
class Content:
    """All of a version but its name: what is registered.

    Attributes:
        onnx: the network.
        metrics: named figures.
        spec: the architecture as canonical JSON; empty if the network was made elsewhere.
        gate: None where nothing judged it.
        cost: None where it was not measured.
        sensor: None where it is unknown.
    """

    onnx: Artifact
    metrics: Mapping[str, float] = field(default_factory=dict)
    lineage: Lineage = field(default_factory=Lineage)
    spec: str = ""
    gate: GateResult | None = None
    cost: Cost | None = None
    sensor: Sensor | None = None


def finite(metrics: Mapping[str, float]) -> dict[str, float]:
    """The metrics that are numbers; what could not be measured is left out rather than written as NaN."""
    return {name: value for name, value in metrics.items() if math.isfinite(value)}

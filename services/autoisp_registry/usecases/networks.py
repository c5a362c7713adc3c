"""Networks before they are versions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from autoisp_core.artifact import Artifact

from autoisp_registry import gate
from autoisp_registry.domain import Content, Cost, GateResult, Lineage, Sensor


@dataclass(frozen=True)
class NewVersion:
    """What a person registers."""

    content: Content
    description: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class EvaluatedNetwork:
    """A network that a search found and an evaluation judged.

    Args:
        model: ``models/{m}``, where it is to be registered.
        measured, prototype: totals of both; no prototype means that it was not judged.
        clips: what the totals are of.
        limits: what the gate checks.
        own_gate: what the evaluation's own gate said; None if it had none.
        cost: of the network; None where it was not measured.
        record: the evaluation, whole.
        seed, frames_per_clip: of its frames.
    """

    model: str
    onnx: Artifact
    spec: str
    lineage: Lineage
    measured: gate.Measured
    prototype: gate.Measured | None
    clips: gate.Clips
    limits: gate.Limits
    own_gate: GateResult | None = None
    cost: Cost | None = None
    sensor: Sensor | None = None
    record: Artifact | None = None
    seed: int = 0
    frames_per_clip: int = 0

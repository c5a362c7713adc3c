"""What a search that succeeded asks to be judged."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from autoisp_core import names
from autoisp_core.artifact import Artifact

from autoisp_evaluation.domain import (
    MODEL_LABEL,
    PROTOTYPE_LABEL,
    Entry,
    Evaluation,
    Prototype,
    Registration,
    Sensor,
    Split,
    Subject,
)
from autoisp_evaluation.usecases.sizes import Size


@dataclass(frozen=True)
class CompletedSearch:
    """What a search that succeeded asks to be judged."""

    search: str
    trial: str
    dataset: str
    manifest: Artifact
    prototype: Prototype
    onnx: Artifact
    sensor: Sensor
    seed: int
    frames_per_clip: int
    registration: Registration
    gate: str = ""


def wanted_by(search: CompletedSearch, now: datetime) -> Evaluation:
    """Its network against its prototype, on the clips that it never saw."""
    return Evaluation(
        name=names.evaluation_name(names.id_of(search.search)),
        dataset=search.dataset,
        split=Split.TEST,
        subjects=(Subject(PROTOTYPE_LABEL, search.prototype), Subject(MODEL_LABEL, search.onnx)),
        sensor=search.sensor,
        seed=search.seed,
        frames_per_clip=search.frames_per_clip,
        search=search.search,
        trial=search.trial,
        gate=search.gate,
        registration=search.registration,
        create_time=now,
        manifest=search.manifest,
    )


def fitting(evaluation: Evaluation, entries: Sequence[Entry]) -> Evaluation:
    """Fewer frames per clip where the results would not fit: no search is lost for its test frames."""
    size = Size([entry.frame_count for entry in entries], len(evaluation.subjects), len(evaluation.measured))
    if size.fits(evaluation.frames_per_clip):
        return evaluation
    return replace(evaluation, frames_per_clip=max(1, size.largest_frames()))

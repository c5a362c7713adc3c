"""What a person may ask for; every complaint names the field as the request's proto spells it."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from autoisp_core import names, sensor
from autoisp_core.artifact import Artifact
from autoisp_core.errors import InvalidArgumentError, NotFoundError
from autoisp_core.prototypes import BUILTIN_PROTOTYPES
from autoisp_core.quality import METRICS, Gate, metrics_named

from autoisp_evaluation.domain import (
    DEFAULT_METRICS,
    ModelVersion,
    Prototype,
    Sensor,
    Split,
    Subject,
)

MAX_SUBJECTS = 16

_LABEL = re.compile(r"[a-z][a-z0-9_-]{0,62}")
_RESERVED = frozenset({"noisy", "truth"})  # kinds of pictures that every clip has


@dataclass(frozen=True)
class Draft:
    """An evaluation as asked for, well-formed but not yet checked against anything."""

    dataset: str
    split: Split | None
    subjects: tuple[Subject, ...]
    sensor: Sensor
    seed: int = 0
    frames_per_clip: int = 0
    search: str = ""
    trial: str = ""
    metrics: tuple[str, ...] = ()
    gate: str = ""


def validate(draft: Draft) -> Split:
    """Check everything that can be checked without looking anything up; returns the split.

    Raises:
        InvalidArgumentError: naming the field.
    """
    names.DATASET.parse(draft.dataset, "evaluation.dataset")
    if draft.search:
        names.SEARCH.parse(draft.search, "evaluation.search")
    if draft.trial:
        names.TRIAL.parse(draft.trial, "evaluation.trial")
    if draft.split is None:
        raise InvalidArgumentError(
            "evaluation.split", "say which clips to judge on: SPLIT_TEST, SPLIT_VALIDATION or SPLIT_TRAIN"
        )
    if not 0 <= draft.frames_per_clip <= 2**31 - 1:
        raise InvalidArgumentError(
            "evaluation.frames_per_clip",
            f"frames_per_clip is {draft.frames_per_clip}; give 0 (all) or a positive number",
        )
    _validate_subjects(draft.subjects)
    _validate_sensor(draft.sensor)
    return draft.split


def validate_request_id(request_id: str) -> None:
    """Check the key of an idempotent request.

    Raises:
        InvalidArgumentError: it is too long or not printable ASCII.
    """
    if len(request_id) > 128 or not (request_id.isascii() and request_id.isprintable()):
        raise InvalidArgumentError(
            "request_id", "request_id must be at most 128 printable ASCII characters, for example a UUID"
        )


def wanted_metrics(draft: Draft) -> tuple[str, ...]:
    """What is to be measured: psnr and ssim, what is asked for, and what the gate checks.

    Raises:
        InvalidArgumentError: an unknown metric, or a gate that can't be or names none of the subjects.
    """
    metrics = metrics_of(draft.metrics, draft.gate, "evaluation.gate")
    if draft.gate:
        Gate.parse(draft.gate).require([subject.label for subject in draft.subjects], "evaluation.gate")
    return metrics


def require_neighbours(draft: Draft, frame_counts: Sequence[int]) -> None:
    """Refuse a gate that could only fail: what it checks from frame to frame has no value on spread frames.

    Raises:
        InvalidArgumentError: naming ``frames_per_clip``.
    """
    spread = 0 < draft.frames_per_clip < max(frame_counts)
    if draft.gate and spread and (temporal := temporal_metrics(draft.gate)):
        raise InvalidArgumentError(
            "evaluation.frames_per_clip",
            f"the gate checks {temporal[0]}, which looks at neighbouring frames, and {draft.frames_per_clip} "
            "spread frames have none; set it to 0 (all frames), or leave the check out",
        )


def temporal_metrics(gate: str) -> list[str]:
    """What a gate checks from frame to frame."""
    return [name for name in Gate.parse(gate).metrics if METRICS[name].temporal]


def metrics_of(asked: Sequence[str], gate: str, field: str) -> tuple[str, ...]:
    """As :func:`wanted_metrics`, of a gate that errors call ``field``."""
    checked = Gate.parse(gate, field).metrics if gate else ()
    try:
        found = metrics_named([*DEFAULT_METRICS, *asked, *checked])
    except InvalidArgumentError as error:
        raise InvalidArgumentError("evaluation.metrics", error.message, reason=error.reason) from error
    return tuple(metric.name for metric in found)


def missing_version(index: int, version: str, error: NotFoundError) -> NotFoundError:
    """The error for a subject whose model version is not registered."""
    return NotFoundError(
        version,
        error.message,
        reason=error.reason,
        metadata={"field": f"evaluation.subjects[{index}].model_version"},
    )


def missing_artifact(index: int, subject: Subject) -> NotFoundError:
    """The error for a subject whose ONNX file is not in the store."""
    if isinstance(subject.source, Artifact):
        source = "onnx"
    else:
        source = "prototype.onnx" if isinstance(subject.source, Prototype) else "model_version"
    assert subject.onnx is not None
    return NotFoundError(
        subject.onnx.uri,
        f"the ONNX file of subject {subject.label!r} ({subject.onnx.sha256[:12]}…, {subject.onnx.size_bytes} "
        "bytes) is not in the artifact store; upload it with RegistryService.UploadArtifact first",
        reason="NO_ARTIFACT",
        metadata={"field": f"evaluation.subjects[{index}].{source}"},
    )


def _validate_subjects(subjects: tuple[Subject, ...]) -> None:
    if not 1 <= len(subjects) <= MAX_SUBJECTS:
        raise InvalidArgumentError(
            "evaluation.subjects", f"give 1 to {MAX_SUBJECTS} subjects to judge, not {len(subjects)}"
        )
    seen: set[str] = set()
    for index, subject in enumerate(subjects):
        field = f"evaluation.subjects[{index}].label"
        if not _LABEL.fullmatch(subject.label) or subject.label in _RESERVED:
            raise InvalidArgumentError(
                field,
                f"{subject.label!r} can't label a subject; use a lowercase letter, then letters, digits, '-' "
                "or '_', and neither 'noisy' nor 'truth'",
            )
        if subject.label in seen:
            raise InvalidArgumentError(field, f"two subjects are labelled {subject.label!r}; rename one")
        seen.add(subject.label)
        if isinstance(subject.source, Prototype):
            _validate_prototype(subject.source, f"evaluation.subjects[{index}].prototype")
        if isinstance(subject.source, ModelVersion):
            _validate_version(subject.source.name, f"evaluation.subjects[{index}].model_version")


def _validate_prototype(prototype: Prototype, field: str) -> None:
    if not (prototype.builtin or prototype.onnx):
        raise InvalidArgumentError(field, "set the prototype's builtin or its onnx")
    if prototype.builtin and prototype.builtin not in BUILTIN_PROTOTYPES:
        raise InvalidArgumentError(
            f"{field}.builtin",
            f"there is no prototype 'builtin:{prototype.builtin}'; use builtin:"
            + " or builtin:".join(BUILTIN_PROTOTYPES),
        )


def _validate_version(name: str, field: str) -> None:
    _, version = names.MODEL_VERSION.parse(name, field)
    if not version.isdigit() or version.startswith("0"):
        raise InvalidArgumentError(
            field,
            f"{version!r} is no version's number but an alias, which may move; resolve it with "
            "RegistryService.GetModelVersion and give the name that it answers",
            reason="ALIAS",
        )


def _validate_sensor(chosen: Sensor) -> None:
    try:
        if chosen.toml:
            sensor.SensorProfile.from_toml(chosen.toml)
        else:
            sensor.builtin(chosen.builtin)
    except InvalidArgumentError as error:
        raise InvalidArgumentError(
            f"evaluation.sensor.{'toml' if chosen.toml else 'builtin'}",
            f"{error.field}: {error.message}",
            reason=error.reason,
        ) from error

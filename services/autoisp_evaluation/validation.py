"""What a person may ask for; every complaint names the field as the request's proto spells it."""

from __future__ import annotations

import re
from dataclasses import dataclass

from autoisp_core import names, sensor
from autoisp_core.artifact import Artifact
from autoisp_core.errors import InvalidArgumentError, NotFoundError

from autoisp_evaluation.domain import Prototype, Sensor, Split, Subject

MAX_SUBJECTS = 16
MAX_FRAME_RESULTS = 100_000
"""Frames × subjects × clips of one evaluation: more would not fit into one gRPC message of 4 MiB."""
MAX_CLIP_FRAME_RESULTS = 25_000
"""Frames × subjects of one clip: more would not fit into one message on the bus."""

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


def fits(frame_counts: list[int], frames_per_clip: int, subjects: int) -> bool:
    """Whether the results of an evaluation, and of each of its clips, fit into their messages."""
    results = [subjects * min(count, frames_per_clip or count) for count in frame_counts]
    return sum(results) <= MAX_FRAME_RESULTS and max(results, default=0) <= MAX_CLIP_FRAME_RESULTS


def largest_frames(frame_counts: list[int], subjects: int) -> int:
    """The most frames per clip that surely fit (at least 1)."""
    in_all = MAX_FRAME_RESULTS // max(1, subjects * len(frame_counts))
    return max(1, min(in_all, MAX_CLIP_FRAME_RESULTS // max(1, subjects)))


def validate_size(frame_counts: list[int], frames_per_clip: int, subjects: int) -> None:
    """Refuse an evaluation whose results would not fit into their messages.

    Raises:
        InvalidArgumentError: naming ``frames_per_clip``, with a number that fits.
    """
    if not fits(frame_counts, frames_per_clip, subjects):
        raise InvalidArgumentError(
            "evaluation.frames_per_clip",
            f"{subjects} subjects on that many frames of {len(frame_counts)} clips give more results than "
            f"are kept; use frames_per_clip of {largest_frames(frame_counts, subjects)} or less",
            reason="TOO_MANY_FRAMES",
        )


def missing_artifact(index: int, subject: Subject) -> NotFoundError:
    """The error for a subject whose ONNX file is not in the store."""
    source = "onnx" if isinstance(subject.source, Artifact) else "prototype.onnx"
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
        if isinstance(subject.source, Prototype) and not (subject.source.builtin or subject.source.onnx):
            raise InvalidArgumentError(
                f"evaluation.subjects[{index}].prototype", "set the prototype's builtin or its onnx"
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

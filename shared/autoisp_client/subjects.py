"""What an evaluation judges, as people write it and as the service takes it."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from autoisp.common.v1 import common_pb2
from autoisp.evaluation.v1 import evaluation_pb2
from autoisp.ingest.v1 import ingest_pb2
from autoisp.prototype.v1 import prototype_pb2
from autoisp_core.errors import InvalidArgumentError

Source = str | Path | common_pb2.Artifact | prototype_pb2.Prototype | evaluation_pb2.Subject
"""Whatever can be judged; see :meth:`autoisp_client.Client.evaluation_subject`."""

SPLITS = {
    "train": ingest_pb2.SPLIT_TRAIN,
    "validation": ingest_pb2.SPLIT_VALIDATION,
    "test": ingest_pb2.SPLIT_TEST,
}


def subject_of(label: str, source: Source) -> evaluation_pb2.Subject:
    """The subject, as far as the source says it by itself: a file is not uploaded, an alias not looked up.

    >>> subject_of("prototype", "builtin:classical").prototype.builtin
    'classical'
    >>> subject_of("model", "models/night/versions/champion").model_version
    'models/night/versions/champion'

    Raises:
        InvalidArgumentError: field ``subjects``, for a text that is no source.
    """
    subject = evaluation_pb2.Subject(label=label)
    if isinstance(source, evaluation_pb2.Subject):
        subject.CopyFrom(source)
        subject.label = label
    elif isinstance(source, common_pb2.Artifact):
        subject.onnx.CopyFrom(source)
    elif isinstance(source, prototype_pb2.Prototype):
        subject.prototype.CopyFrom(source)
    elif isinstance(source, str):
        kind, _, what = source.partition(":")
        if source.startswith("models/"):
            subject.model_version = source
        elif kind == "builtin" and what:
            subject.prototype.builtin = what
        elif kind != "onnx" or not what:
            raise InvalidArgumentError(
                "subjects",
                f"{label}: {source!r} is no source; write builtin:classical, onnx:FILE or "
                "models/MODEL/versions/VERSION",
            )
    return subject


def onnx_file(source: str | Path) -> Path:
    """The path in ``onnx:FILE``, or the path itself."""
    return Path(source.removeprefix("onnx:")) if isinstance(source, str) else source


def evaluation_message(
    dataset: str,
    subjects: Sequence[evaluation_pb2.Subject],
    split: str,
    metrics: Sequence[str],
    gate: str,
    sensor: common_pb2.Sensor | None,
    seed: int,
    frames_per_clip: int,
) -> evaluation_pb2.Evaluation:
    """The evaluation to create.

    Raises:
        InvalidArgumentError: field ``split``, for a word that is none.
    """
    if split not in SPLITS:
        raise InvalidArgumentError("split", f"split {split!r} is none; use one of {', '.join(SPLITS)}")
    return evaluation_pb2.Evaluation(
        dataset=dataset,
        split=SPLITS[split],
        subjects=subjects,
        sensor=sensor or common_pb2.Sensor(builtin="phone"),
        seed=seed,
        frames_per_clip=frames_per_clip,
        metrics=metrics,
        gate=gate,
    )

"""Subjects, sensors and references to bytes, both ways."""

from __future__ import annotations

from autoisp.common.v1 import common_pb2
from autoisp.evaluation.v1 import evaluation_pb2
from autoisp.ingest.v1 import ingest_pb2
from autoisp.prototype.v1 import prototype_pb2
from autoisp_core.artifact import Artifact
from autoisp_core.errors import InvalidArgumentError
from autoisp_core.noise import Noise
from autoisp_runtime.messages.artifacts import artifact_from, artifact_to

from autoisp_evaluation.domain import ModelVersion, Prototype, Sensor, Split, Subject

DEFAULT_SENSOR = "phone"

_SPLITS = {
    ingest_pb2.SPLIT_TRAIN: Split.TRAIN,
    ingest_pb2.SPLIT_VALIDATION: Split.VALIDATION,
    ingest_pb2.SPLIT_TEST: Split.TEST,
}
_SPLIT_NUMBERS = {split: number for number, split in _SPLITS.items()}


def prototype_from(message: prototype_pb2.Prototype, field: str) -> Prototype:
    """Read a prototype; neither source set gives an empty one, for validation to refuse."""
    if message.WhichOneof("source") == "onnx":
        return Prototype(onnx=artifact_from(message.onnx, f"{field}.onnx"))
    return Prototype(builtin=message.builtin)


def prototype_to(prototype: Prototype) -> prototype_pb2.Prototype:
    """Write a prototype."""
    if prototype.onnx is not None:
        return prototype_pb2.Prototype(onnx=artifact_to(prototype.onnx))
    return prototype_pb2.Prototype(builtin=prototype.builtin)


def sensor_from(message: common_pb2.Sensor, field: str) -> Sensor:
    """Read a sensor; without a profile it is the default one.

    Raises:
        InvalidArgumentError: the test noise is no pair of variances.
    """
    noise = None
    if message.HasField("test_noise"):
        try:
            noise = Noise(message.test_noise.shot, message.test_noise.read)
        except InvalidArgumentError as error:
            part = error.field.removeprefix("noise.")
            raise InvalidArgumentError(f"{field}.test_noise.{part}", error.message) from error
    builtin = "" if message.toml else message.builtin or DEFAULT_SENSOR
    return Sensor(builtin, message.toml, noise, message.identity_ccm)


def sensor_to(sensor: Sensor) -> common_pb2.Sensor:
    """Write a sensor."""
    message = common_pb2.Sensor(identity_ccm=sensor.identity_ccm)
    if sensor.toml:
        message.toml = sensor.toml
    else:
        message.builtin = sensor.builtin
    if sensor.test_noise is not None:
        message.test_noise.CopyFrom(
            common_pb2.Noise(shot=sensor.test_noise.shot, read=sensor.test_noise.read)
        )
    return message


def subject_from(message: evaluation_pb2.Subject, field: str) -> Subject:
    """Read a subject.

    Raises:
        InvalidArgumentError: it has no source, or a malformed one.
    """
    source = message.WhichOneof("source")
    if source is None:
        raise InvalidArgumentError(
            field, f"subject {message.label!r} has nothing to judge; set onnx, prototype or model_version"
        )
    if source == "onnx":
        return Subject(message.label, artifact_from(message.onnx, f"{field}.onnx"))
    if source == "model_version":
        onnx = artifact_from(message.model_onnx, f"{field}.model_onnx") if message.model_onnx.sha256 else None
        return Subject(message.label, ModelVersion(message.model_version, onnx))
    return Subject(message.label, prototype_from(message.prototype, f"{field}.prototype"))


def subject_to(subject: Subject) -> evaluation_pb2.Subject:
    """Write a subject."""
    if isinstance(subject.source, Artifact):
        return evaluation_pb2.Subject(label=subject.label, onnx=artifact_to(subject.source))
    if isinstance(subject.source, ModelVersion):
        return evaluation_pb2.Subject(
            label=subject.label,
            model_version=subject.source.name,
            model_onnx=artifact_to(subject.source.onnx) if subject.source.onnx else None,
        )
    return evaluation_pb2.Subject(label=subject.label, prototype=prototype_to(subject.source))


def command_subject_to(subject: Subject) -> evaluation_pb2.Subject:
    """Write a subject for a worker, who knows files and no registry."""
    if isinstance(subject.source, ModelVersion):
        assert subject.source.onnx is not None, "versions are looked up before anything is sent"
        subject = Subject(subject.label, subject.source.onnx)
    return subject_to(subject)


def split_from(number: ingest_pb2.Split.ValueType) -> Split | None:
    """Read a split; None for unspecified or unknown ones."""
    return _SPLITS.get(number)


def split_to(split: Split) -> ingest_pb2.Split.ValueType:
    """Write a split."""
    return _SPLIT_NUMBERS[split]

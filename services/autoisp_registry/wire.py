"""Between the domain and the protobuf messages, both ways; what comes from outside is checked in reading."""

from __future__ import annotations

from datetime import UTC, datetime

from autoisp.common.v1 import common_pb2
from autoisp.prototype.v1 import prototype_pb2
from autoisp.registry.v1 import registry_pb2
from autoisp_core import names
from autoisp_core.artifact import Artifact
from autoisp_core.errors import InvalidArgumentError
from google.protobuf.timestamp_pb2 import Timestamp

from autoisp_registry.domain import Content, GateResult, Lineage, Model, ModelVersion, Prototype


def artifact_from(message: common_pb2.Artifact, field: str) -> Artifact:
    """Read a reference to bytes.

    Raises:
        InvalidArgumentError: naming the part of ``field`` that is malformed.
    """
    if len(message.sha256) != 64 or set(message.sha256) - set("0123456789abcdef"):
        raise InvalidArgumentError(
            f"{field}.sha256", f"{message.sha256!r} is no SHA-256; give 64 lowercase hexadecimal characters"
        )
    if message.size_bytes < 1:
        raise InvalidArgumentError(f"{field}.size_bytes", "give the size in bytes that the upload answered")
    uri = f"blobs/{message.sha256[:2]}/{message.sha256}"
    if message.uri not in ("", uri):
        raise InvalidArgumentError(
            f"{field}.uri", f"bytes of that digest lie at {uri}, not at {message.uri!r}; leave it empty"
        )
    return Artifact(uri, message.sha256, message.size_bytes, message.media_type)


def artifact_to(artifact: Artifact) -> common_pb2.Artifact:
    """Write a reference to bytes."""
    return common_pb2.Artifact(
        uri=artifact.uri,
        sha256=artifact.sha256,
        size_bytes=artifact.size_bytes,
        media_type=artifact.media_type,
    )


def prototype_from(message: prototype_pb2.Prototype, field: str) -> Prototype | None:
    """Read a prototype; None if no source is set.

    Raises:
        InvalidArgumentError: its file's reference is malformed.
    """
    source = message.WhichOneof("source")
    if source == "onnx":
        return Prototype(onnx=artifact_from(message.onnx, f"{field}.onnx"))
    return Prototype(builtin=message.builtin) if source == "builtin" else None


def model_to(model: Model) -> registry_pb2.Model:
    """Write a model."""
    return registry_pb2.Model(
        name=model.name,
        display_name=model.display_name,
        latest_version=model.latest_version,
        aliases=model.aliases,
        create_time=_time_to(model.create_time),
        update_time=_time_to(model.update_time),
        etag=model.etag,
    )


def model_from(message: registry_pb2.Model, revision: int) -> Model:
    """Read back what :func:`model_to` wrote; for the database."""
    return Model(
        message.name,
        message.display_name,
        message.create_time.ToDatetime(UTC),
        message.update_time.ToDatetime(UTC),
        message.latest_version,
        dict(message.aliases),
        revision,
    )


def content_from(message: registry_pb2.ModelVersion, field: str) -> Content:
    """Read what is registered.

    Raises:
        InvalidArgumentError: naming the part of ``field`` that is malformed.
    """
    if not message.HasField("onnx"):
        raise InvalidArgumentError(
            f"{field}.onnx", "say which ONNX file to register: the artifact that UploadArtifact answered"
        )
    lineage = message.lineage
    return Content(
        onnx=artifact_from(message.onnx, f"{field}.onnx"),
        metrics=dict(message.metrics),
        lineage=Lineage(
            lineage.dataset,
            lineage.search,
            lineage.trial,
            lineage.evaluation,
            prototype_from(lineage.prototype, f"{field}.lineage.prototype"),
        ),
        spec=message.spec,
        gate=GateResult(message.gate.passed, tuple(message.gate.checks))
        if message.HasField("gate")
        else None,
    )


def version_to(version: ModelVersion) -> registry_pb2.ModelVersion:
    """Write a version."""
    content = version.content
    lineage = content.lineage
    message = registry_pb2.ModelVersion(
        name=version.name,
        onnx=artifact_to(content.onnx),
        metrics=content.metrics,
        lineage=registry_pb2.Lineage(
            dataset=lineage.dataset,
            search=lineage.search,
            trial=lineage.trial,
            evaluation=lineage.evaluation,
            prototype=_prototype_to(lineage.prototype) if lineage.prototype else None,
        ),
        spec=content.spec,
        create_time=_time_to(version.create_time),
    )
    if content.gate is not None:
        message.gate.CopyFrom(registry_pb2.GateResult(passed=content.gate.passed, checks=content.gate.checks))
    return message


def version_from(message: registry_pb2.ModelVersion) -> ModelVersion:
    """Read back what :func:`version_to` wrote; for the database."""
    model_id, number = names.MODEL_VERSION.parse(message.name)
    return ModelVersion(
        names.model_name(model_id),
        int(number),
        content_from(message, "model_version"),
        message.create_time.ToDatetime(UTC),
    )


def _prototype_to(prototype: Prototype) -> prototype_pb2.Prototype:
    if prototype.onnx is not None:
        return prototype_pb2.Prototype(onnx=artifact_to(prototype.onnx))
    return prototype_pb2.Prototype(builtin=prototype.builtin)


def _time_to(time: datetime) -> Timestamp:
    message = Timestamp()
    message.FromDatetime(time)
    return message

"""What is registered, both ways; what comes from outside is checked in reading."""

from __future__ import annotations

from autoisp.common.v1 import common_pb2
from autoisp.prototype.v1 import prototype_pb2
from autoisp.registry.v1 import registry_pb2
from autoisp_core.errors import InvalidArgumentError
from autoisp_core.noise import Noise
from autoisp_runtime.messages.artifacts import artifact_from, artifact_to
from autoisp_runtime.messages.results import cost_from, cost_to

from autoisp_registry.domain import Content, GateResult, Lineage, Prototype, Sensor


def prototype_from(message: prototype_pb2.Prototype, field: str) -> Prototype | None:
    """Read a prototype; None if no source is set.

    Raises:
        InvalidArgumentError: its file's reference is malformed.
    """
    source = message.WhichOneof("source")
    if source == "onnx":
        return Prototype(onnx=artifact_from(message.onnx, f"{field}.onnx"))
    return Prototype(builtin=message.builtin) if source == "builtin" else None


def sensor_from(message: common_pb2.Sensor, field: str) -> Sensor:
    """Read a sensor.

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
    return Sensor(message.builtin, message.toml, noise, message.identity_ccm)


def sensor_to(sensor: Sensor) -> common_pb2.Sensor:
    """Write a sensor."""
    message = common_pb2.Sensor(identity_ccm=sensor.identity_ccm)
    if sensor.toml:
        message.toml = sensor.toml
    elif sensor.builtin:
        message.builtin = sensor.builtin
    if (noise := sensor.test_noise) is not None:
        message.test_noise.CopyFrom(common_pb2.Noise(shot=noise.shot, read=noise.read))
    return message


def content_from(message: registry_pb2.ModelVersion, field: str) -> Content:
    """Read what is registered.

    Raises:
        InvalidArgumentError: naming the part of ``field`` that is malformed.
    """
    if not message.HasField("onnx"):
        raise InvalidArgumentError(
            f"{field}.onnx", "say which ONNX file to register: the artifact that UploadArtifact answered"
        )
    lineage, where = message.lineage, f"{field}.lineage"
    return Content(
        onnx=artifact_from(message.onnx, f"{field}.onnx"),
        metrics=dict(message.metrics),
        lineage=Lineage(
            lineage.dataset,
            lineage.search,
            lineage.trial,
            lineage.evaluation,
            prototype_from(lineage.prototype, f"{where}.prototype"),
            artifact_from(lineage.manifest, f"{where}.manifest") if lineage.HasField("manifest") else None,
        ),
        spec=message.spec,
        gate=gate_from(message.gate) if message.HasField("gate") else None,
        cost=cost_from(message.cost) if message.HasField("cost") else None,
        sensor=sensor_from(message.sensor, f"{field}.sensor") if message.HasField("sensor") else None,
    )


def content_to(content: Content) -> registry_pb2.ModelVersion:
    """Write what was registered: a version without name and time."""
    lineage, prototype = content.lineage, content.lineage.prototype
    return registry_pb2.ModelVersion(
        onnx=artifact_to(content.onnx),
        metrics=content.metrics,
        lineage=registry_pb2.Lineage(
            dataset=lineage.dataset,
            search=lineage.search,
            trial=lineage.trial,
            evaluation=lineage.evaluation,
            prototype=_prototype_to(prototype) if prototype else None,
            manifest=artifact_to(lineage.manifest) if lineage.manifest else None,
        ),
        spec=content.spec,
        gate=gate_to(content.gate) if content.gate else None,
        cost=cost_to(content.cost) if content.cost else None,
        sensor=sensor_to(content.sensor) if content.sensor else None,
    )


def gate_from(message: registry_pb2.GateResult) -> GateResult:
    """Read what a gate said."""
    return GateResult(message.passed, tuple(message.checks))


def gate_to(gate: GateResult) -> registry_pb2.GateResult:
    """Write what a gate said."""
    return registry_pb2.GateResult(passed=gate.passed, checks=gate.checks)


def _prototype_to(prototype: Prototype) -> prototype_pb2.Prototype:
    if prototype.onnx is not None:
        return prototype_pb2.Prototype(onnx=artifact_to(prototype.onnx))
    return prototype_pb2.Prototype(builtin=prototype.builtin)

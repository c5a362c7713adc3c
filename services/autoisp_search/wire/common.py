"""Values that many messages share."""

from __future__ import annotations

from datetime import UTC, datetime

from autoisp.common.v1 import common_pb2
from autoisp.prototype.v1 import prototype_pb2
from autoisp_core.artifact import Artifact
from autoisp_core.errors import InvalidArgumentError
from google.protobuf.timestamp_pb2 import Timestamp

from autoisp_search.domain import (
    Failure,
    Lessons,
    MeasuredCost,
    Prototype,
    PrototypeProfile,
    Quality,
    Sensor,
)


def artifact_to(artifact: Artifact) -> common_pb2.Artifact:
    """Encode."""
    return common_pb2.Artifact(
        uri=artifact.uri,
        sha256=artifact.sha256,
        size_bytes=artifact.size_bytes,
        media_type=artifact.media_type,
    )


def artifact_from(message: common_pb2.Artifact, field: str) -> Artifact:
    """Decode.

    Raises:
        InvalidArgumentError: digest or size can't be; names ``field``.
    """
    try:
        return Artifact(message.uri, message.sha256, message.size_bytes, message.media_type)
    except ValueError as error:
        raise InvalidArgumentError(
            field, f"{field} is no artifact: {error}; send what UploadArtifact returned"
        ) from error


def cost_to(cost: MeasuredCost) -> common_pb2.Cost:
    """Encode."""
    return common_pb2.Cost(
        macs_per_pixel=cost.macs_per_pixel,
        parameters=cost.parameters,
        size_bytes=cost.size_bytes,
        seconds_per_megapixel=cost.seconds_per_megapixel,
        state_bytes_per_pixel=cost.state_bytes_per_pixel,
    )


def cost_from(message: common_pb2.Cost) -> MeasuredCost:
    """Decode."""
    return MeasuredCost(
        macs_per_pixel=message.macs_per_pixel if message.HasField("macs_per_pixel") else None,
        parameters=message.parameters,
        size_bytes=message.size_bytes,
        seconds_per_megapixel=message.seconds_per_megapixel,
        state_bytes_per_pixel=message.state_bytes_per_pixel,
    )


def quality_to(quality: Quality) -> common_pb2.Quality:
    """Encode."""
    return common_pb2.Quality(psnr_db=quality.psnr_db, ssim=quality.ssim)


def quality_from(message: common_pb2.Quality) -> Quality:
    """Decode."""
    return Quality(message.psnr_db, message.ssim)


def failure_to(failure: Failure) -> common_pb2.Failure:
    """Encode."""
    return common_pb2.Failure(reason=failure.reason, message=failure.message)


def failure_from(message: common_pb2.Failure) -> Failure:
    """Decode."""
    return Failure(message.reason or "UNKNOWN", message.message)


def sensor_to(sensor: Sensor) -> common_pb2.Sensor:
    """Encode."""
    message = common_pb2.Sensor(identity_ccm=sensor.identity_ccm)
    if sensor.toml:
        message.toml = sensor.toml
    else:
        message.builtin = sensor.builtin
    if sensor.test_noise is not None:
        message.test_noise.shot = sensor.test_noise.shot
        message.test_noise.read = sensor.test_noise.read
    return message


def prototype_to(prototype: Prototype) -> prototype_pb2.Prototype:
    """Encode."""
    if prototype.onnx is not None:
        return prototype_pb2.Prototype(onnx=artifact_to(prototype.onnx))
    return prototype_pb2.Prototype(builtin=prototype.builtin)


def prototype_from(message: prototype_pb2.Prototype, field: str) -> Prototype:
    """Decode.

    Raises:
        InvalidArgumentError: its artifact is none.
    """
    if message.WhichOneof("source") == "onnx":
        return Prototype(onnx=artifact_from(message.onnx, f"{field}.onnx"))
    return Prototype(builtin=message.builtin)


def profile_to(profile: PrototypeProfile) -> prototype_pb2.PrototypeProfile:
    """Encode."""
    return prototype_pb2.PrototypeProfile(
        cost=cost_to(profile.cost),
        quality=quality_to(profile.quality) if profile.quality else None,
        frames=profile.frames,
        inputs=profile.inputs,
        lessons=_lessons_to(profile.lessons) if profile.lessons else None,
    )


def profile_from(message: prototype_pb2.PrototypeProfile) -> PrototypeProfile:
    """Decode."""
    return PrototypeProfile(
        cost=cost_from(message.cost),
        quality=quality_from(message.quality) if message.HasField("quality") else None,
        frames=message.frames,
        inputs=tuple(message.inputs),
        lessons=_lessons_from(message.lessons) if message.HasField("lessons") else None,
    )


def _lessons_to(lessons: Lessons) -> prototype_pb2.Lessons:
    return prototype_pb2.Lessons(
        file=artifact_to(lessons.file), count=lessons.count, real=lessons.real, seconds=lessons.seconds
    )


def _lessons_from(message: prototype_pb2.Lessons) -> Lessons:
    file = artifact_from(message.file, "profile.lessons.file")
    return Lessons(file, message.count, message.real, message.seconds)


def time_to(time: datetime | None) -> Timestamp | None:
    """Encode."""
    if time is None:
        return None
    message = Timestamp()
    message.FromDatetime(time)
    return message


def time_from(message: Timestamp) -> datetime:
    """Decode, with time zone."""
    return message.ToDatetime(tzinfo=UTC)

"""Between the domain and the protobuf messages, both ways; what comes from outside is checked in reading."""

from __future__ import annotations

from datetime import UTC, datetime

from autoisp.common.v1 import common_pb2
from autoisp.evaluation.v1 import evaluation_pb2
from autoisp.ingest.v1 import ingest_pb2
from autoisp.prototype.v1 import prototype_pb2
from autoisp_core.artifact import Artifact
from autoisp_core.errors import InvalidArgumentError
from autoisp_core.noise import Noise
from google.protobuf.timestamp_pb2 import Timestamp

from autoisp_evaluation.domain import (
    ClipResult,
    Cost,
    Evaluation,
    Failure,
    FrameResult,
    Picture,
    Prototype,
    Quality,
    Sensor,
    Split,
    State,
    Subject,
    SubjectResult,
)

DEFAULT_SENSOR = "phone"

_SPLITS = {
    ingest_pb2.SPLIT_TRAIN: Split.TRAIN,
    ingest_pb2.SPLIT_VALIDATION: Split.VALIDATION,
    ingest_pb2.SPLIT_TEST: Split.TEST,
}
_STATES = {
    evaluation_pb2.EVALUATION_STATE_RUNNING: State.RUNNING,
    evaluation_pb2.EVALUATION_STATE_SUCCEEDED: State.SUCCEEDED,
    evaluation_pb2.EVALUATION_STATE_FAILED: State.FAILED,
}
_SPLIT_NUMBERS = {split: number for number, split in _SPLITS.items()}
_STATE_NUMBERS = {state: number for number, state in _STATES.items()}


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
            field, f"subject {message.label!r} has nothing to judge; set onnx or prototype"
        )
    if source == "onnx":
        return Subject(message.label, artifact_from(message.onnx, f"{field}.onnx"))
    return Subject(message.label, prototype_from(message.prototype, f"{field}.prototype"))


def subject_to(subject: Subject) -> evaluation_pb2.Subject:
    """Write a subject."""
    if isinstance(subject.source, Artifact):
        return evaluation_pb2.Subject(label=subject.label, onnx=artifact_to(subject.source))
    return evaluation_pb2.Subject(label=subject.label, prototype=prototype_to(subject.source))


def split_from(number: ingest_pb2.Split.ValueType) -> Split | None:
    """Read a split; None for unspecified or unknown ones."""
    return _SPLITS.get(number)


def clip_result_from(message: evaluation_pb2.ClipResult) -> ClipResult:
    """Read what a worker or the database says of a clip.

    Raises:
        InvalidArgumentError: a picture's reference is malformed.
    """
    return ClipResult(
        message.clip,
        message.display_name,
        _STATES.get(message.state, State.FAILED),
        tuple(_subject_result_from(subject) for subject in message.subjects),
        tuple(
            Picture(picture.kind, picture.frame, artifact_from(picture.png, "pictures.png"))
            for picture in message.pictures
        ),
        _failure_from(message) if message.HasField("failure") else None,
    )


def clip_result_to(result: ClipResult) -> evaluation_pb2.ClipResult:
    """Write how a clip was judged."""
    message = evaluation_pb2.ClipResult(
        clip=result.clip,
        display_name=result.display_name,
        state=_STATE_NUMBERS[result.state],
        subjects=[_subject_result_to(subject) for subject in result.subjects],
        pictures=[
            evaluation_pb2.Picture(kind=p.kind, frame=p.frame, png=artifact_to(p.png))
            for p in result.pictures
        ],
    )
    if result.failure is not None:
        message.failure.CopyFrom(_failure_to(result.failure))
    return message


def evaluation_to(evaluation: Evaluation) -> evaluation_pb2.Evaluation:
    """Write an evaluation. Registration and revision are not part of the message."""
    message = evaluation_pb2.Evaluation(
        name=evaluation.name,
        dataset=evaluation.dataset,
        split=_SPLIT_NUMBERS[evaluation.split],
        subjects=[subject_to(subject) for subject in evaluation.subjects],
        sensor=sensor_to(evaluation.sensor),
        seed=evaluation.seed,
        frames_per_clip=evaluation.frames_per_clip,
        search=evaluation.search,
        trial=evaluation.trial,
        state=_STATE_NUMBERS[evaluation.state],
        clips=[clip_result_to(clip) for clip in evaluation.clips],
        totals=[_subject_result_to(total) for total in evaluation.totals],
        create_time=_time_to(evaluation.create_time),
    )
    if evaluation.failure is not None:
        message.failure.CopyFrom(_failure_to(evaluation.failure))
    if evaluation.end_time is not None:
        message.end_time.CopyFrom(_time_to(evaluation.end_time))
    return message


def evaluation_from(message: evaluation_pb2.Evaluation) -> Evaluation:
    """Read back what :func:`evaluation_to` wrote; for the database, not for requests."""
    return Evaluation(
        name=message.name,
        dataset=message.dataset,
        split=_SPLITS[message.split],
        subjects=tuple(subject_from(subject, "subjects") for subject in message.subjects),
        sensor=sensor_from(message.sensor, "sensor"),
        seed=message.seed,
        frames_per_clip=message.frames_per_clip,
        search=message.search,
        trial=message.trial,
        state=_STATES[message.state],
        failure=_failure_from(message) if message.HasField("failure") else None,
        clips=tuple(clip_result_from(clip) for clip in message.clips),
        totals=tuple(_subject_result_from(total) for total in message.totals),
        create_time=message.create_time.ToDatetime(UTC),
        end_time=message.end_time.ToDatetime(UTC) if message.HasField("end_time") else None,
    )


def _subject_result_from(message: evaluation_pb2.SubjectResult) -> SubjectResult:
    cost = message.cost
    return SubjectResult(
        message.label,
        _quality_from(message.quality),
        Cost(
            cost.macs_per_pixel if cost.HasField("macs_per_pixel") else None,
            cost.parameters,
            cost.size_bytes,
            cost.seconds_per_megapixel,
        ),
        tuple(FrameResult(frame.frame, _quality_from(frame.quality)) for frame in message.frames),
    )


def _subject_result_to(result: SubjectResult) -> evaluation_pb2.SubjectResult:
    return evaluation_pb2.SubjectResult(
        label=result.label,
        quality=_quality_to(result.quality),
        cost=common_pb2.Cost(
            macs_per_pixel=result.cost.macs_per_pixel,
            parameters=result.cost.parameters,
            size_bytes=result.cost.size_bytes,
            seconds_per_megapixel=result.cost.seconds_per_megapixel,
        ),
        frames=[
            evaluation_pb2.FrameResult(frame=frame.frame, quality=_quality_to(frame.quality))
            for frame in result.frames
        ],
    )


def _quality_from(message: common_pb2.Quality) -> Quality:
    return Quality(message.psnr_db, message.ssim)


def _quality_to(quality: Quality) -> common_pb2.Quality:
    return common_pb2.Quality(psnr_db=quality.psnr_db, ssim=quality.ssim)


def _failure_from(message: evaluation_pb2.ClipResult | evaluation_pb2.Evaluation) -> Failure:
    return Failure(message.failure.reason, message.failure.message)


def _failure_to(failure: Failure) -> common_pb2.Failure:
    return common_pb2.Failure(reason=failure.reason, message=failure.message)


def _time_to(time: datetime) -> Timestamp:
    message = Timestamp()
    message.FromDatetime(time)
    return message

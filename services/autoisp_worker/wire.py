"""Between the protos on the bus and the worker's own words."""

from __future__ import annotations

from datetime import datetime

from autoisp.common.v1 import common_pb2
from autoisp.evaluation.v1 import evaluation_pb2
from autoisp.events.v1 import commands_pb2, events_pb2
from autoisp.ingest.v1 import ingest_pb2
from autoisp.prototype.v1 import prototype_pb2
from autoisp.search.v1 import search_pb2
from autoisp_core import sensor as sensors
from autoisp_core.artifact import Artifact
from autoisp_core.errors import InvalidArgumentError
from autoisp_core.quality import metrics_named
from autoisp_core.sensor import Noise, SensorProfile
from google.protobuf.message import DecodeError
from google.protobuf.timestamp_pb2 import Timestamp

from autoisp_worker import domain, domain_evaluation
from autoisp_worker.wire_training import training

ALWAYS = ("psnr", "ssim")
"""Metrics of every evaluation."""

_SPLITS = {
    ingest_pb2.SPLIT_TRAIN: domain.Split.TRAIN,
    ingest_pb2.SPLIT_VALIDATION: domain.Split.VALIDATION,
    ingest_pb2.SPLIT_TEST: domain.Split.TEST,
}


def profile_job(message: commands_pb2.ProfilePrototype) -> domain.ProfileJob:
    """Decode a command.

    Raises:
        InvalidArgumentError: the sensor, the prototype or an artifact makes no sense.
    """
    return domain.ProfileJob(
        search=message.search,
        prototype=_prototype(message.prototype, "prototype"),
        manifest=artifact_in(message.manifest, "manifest"),
        sensor=sensor_in(message.sensor),
        seed=message.seed,
        validation_frames_per_clip=message.validation_frames_per_clip,
        training=training(message.training),
        lesson_frames=max(1, message.lesson_frames),
        lesson_seconds=message.lesson_seconds,
        lesson_unroll=message.lesson_unroll,
    )


def trial_job(message: commands_pb2.RunTrial) -> domain.TrialJob:
    """Decode a command."""
    fidelity = message.fidelity
    chosen = fidelity.WhichOneof("fidelity")
    if chosen is None or getattr(fidelity, chosen) <= 0:
        raise InvalidArgumentError(
            "fidelity", "the trial says not how long to train; set steps or seconds above 0"
        )
    return domain.TrialJob(
        trial=message.trial,
        spec=message.spec,
        manifest=artifact_in(message.manifest, "manifest"),
        sensor=sensor_in(message.sensor),
        fidelity=domain.Fidelity(
            steps=fidelity.steps if chosen == "steps" else None,
            seconds=fidelity.seconds if chosen == "seconds" else None,
        ),
        seed=message.seed,
        validation_seed=message.validation_seed,
        validation_frames_per_clip=message.validation_frames_per_clip,
        macs_per_pixel_limit=(
            message.macs_per_pixel_limit if message.HasField("macs_per_pixel_limit") else None
        ),
        seconds_per_megapixel_limit=(
            message.seconds_per_megapixel_limit if message.HasField("seconds_per_megapixel_limit") else None
        ),
        initial_checkpoint=(
            artifact_in(message.initial_checkpoint, "initial_checkpoint")
            if message.HasField("initial_checkpoint")
            else None
        ),
        training=training(message.training),
        lessons=artifact_in(message.lessons, "lessons") if message.HasField("lessons") else None,
        inheritance=(
            domain.Inheritance(
                message.inheritance.spec,
                artifact_in(message.inheritance.checkpoint, "inheritance.checkpoint"),
            )
            if message.HasField("inheritance")
            else None
        ),
    )


def evaluation_job(message: commands_pb2.RunEvaluation) -> domain_evaluation.EvaluationJob:
    """Decode a command.

    Raises:
        InvalidArgumentError: nothing is to be judged, two subjects have one label, or a subject, the sensor
            or a metric makes no sense.
    """
    labels = [subject.label for subject in message.subjects]
    if not labels or len(set(labels)) < len(labels):
        raise InvalidArgumentError(
            "subjects", f"the subjects are labelled {labels}; give at least one, and each its own label"
        )
    return domain_evaluation.EvaluationJob(
        evaluation=message.evaluation,
        clip=_clip_range(message.entry),
        subjects=tuple(_subject(subject) for subject in message.subjects),
        sensor=sensor_in(message.sensor),
        seed=message.seed,
        frames_per_clip=message.frames_per_clip,
        metrics=tuple(metric.name for metric in metrics_named([*ALWAYS, *message.metrics])),
    )


def manifest(data: bytes) -> tuple[domain.ClipRange, ...]:
    """Decode a dataset's manifest into its clips.

    Raises:
        InvalidArgumentError: the bytes are no manifest.
    """
    message = ingest_pb2.DatasetManifest()
    try:
        message.ParseFromString(data)
    except DecodeError as error:
        raise InvalidArgumentError(
            "manifest", f"the dataset's manifest can't be decoded: {error}; create the dataset again"
        ) from error
    return tuple(_clip_range(entry) for entry in message.entries)


def profiled(search: str, outcome: domain.PrototypeProfile | domain.Failure) -> bytes:
    """Encode ``prototype.profiled``."""
    event = events_pb2.PrototypeProfiled(search=search)
    if isinstance(outcome, domain.Failure):
        event.failure.CopyFrom(failure_out(outcome))
    else:
        event.profile.CopyFrom(
            prototype_pb2.PrototypeProfile(
                cost=cost_out(outcome.cost),
                quality=quality_out(outcome.quality),
                frames=outcome.frames,
                inputs=outcome.inputs,
                lessons=_lessons_out(outcome.lessons) if outcome.lessons else None,
            )
        )
    return event.SerializeToString(deterministic=True)


def trial_reported(trial: str, worker: str, progress: domain.TrialProgress) -> bytes:
    """Encode ``trial.reported``."""
    return events_pb2.TrialReported(
        trial=trial, worker=worker, progress=progress.fraction, steps=progress.steps, loss=progress.loss
    ).SerializeToString(deterministic=True)


def trial_completed(result: domain.TrialResult) -> bytes:
    """Encode ``trial.completed``."""
    trial = search_pb2.Trial(
        name=result.trial,
        state=search_pb2.TrialState.Value(f"TRIAL_STATE_{result.state.value}"),
        cost=cost_out(result.cost) if result.cost else None,
        quality=quality_out(result.quality) if result.quality else None,
        failure=failure_out(result.failure) if result.failure else None,
        onnx=artifact_out(result.onnx) if result.onnx else None,
        checkpoint=artifact_out(result.checkpoint) if result.checkpoint else None,
        progress=1.0 if result.state is domain.TrialState.SUCCEEDED else 0.0,
        steps=result.steps,
        train_seconds=result.train_seconds,
        worker=result.worker,
        start_time=_timestamp(result.start_time),
        end_time=_timestamp(result.end_time),
    )
    return events_pb2.TrialCompleted(trial=trial).SerializeToString(deterministic=True)


def artifact_in(message: common_pb2.Artifact, where: str) -> Artifact:
    """Decode a reference to bytes in the store.

    Raises:
        InvalidArgumentError: field ``where``, it is none.
    """
    try:
        return Artifact(message.uri, message.sha256, message.size_bytes, message.media_type)
    except ValueError as error:
        raise InvalidArgumentError(where, f"{where} is no artifact: {error}") from error


def artifact_out(artifact: Artifact) -> common_pb2.Artifact:
    """Encode a reference to bytes in the store."""
    return common_pb2.Artifact(
        uri=artifact.uri,
        sha256=artifact.sha256,
        size_bytes=artifact.size_bytes,
        media_type=artifact.media_type,
    )


def sensor_in(message: common_pb2.Sensor) -> SensorProfile:
    """Decode a sensor; one that says nothing is a phone's.

    Raises:
        InvalidArgumentError: there is no such profile, or its TOML is wrong.
    """
    if message.WhichOneof("profile") == "toml":
        profile = SensorProfile.from_toml(message.toml)
    else:
        profile = sensors.builtin(message.builtin or "phone")
    if message.HasField("test_noise"):
        profile = profile.with_test_noise(Noise(message.test_noise.shot, message.test_noise.read))
    return profile.with_identity_ccm() if message.identity_ccm else profile


def _prototype(message: prototype_pb2.Prototype, where: str) -> domain.PrototypeSource:
    match message.WhichOneof("source"):
        case "builtin":
            return domain.PrototypeSource(builtin=message.builtin)
        case "onnx":
            return domain.PrototypeSource(onnx=artifact_in(message.onnx, f"{where}.onnx"))
        case _:
            raise InvalidArgumentError(where, f"{where} is empty; set builtin or onnx")


def _subject(message: evaluation_pb2.Subject) -> domain_evaluation.Subject:
    if message.WhichOneof("source") == "onnx":
        return domain_evaluation.Subject(message.label, model=artifact_in(message.onnx, "subjects.onnx"))
    if message.WhichOneof("source") == "model_version":
        raise InvalidArgumentError(
            "subjects.model_version",
            f"subject {message.label!r} is {message.model_version}, which workers can't look up; send its "
            "onnx instead",
        )
    return domain_evaluation.Subject(
        message.label, prototype=_prototype(message.prototype, "subjects.prototype")
    )


def _clip_range(entry: ingest_pb2.DatasetManifest.Entry) -> domain.ClipRange:
    clip = entry.clip
    return domain.ClipRange(
        clip=clip.name,
        display_name=clip.display_name,
        digest=clip.source_sha256,
        frames_uri=clip.frames_uri,
        first_frame=entry.first_frame,
        end_frame=entry.end_frame or clip.frame_count,
        split=_SPLITS.get(entry.split, domain.Split.TEST),
    )


def cost_out(cost: domain.Cost) -> common_pb2.Cost:
    """Encode a cost."""
    return common_pb2.Cost(
        macs_per_pixel=cost.macs_per_pixel,
        parameters=cost.parameters,
        size_bytes=cost.size_bytes,
        seconds_per_megapixel=cost.seconds_per_megapixel,
        bytes_per_pixel=cost.bytes_per_pixel,
        peak_activation_bytes_per_pixel=cost.peak_activation_bytes_per_pixel,
        state_bytes_per_pixel=cost.state_bytes_per_pixel,
    )


def quality_out(quality: domain.Quality) -> common_pb2.Quality:
    """Encode a quality."""
    return common_pb2.Quality(psnr_db=quality.psnr_db, ssim=quality.ssim)


def _lessons_out(lessons: domain.Lessons) -> prototype_pb2.Lessons:
    return prototype_pb2.Lessons(
        file=artifact_out(lessons.file), count=lessons.count, real=lessons.real, seconds=lessons.seconds
    )


def failure_out(failure: domain.Failure) -> common_pb2.Failure:
    """Encode a failure."""
    return common_pb2.Failure(reason=failure.reason, message=failure.message)


def _timestamp(moment: datetime) -> Timestamp:
    stamp = Timestamp()
    stamp.FromDatetime(moment)
    return stamp

"""What an evaluation measured, both ways; what comes from outside is checked in reading."""

from __future__ import annotations

from autoisp.common.v1 import common_pb2
from autoisp.evaluation.v1 import evaluation_pb2
from autoisp_core.quality.results import (
    ClipResult,
    Cost,
    DeviceEstimate,
    Estimate,
    Failure,
    FrameResult,
    Latency,
    MetricResult,
    Picture,
    Quality,
    State,
    SubjectResult,
    WorstFrame,
)

from autoisp_runtime.messages.artifacts import artifact_from, artifact_to

_MAX_CAUSE = 1_000
"""Characters that are kept of why a clip failed."""

STATES = {
    evaluation_pb2.EVALUATION_STATE_RUNNING: State.RUNNING,
    evaluation_pb2.EVALUATION_STATE_SUCCEEDED: State.SUCCEEDED,
    evaluation_pb2.EVALUATION_STATE_FAILED: State.FAILED,
    evaluation_pb2.EVALUATION_STATE_CANCELLED: State.CANCELLED,
}
STATE_NUMBERS = {state: number for number, state in STATES.items()}


def clip_result_from(message: evaluation_pb2.ClipResult) -> ClipResult:
    """Read what a worker or the database says of a clip.

    Raises:
        InvalidArgumentError: a picture's reference is malformed.
    """
    return ClipResult(
        message.clip,
        message.display_name,
        STATES.get(message.state, State.FAILED),
        tuple(subject_result_from(subject) for subject in message.subjects),
        tuple(_picture_from(picture) for picture in message.pictures),
        _cause_from(message.failure) if message.HasField("failure") else None,
        tuple(
            WorstFrame(
                worst.label,
                worst.metric,
                worst.frame,
                worst.value,
                tuple(_picture_from(picture) for picture in worst.pictures),
            )
            for worst in message.worst
        ),
        message.frames_done,
        message.frames_wanted,
    )


def clip_result_to(result: ClipResult) -> evaluation_pb2.ClipResult:
    """Write how a clip was judged."""
    return evaluation_pb2.ClipResult(
        clip=result.clip,
        display_name=result.display_name,
        state=STATE_NUMBERS[result.state],
        subjects=[subject_result_to(subject) for subject in result.subjects],
        pictures=[_picture_to(picture) for picture in result.pictures],
        failure=failure_to(result.failure) if result.failure else None,
        worst=[
            evaluation_pb2.WorstFrame(
                label=worst.label,
                metric=worst.metric,
                frame=worst.frame,
                value=worst.value,
                pictures=[_picture_to(picture) for picture in worst.pictures],
            )
            for worst in result.worst
        ],
        frames_done=result.frames_done,
        frames_wanted=result.frames_wanted,
    )


def subject_result_from(message: evaluation_pb2.SubjectResult) -> SubjectResult:
    """Read how a subject did."""
    latency = message.latency
    return SubjectResult(
        message.label,
        quality_from(message.quality),
        cost_from(message.cost),
        tuple(FrameResult(frame.frame, quality_from(frame.quality)) for frame in message.frames),
        tuple(
            MetricResult(
                metric.metric,
                estimate_from(metric.within) if metric.HasField("within") else None,
                estimate_from(metric.across) if metric.HasField("across") else None,
                tuple(metric.values),
            )
            for metric in message.metrics
        ),
        Latency(
            latency.p50,
            latency.p95,
            latency.p99,
            latency.frames,
            latency.threads,
            latency.provider,
            latency.peak_memory_bytes,
        )
        if message.HasField("latency")
        else None,
        tuple(
            DeviceEstimate(
                device.device,
                device.seconds_per_megapixel,
                device.bound,
                device.fits_4k30,
                device.frames_per_second_4k,
            )
            for device in message.devices
        ),
    )


def subject_result_to(result: SubjectResult) -> evaluation_pb2.SubjectResult:
    """Write how a subject did."""
    return evaluation_pb2.SubjectResult(
        label=result.label,
        quality=quality_to(result.quality),
        cost=cost_to(result.cost),
        frames=[
            evaluation_pb2.FrameResult(frame=frame.frame, quality=quality_to(frame.quality))
            for frame in result.frames
        ],
        metrics=[
            evaluation_pb2.MetricResult(
                metric=metric.metric,
                within=estimate_to(metric.within) if metric.within else None,
                across=estimate_to(metric.across) if metric.across else None,
                values=metric.values,
            )
            for metric in result.metrics
        ],
        latency=evaluation_pb2.Latency(**vars(result.latency)) if result.latency else None,
        devices=[evaluation_pb2.DeviceEstimate(**vars(device)) for device in result.devices],
    )


def estimate_from(message: evaluation_pb2.Estimate) -> Estimate:
    """Read a mean with its interval."""
    return Estimate(message.mean, message.low, message.high, message.frames, message.clips)


def estimate_to(estimate: Estimate) -> evaluation_pb2.Estimate:
    """Write a mean with its interval."""
    return evaluation_pb2.Estimate(**vars(estimate))


def failure_from(message: common_pb2.Failure) -> Failure:
    """Read why something failed."""
    return Failure(message.reason, message.message)


def failure_to(failure: Failure) -> common_pb2.Failure:
    """Write why something failed."""
    return common_pb2.Failure(reason=failure.reason, message=failure.message)


def _cause_from(message: common_pb2.Failure) -> Failure:
    # Of hundreds of clips at a time, in one message; and libraries can be talkative.
    return Failure(message.reason[:_MAX_CAUSE], message.message[:_MAX_CAUSE])


def _picture_from(message: evaluation_pb2.Picture) -> Picture:
    return Picture(message.kind, message.frame, artifact_from(message.png, "pictures.png"))


def _picture_to(picture: Picture) -> evaluation_pb2.Picture:
    return evaluation_pb2.Picture(kind=picture.kind, frame=picture.frame, png=artifact_to(picture.png))


def cost_from(message: common_pb2.Cost) -> Cost:
    """Read what running something costs."""
    return Cost(
        message.macs_per_pixel if message.HasField("macs_per_pixel") else None,
        message.parameters,
        message.size_bytes,
        message.seconds_per_megapixel,
        message.state_bytes_per_pixel,
        message.bytes_per_pixel,
        message.peak_activation_bytes_per_pixel,
    )


def cost_to(cost: Cost) -> common_pb2.Cost:
    """Write what running something costs."""
    return common_pb2.Cost(**vars(cost))


def quality_from(message: common_pb2.Quality) -> Quality:
    """Read the quality of pictures."""
    return Quality(message.psnr_db, message.ssim)


def quality_to(quality: Quality) -> common_pb2.Quality:
    """Write the quality of pictures."""
    return common_pb2.Quality(psnr_db=quality.psnr_db, ssim=quality.ssim)

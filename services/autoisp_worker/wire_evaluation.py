"""What comes of an evaluation's clips, as it goes on the bus."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from autoisp.evaluation.v1 import evaluation_pb2
from autoisp.events.v1 import events_pb2
from autoisp_runtime.jetstream.publisher import MAX_PAYLOAD_BYTES

from autoisp_worker import domain, domain_evaluation
from autoisp_worker.wire import artifact_out, cost_out, failure_out, quality_out


def clip_judged(evaluation: str, result: domain_evaluation.ClipResult) -> bytes:
    """Encode ``evaluation.clip_judged``."""
    state = "CANCELLED" if result.cancelled else "FAILED" if result.failure else "SUCCEEDED"
    message = evaluation_pb2.ClipResult(
        clip=result.clip,
        display_name=result.display_name,
        state=evaluation_pb2.EvaluationState.Value(f"EVALUATION_STATE_{state}"),
        subjects=[_subject(subject) for subject in result.subjects],
        pictures=_pictures(result.pictures),
        failure=failure_out(result.failure) if result.failure else None,
        worst=[
            evaluation_pb2.WorstFrame(
                label=worst.label,
                metric=worst.metric,
                frame=worst.frame,
                value=worst.value,
                pictures=_pictures(worst.pictures),
            )
            for worst in result.worst
        ],
    )
    return _fitting(events_pb2.EvaluationClipJudged(evaluation=evaluation, result=message)).SerializeToString(
        deterministic=True
    )


def _fitting(event: events_pb2.EvaluationClipJudged) -> events_pb2.EvaluationClipJudged:
    """The event itself, without pictures if it is too large with them, or as failed: what can't be published
    would leave its evaluation waiting for ever."""
    result = event.result
    if event.ByteSize() > MAX_PAYLOAD_BYTES:
        result.ClearField("worst")
    if event.ByteSize() > MAX_PAYLOAD_BYTES:
        result.ClearField("pictures")
    if event.ByteSize() > MAX_PAYLOAD_BYTES:
        size = event.ByteSize()
        result.ClearField("subjects")
        result.state = evaluation_pb2.EVALUATION_STATE_FAILED
        result.failure.reason = "RESULT_TOO_LARGE"
        result.failure.message = (
            f"the clip's result has {size} bytes, more than the {MAX_PAYLOAD_BYTES} that the bus takes; "
            "judge fewer frames per clip, subjects or metrics"
        )
    return event


def frames_judged(evaluation: str, clip: str, news: domain_evaluation.FramesJudged) -> bytes:
    """Encode ``evaluation.frames_judged``."""
    return events_pb2.EvaluationFramesJudged(
        evaluation=evaluation,
        clip=clip,
        subjects=[
            evaluation_pb2.SubjectResult(
                label=label, frames=_frames(frames), metrics=_metrics(news.metrics, frames)
            )
            for label, frames in news.frames.items()
        ],
        frames_done=news.done,
        frames_wanted=news.wanted,
    ).SerializeToString(deterministic=True)


def _subject(subject: domain_evaluation.SubjectResult) -> evaluation_pb2.SubjectResult:
    latency = subject.latency
    return evaluation_pb2.SubjectResult(
        label=subject.label,
        quality=quality_out(subject.quality),
        cost=cost_out(subject.cost),
        frames=_frames(subject.frames),
        metrics=_metrics(subject.metrics, subject.frames),
        latency=evaluation_pb2.Latency(
            p50=latency.p50,
            p95=latency.p95,
            p99=latency.p99,
            frames=latency.frames,
            threads=latency.threads,
            provider=latency.provider,
            peak_memory_bytes=latency.peak_memory_bytes,
        ),
        devices=[
            evaluation_pb2.DeviceEstimate(
                device=device.device,
                seconds_per_megapixel=device.seconds_per_megapixel,
                bound=device.bound,
                fits_4k30=device.fits_4k30,
                frames_per_second_4k=device.frames_per_second_4k,
            )
            for device in subject.devices
        ],
    )


def _frames(frames: Iterable[domain_evaluation.FrameValues]) -> list[evaluation_pb2.FrameResult]:
    return [
        evaluation_pb2.FrameResult(
            frame=frame.frame,
            quality=quality_out(domain.Quality(frame.values["psnr"], frame.values["ssim"])),
        )
        for frame in frames
    ]


def _metrics(
    names: Sequence[str], frames: Sequence[domain_evaluation.FrameValues]
) -> list[evaluation_pb2.MetricResult]:
    return [
        evaluation_pb2.MetricResult(
            metric=name, values=[frame.values.get(name, math.nan) for frame in frames]
        )
        for name in names
    ]


def _pictures(pictures: Iterable[domain_evaluation.Picture]) -> list[evaluation_pb2.Picture]:
    return [
        evaluation_pb2.Picture(kind=picture.kind, frame=picture.frame, png=artifact_out(picture.png))
        for picture in pictures
    ]

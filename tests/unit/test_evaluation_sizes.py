"""Results as large as they may be fit into their messages."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from autoisp.evaluation.v1 import evaluation_pb2
from autoisp.events.v1 import events_pb2
from autoisp_core.errors import InvalidArgumentError
from autoisp_core.quality import METRICS, Scope, Verdict
from autoisp_evaluation import wire
from autoisp_evaluation.bus import encode
from autoisp_evaluation.domain import (
    ClipResult,
    Comparison,
    Cost,
    DeviceEstimate,
    Estimate,
    Evaluation,
    FrameResult,
    Latency,
    MetricResult,
    Picture,
    Quality,
    State,
    Subject,
    SubjectResult,
    WorstFrame,
)
from autoisp_evaluation.usecases.ports import EvaluationEnded
from autoisp_evaluation.usecases.sizes import Size
from evaluation_fakes import artifact, evaluation

BUS_BYTES, GRPC_BYTES = 900_000, 4 << 20
ESTIMATE = Estimate(30.123456789, -math.inf, 31.23456789, 100_000, 1_000)


def label(number: int) -> str:
    return f"subject-{number}-of-many"


def full(size: Size, frames: int) -> Evaluation:
    """An evaluation with everything that it can hold."""
    names = list(METRICS)[: size.metrics]
    labels = [label(number) for number in range(size.subjects)]

    def picture(kind: str) -> Picture:
        return Picture(kind, 100_000, artifact(9, "image/png"))

    def clip(number: int) -> ClipResult:
        subjects = tuple(
            SubjectResult(
                name,
                Quality(30.123, 0.9123),
                Cost(1234.5, 100_000, 400_000, 0.01234, 1.5, 2.5, 3.5),
                tuple(FrameResult(100_000 + frame, Quality(30.123, 0.9123)) for frame in range(frames)),
                tuple(MetricResult(m, ESTIMATE, None, (30.1,) * frames) for m in names),
                Latency(0.1, 0.2, 0.3, 100_000, 1, "CPUExecutionProvider", 1 << 33),
                tuple(DeviceEstimate(f"phone-npu-{n}", 0.01, "arithmetic", True, 31.5) for n in range(3)),
            )
            for name in labels
        )
        pictures = tuple(picture(kind) for kind in ("noisy", "truth", *labels))
        worst = tuple(
            WorstFrame(labels[0], "psnr", 100_000, 20.1, tuple(map(picture, ("truth", *labels))))
            for _ in range(3 * len(labels))
        )
        return ClipResult(
            f"clips/a-clip-of-this-dataset-{number:06d}",
            f"A shot of the night street, take {number:06d}.mp4",
            State.SUCCEEDED,
            subjects,
            pictures,
            None,
            worst,
            frames * size.subjects,
            frames * size.subjects,
        )

    clips = tuple(clip(number) for number in range(len(size.frame_counts)))
    comparisons = tuple(
        Comparison(
            metric,
            name,
            labels[0],
            ESTIMATE,
            0.1,
            Verdict.UNDECIDED,
            Scope.THESE_CLIPS,
            3,
            {c.clip: ESTIMATE for c in clips},
        )
        for metric in names
        for name in labels[1:]
    )
    totals = tuple(
        SubjectResult(
            name, Quality(30.1, 0.9), Cost(1.5), (), tuple(MetricResult(m, ESTIMATE, ESTIMATE) for m in names)
        )
        for name in labels
    )
    return evaluation(
        state=State.SUCCEEDED,
        subjects=tuple(Subject(name, artifact(1)) for name in labels),
        metrics=tuple(names),
        clips=clips,
        totals=totals,
        comparisons=comparisons,
    )


@pytest.mark.parametrize(
    ("clips", "subjects", "metrics"),
    [
        (1, 1, 2),
        (1, 2, 16),
        (8, 2, 2),
        (8, 2, 16),
        (1, 16, 16),
        (20, 16, 2),
        (14, 16, 15),
        (400, 2, 2),
        (250, 2, 15),
    ],
)
def test_the_largest_results_fit_into_their_messages(clips: int, subjects: int, metrics: int) -> None:
    size = Size([100_000] * clips, subjects, min(metrics, len(METRICS)))
    frames = size.largest_frames()
    assert frames >= 1
    done = full(size, frames)
    assert wire.clip_result_to(done.clips[0]).ByteSize() < BUS_BYTES
    whole = wire.evaluation_to(done).ByteSize()
    assert whole < GRPC_BYTES
    assert len(encode(EvaluationEnded(done)).payload) < BUS_BYTES
    # Not far below either limit: frames are not refused without need.
    if frames > 100:
        assert whole > 0.6 * GRPC_BYTES or wire.clip_result_to(done.clips[0]).ByteSize() > 0.6 * BUS_BYTES


@pytest.mark.parametrize(("clips", "pictures"), [(850, True), (2_500, False)])
def test_what_does_not_fit_loses_what_is_missed_least(clips: int, pictures: bool) -> None:
    # As a search's own evaluation may be: it is not refused, however many clips there are.
    few = full(Size([1], 2, 3), 1)
    many = replace(few, clips=tuple(replace(few.clips[0], clip=f"clips/{n:030}") for n in range(clips)))
    sent = wire.evaluation_to(many)
    assert sent.ByteSize() > GRPC_BYTES
    assert wire.lightened(sent, wire.GRPC_BYTES) is sent
    event = encode(EvaluationEnded(many)).payload
    assert len(event) < BUS_BYTES
    for message in (sent, events_pb2.EvaluationCompleted.FromString(event).evaluation):
        assert message.ByteSize() < GRPC_BYTES
        assert [clip.state for clip in message.clips] == [evaluation_pb2.EVALUATION_STATE_SUCCEEDED] * clips
        assert [total.label for total in message.totals] == [label(0), label(1)]
        assert [comparison.metric for comparison in message.comparisons] == list(METRICS)[:3]
    assert not any(worst.pictures for clip in sent.clips for worst in clip.worst)
    assert all(clip.pictures for clip in sent.clips) is pictures
    assert all(clip.subjects for clip in sent.clips)
    # Of what fits, nothing is lost.
    assert wire.lightened(wire.evaluation_to(few), wire.GRPC_BYTES) == wire.evaluation_to(few)


def test_the_largest_number_is_the_largest() -> None:
    size = Size([10, 90_000, 70], 3, 5)
    largest = size.largest_frames()
    assert size.fits(largest)
    assert not size.fits(largest + 1)
    size.require(largest)
    with pytest.raises(InvalidArgumentError, match=f"frames_per_clip of {largest} or less"):
        size.require(0)
    assert Size([10, 20], 2, 2).fits(0)
    assert Size([], 2, 2).fits(0)

"""Clips as the worker judges them, with real graphs: values, evidence, and subjects that misbehave."""

from __future__ import annotations

import math
import os
import signal
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np
import pytest
from autoisp.evaluation.v1 import evaluation_pb2
from autoisp.events.v1 import events_pb2
from autoisp_core.quality import METRICS
from autoisp_core.spec import cost
from autoisp_core.spec.device import DEVICES
from autoisp_isp.evaluation import evaluate, spread_indices
from autoisp_isp.export import export_onnx
from autoisp_isp.metrics import FrameMetrics
from autoisp_isp.network import build
from autoisp_isp.prototype import OnnxPrototype
from autoisp_isp.runtime_session import load_session
from autoisp_isp.synthesis import RawClip
from autoisp_runtime.clip_frames import ClipFrames
from autoisp_testing.graphs import allocating, endless, root_of
from autoisp_worker import wire, wire_evaluation
from autoisp_worker.compute import StopReason, StopRequest
from autoisp_worker.config import WorkerConfig
from autoisp_worker.domain_evaluation import ClipResult, FramesJudged
from autoisp_worker.jobs import LocalJobs
from autoisp_worker.jobs.faults import StoppedError
from autoisp_worker.tools import Tools
from worker_jobs import CLASSICAL, RECURRENT, SPEC, Footage, reference

_ALL = [name for name, metric in METRICS.items() if metric.smallest <= 64 and not metric.at_end]


@pytest.fixture
def footage(tmp_path: Path) -> Footage:
    return Footage.make(tmp_path)


class Judge:
    """A worker's jobs, and what came of the frames in between."""

    def __init__(self, footage: Footage, **config: object) -> None:
        self.footage = footage
        self.jobs = LocalJobs(Tools.of(WorkerConfig(**config), footage.store))  # type: ignore[arg-type]
        self.stop = StopRequest()
        self.take: Callable[[], FramesJudged | None] = lambda: None
        self.on_begin: Callable[[], None] = lambda: None

    def __call__(self, *subjects: evaluation_pb2.Subject, **changes: object) -> ClipResult:
        job = wire.evaluation_job(self.footage.evaluation(*subjects, **changes))
        return self.jobs.judge(job, self.stop, self._on_frames)

    def _on_frames(self, take: Callable[[], FramesJudged | None]) -> None:
        self.take = take
        self.on_begin()


def subject(footage: Footage, model: bytes, label: str = "model") -> evaluation_pb2.Subject:
    return evaluation_pb2.Subject(label=label, onnx=reference(footage.store.put_bytes(model)))


def network(recurrent: bool = False) -> bytes:
    return export_onnx(build(RECURRENT if recurrent else SPEC))


def clip(footage: Footage) -> RawClip:
    job = wire.evaluation_job(footage.evaluation())
    frames = ClipFrames.open(footage.store, job.clip.frames_uri).rgb(0, job.clip.end_frame)
    return RawClip(frames, job.sensor, job.clip.digest, job.seed)


@pytest.mark.parametrize("recurrent", [False, True])
def test_every_frame_is_one_stream_as_deployed(footage: Footage, recurrent: bool) -> None:
    model, raw = network(recurrent), clip(footage)
    (noise,) = wire.evaluation_job(footage.evaluation()).sensor.evaluation_noises()
    loaded = load_session(model)
    stream = loaded.start()

    result = Judge(footage)(subject(footage, model), frames_per_clip=0, metrics=_ALL)

    assert result.failure is None
    (judged,) = result.subjects
    assert judged.metrics == tuple(_ALL)
    with FrameMetrics(_ALL) as metrics:
        for index, frame in enumerate(judged.frames):
            sample = raw.sample(index, loaded.contract.frames, noise)
            arguments = (sample.raw, sample.gains, sample.ccm, sample.noise)
            picture = stream.run(*(value.numpy() for value in arguments))
            assert frame.frame == index
            assert frame.values == metrics.measure(picture, sample.truth.numpy())
    assert "warping_error" in judged.frames[1].values
    assert "warping_error" not in judged.frames[0].values


def test_a_metric_that_needs_larger_pictures_is_left_out(footage: Footage) -> None:
    result = Judge(footage)(subject(footage, network()), metrics=("psnr", "ms_ssim"))

    assert result.failure is None
    (judged,) = result.subjects
    assert judged.frames
    assert all("psnr" in frame.values and "ms_ssim" not in frame.values for frame in judged.frames)


def test_spread_frames_are_judged_as_everywhere_else(footage: Footage) -> None:
    model, job = network(recurrent=True), wire.evaluation_job(footage.evaluation())
    frames = ClipFrames.open(footage.store, job.clip.frames_uri).rgb(0, 6)
    expected = evaluate(
        OnnxPrototype(load_session(model), None),
        frames,
        job.sensor,
        job.sensor.evaluation_noises(),
        job.seed,
        spread_indices(6, 3),
        job.clip.digest,
    )

    result = Judge(footage)(subject(footage, model), metrics=["flicker"])

    (judged,) = result.subjects
    assert [(frame.frame, frame.values) for frame in judged.frames] == [
        (one.index, {"psnr": one.psnr, "ssim": one.ssim}) for one in expected
    ]
    sent = events_pb2.EvaluationClipJudged.FromString(wire_evaluation.clip_judged("evaluations/e", result))
    values = {metric.metric: list(metric.values) for metric in sent.result.subjects[0].metrics}
    assert list(values) == ["psnr", "ssim", "flicker"]
    assert all(math.isnan(value) for value in values["flicker"])


def test_subjects_side_by_side_bring_all_the_evidence(footage: Footage) -> None:
    prototype = evaluation_pb2.Subject(label="prototype", prototype=CLASSICAL)

    result = Judge(footage)(subject(footage, network()), prototype, frames_per_clip=0)

    model, classical = result.subjects
    counted = cost(SPEC)
    assert model.cost.macs_per_pixel == counted.macs_per_pixel
    assert model.cost.bytes_per_pixel == counted.bytes_per_pixel
    assert 0 < model.cost.peak_activation_bytes_per_pixel < counted.bytes_per_pixel
    assert model.cost.seconds_per_megapixel > 0
    assert 0 < model.latency.p50 <= model.latency.p95 <= model.latency.p99
    assert (model.latency.frames, model.latency.threads) == (6, 1)
    assert model.latency.provider == "CPUExecutionProvider"
    assert model.latency.peak_memory_bytes > 0
    assert [device.device for device in model.devices] == list(DEVICES)
    assert all(device.fits_4k30 == (device.frames_per_second_4k >= 30) for device in model.devices)
    assert (classical.devices, classical.latency.provider) == ((), "")
    assert classical.cost.macs_per_pixel is None
    sent = events_pb2.EvaluationClipJudged.FromString(wire_evaluation.clip_judged("evaluations/e", result))
    assert sent.result.subjects[0].devices[0].device == next(iter(DEVICES))
    assert sent.result.subjects[0].latency.p99 == model.latency.p99
    assert sent.result.subjects[0].cost.peak_activation_bytes_per_pixel > 0


def test_the_worst_frames_are_shown_where_they_are_worst(tmp_path: Path) -> None:
    footage = Footage.make(tmp_path, frames=24, height=160, width=320)

    result = Judge(footage)(
        subject(footage, network()), subject(footage, root_of(1.0), "plain"), frames_per_clip=0
    )

    for judged in result.subjects:
        mine = [worst for worst in result.worst if worst.label == judged.label]
        psnr = {frame.frame: frame.values["psnr"] for frame in judged.frames}
        assert len(mine) == 3  # of each ten frames at most one
        assert [worst.value for worst in mine] == sorted(worst.value for worst in mine)
        assert mine[0].value == min(psnr.values())
        assert all(psnr[worst.frame] == worst.value for worst in mine)
        for worst in mine:
            assert {picture.kind for picture in worst.pictures} == {"truth", "model", "plain"}
            for picture in worst.pictures:
                png = np.frombuffer(footage.store.get_bytes(picture.png), np.uint8)
                pixels = cv2.imdecode(png, cv2.IMREAD_COLOR)
                assert pixels is not None
                assert pixels.shape == (144, 144, 3)


def test_frames_are_told_as_they_come(footage: Footage) -> None:
    judge = Judge(footage)

    result = judge(subject(footage, network()), subject(footage, network(), "again"), frames_per_clip=0)
    news = judge.take()

    assert news is not None
    assert (news.done, news.wanted) == (12, 12)
    assert news.frames["model"] == result.subjects[0].frames
    assert judge.take() is None
    sent = events_pb2.EvaluationFramesJudged.FromString(
        wire_evaluation.frames_judged("evaluations/e", "clips/c", news)
    )
    assert [frame.frame for frame in sent.subjects[1].frames] == [0, 1, 2, 3, 4, 5]
    assert [metric.metric for metric in sent.subjects[1].metrics] == ["psnr", "ssim"]


@pytest.mark.parametrize(
    ("model", "config", "reason", "text"),
    [
        (endless(), {"frame_limit_seconds": 0.5}, "MODEL_TIMED_OUT", "within 0.5 s"),
        (
            allocating(4 << 30),
            {"network_memory_bytes": 256 << 20},
            "MODEL_OUT_OF_MEMORY",
            "more memory than it may have",
        ),
        (root_of(math.nan), {}, "OUTPUT_NOT_FINITE", "frame 0"),
        (root_of(math.inf), {}, "OUTPUT_NOT_FINITE", "frame 0"),
        (b"no ONNX", {}, "INVALID_ARGUMENT", "not a valid ONNX model"),
    ],
    ids=["hangs", "memory", "nan", "infinite", "garbage"],
)
def test_a_subject_that_misbehaves_fails_the_clip_under_its_label(
    footage: Footage, model: bytes, config: dict[str, object], reason: str, text: str
) -> None:
    judge = Judge(footage, **config)
    good = subject(footage, root_of(1.0), "good")

    result = judge(good, subject(footage, model, "bad"), frames_per_clip=0)

    assert result.failure is not None
    assert result.failure.reason == reason
    assert result.failure.message.startswith("bad")
    assert text in result.failure.message
    assert not result.subjects
    assert judge(good, frames_per_clip=0).failure is None, "the worker goes on"
    assert not children()


def test_a_network_whose_process_dies_fails_the_clip(footage: Footage) -> None:
    judge = Judge(footage)
    judge.on_begin = kill_children

    result = judge(subject(footage, network()), frames_per_clip=0)

    assert result.failure is not None
    assert result.failure.reason == "MODEL_CRASHED"
    assert "SIGSEGV" in result.failure.message


def test_a_graph_that_can_t_be_counted_is_judged_all_the_same(footage: Footage) -> None:
    result = Judge(footage)(subject(footage, allocating(1 << 20)), frames_per_clip=0)

    assert result.failure is None
    (judged,) = result.subjects
    assert (judged.cost.macs_per_pixel, judged.devices) == (None, ())
    assert judged.cost.size_bytes > 0


@pytest.mark.parametrize(("metric", "text"), [("ms_ssim", "176"), ("vmaf", "")])
def test_a_metric_that_can_t_be_had_says_why(footage: Footage, metric: str, text: str) -> None:
    result = Judge(footage)(subject(footage, root_of(1.0)), frames_per_clip=0, metrics=[metric])

    if metric == "vmaf" and result.failure is None:
        assert all(0 <= frame.values["vmaf"] <= 100 for frame in result.subjects[0].frames)
        return
    assert result.failure is not None
    assert text in result.failure.message
    assert result.failure.reason in ("INVALID_ARGUMENT", "NO_VMAF")


@pytest.mark.parametrize("when", ["queued", "running"])
def test_a_cancelled_clip_is_dropped(footage: Footage, when: str) -> None:
    judge = Judge(footage)

    def cancel() -> None:
        judge.stop.request(StopReason.CANCELLED)

    judge.on_begin = cancel
    if when == "queued":
        cancel()

    result = judge(subject(footage, endless()), frames_per_clip=0)

    assert result.cancelled
    assert not result.subjects
    sent = events_pb2.EvaluationClipJudged.FromString(wire_evaluation.clip_judged("evaluations/e", result))
    assert sent.result.state == evaluation_pb2.EVALUATION_STATE_CANCELLED
    assert not children()


def test_a_clip_that_takes_too_long_fails_and_a_stopping_worker_hands_it_back(footage: Footage) -> None:
    judge = Judge(footage)
    judge.on_begin = lambda: judge.stop.request(StopReason.TIME_LIMIT)
    result = judge(subject(footage, endless()), frames_per_clip=0)
    assert result.failure is not None
    assert result.failure.reason == "TIME_LIMIT"
    assert "AUTOISP_CLIP_LIMIT_SECONDS" in result.failure.message

    judge.stop = StopRequest()
    judge.on_begin = lambda: judge.stop.request(StopReason.SHUTDOWN)
    with pytest.raises(StoppedError):
        judge(subject(footage, endless()), frames_per_clip=0)
    assert not children()


def kill_children() -> None:
    for pid in children():
        os.kill(pid, signal.SIGSEGV)


def children() -> list[int]:
    """Processes of networks that this one has started."""
    found = []
    for task in Path("/proc/self/task").iterdir():
        for pid in (task / "children").read_text().split():
            if b"autoisp_isp.isolated.child" in Path(f"/proc/{pid}/cmdline").read_bytes():
                found.append(int(pid))
    return found

"""Evaluations made up of real messages, for tests of what is shown of them."""

import hashlib
import math

from autoisp.common.v1 import common_pb2
from autoisp.evaluation.v1 import evaluation_pb2
from autoisp.ingest.v1 import ingest_pb2
from autoisp_cli.report.evaluation import Judged
from autoisp_core.quality import METRICS, compare, summarize
from report_outcome import png

METRIC_NAMES = ("psnr", "ssim", "flicker", "delta_e2000")
BETTER, SAME, WORSE, UNDECIDED = (
    evaluation_pb2.Comparison.Verdict.Value(f"VERDICT_{word}")
    for word in ("BETTER", "SAME", "WORSE", "UNDECIDED")
)
_LEVELS = {"psnr": 28.4, "ssim": 0.81, "flicker": 2.3, "delta_e2000": 3.1}
_SPREAD = {"psnr": 0.4, "ssim": 0.012, "flicker": 0.35, "delta_e2000": 0.2}


def make_judged(
    *,
    clips=("carphone", "bikes", "kitchen"),
    labels=("prototype", "model"),
    metrics=METRIC_NAMES,
    frames=60,
    failed=(),
    gate=True,
    pictures=True,
):
    """An evaluation that ended, with figures as the product's own statistics have them.

    Args:
        clips: display names.
        failed: those of them that could not be judged.
        gate: None without one, else whether it passed.
    """
    evaluation = evaluation_pb2.Evaluation(
        name="evaluations/eval-0a1b2c3d4e5f",
        dataset="datasets/data-0123456789ab",
        split=ingest_pb2.SPLIT_TEST,
        seed=3,
        metrics=metrics,
        state=evaluation_pb2.EVALUATION_STATE_SUCCEEDED,
    )
    evaluation.sensor.builtin = "phone"
    evaluation.sensor.test_noise.shot, evaluation.sensor.test_noise.read = 0.01, 0.0005
    evaluation.create_time.FromSeconds(1_750_000_000)
    evaluation.end_time.FromSeconds(1_750_000_065)
    for place, label in enumerate(labels):
        subject = evaluation.subjects.add(label=label)
        if place == 0:
            subject.prototype.builtin = "classical"
        else:
            subject.model_version = f"models/night/versions/{place}"
    data = {}
    values = {label: {name: {} for name in metrics} for label in labels}
    for number, title in enumerate(clips):
        clip = evaluation.clips.add(clip=f"clips/c{number}", display_name=title)
        if title in failed:
            clip.state = evaluation_pb2.EVALUATION_STATE_FAILED
            clip.failure.reason, clip.failure.message = "NAN_OUTPUT", "model gave a NaN at frame 7"
            continue
        clip.state = evaluation_pb2.EVALUATION_STATE_SUCCEEDED
        for place, label in enumerate(labels):
            clip.subjects.append(_subject(label, place, number, metrics, frames, values))
        if pictures:
            _pictures(clip, labels, data, frames)
    _totals(evaluation, labels, metrics, values)
    if gate is not None:
        evaluation.gate_report.passed = gate
        evaluation.gate_report.checks.add(
            passed=True, text="psnr at least 0.1 better than prototype: +1.46", value=1.46, bound=0.1
        )
        evaluation.gate_report.checks.add(
            passed=gate,
            text="flicker at most 3 codes: 2.00" if gate else "flicker at most 1 code: 2.00",
            value=2,
        )
    return Judged(evaluation, data, "autoisp evaluations run --dataset data-0123456789ab --out report")


def _subject(label, place, number, metrics, frames, values):
    result = evaluation_pb2.SubjectResult(label=label)
    result.frames.extend(evaluation_pb2.FrameResult(frame=frame) for frame in range(frames))
    for name in metrics:
        metric, spread = METRICS[name], _SPREAD[name]
        sign = 1 if metric.direction == "higher" else -1
        level = _LEVELS[name] + sign * spread * (3.6 * min(place, 1) - 0.9 * max(place - 1, 0) + 1.2 * number)
        item = result.metrics.add(metric=name)
        line = [
            level + spread * math.sin(frame / 7 + number) + spread * 0.5 * math.sin(frame * (3 + place))
            for frame in range(frames)
        ]
        if metric.temporal:
            line[0] = math.nan
            if frames > 30:
                line[20:24] = [math.nan] * 4
        item.values.extend(line)
        finite = {frame: value for frame, value in enumerate(line) if math.isfinite(value)}
        values[label][name][f"clips/c{number}"] = finite
        _fill(item.within, summarize({"c": list(finite.values())}).within)
        result.quality.psnr_db = 28.4
    return result


def _totals(evaluation, labels, metrics, values):
    for place, label in enumerate(labels):
        total = evaluation.totals.add(label=label)
        for name in metrics:
            per_clip = {clip: list(found.values()) for clip, found in values[label][name].items()}
            if not per_clip:
                continue
            item, summary = total.metrics.add(metric=name), summarize(per_clip)
            _fill(item.within, summary.within)
            _fill(item.across, summary.total)
            if place:
                _compare(evaluation, name, label, labels[0], values)
        if place:
            total.cost.macs_per_pixel, total.cost.parameters, total.cost.size_bytes = 2881, 11_532, 52_800
            total.cost.peak_activation_bytes_per_pixel = 128
            for device, fps, bound in (
                ("phone-npu-10", 74.6, "traffic"),
                ("phone-gpu-2", 21.3, "arithmetic"),
            ):
                total.devices.add(
                    device=device,
                    seconds_per_megapixel=1 / fps / 8.29,
                    bound=bound,
                    fits_4k30=fps >= 30,
                    frames_per_second_4k=fps,
                )
        total.latency.p50, total.latency.p95, total.latency.p99 = (
            scale * (6.7 if place == 0 else 0.0481) for scale in (1, 1.08, 1.31)
        )
        total.latency.frames, total.latency.threads = 180, 1
        total.latency.provider = "CPUExecutionProvider" if place else ""
        total.latency.peak_memory_bytes = 212_000_000


def _compare(evaluation, name, label, baseline, values):
    found = compare(METRICS[name], values[label][name], values[baseline][name], margin=0.0)
    comparison = evaluation.comparisons.add(metric=name, subject=label, baseline=baseline)
    comparison.verdict = {"better": BETTER, "worse": WORSE, "same": SAME}.get(found.verdict.value, UNDECIDED)
    _fill(comparison.improvement, found.estimate)
    comparison.scope = evaluation_pb2.Comparison.SCOPE_OTHER_CLIPS


def _pictures(clip, labels, data, frames):
    def add(to, kind, frame, shade):
        content = png(shade % 256, 90 + 12 * (shade % 9), 200 - 9 * (shade % 17), size=96)
        digest = hashlib.sha256(content).hexdigest()
        data[digest] = content
        artifact = common_pb2.Artifact(sha256=digest, size_bytes=len(content))
        to.append(evaluation_pb2.Picture(kind=kind, frame=frame, png=artifact))

    for frame in sorted({0, frames // 2}):
        for shade, kind in enumerate(("noisy", *labels, "truth")):
            add(clip.pictures, kind, frame, 60 * shade + frame)
    worst = clip.worst.add(label=labels[-1], metric="psnr", frame=frames // 3, value=27.9)
    for shade, kind in enumerate(("truth", *labels)):
        add(worst.pictures, kind, frames // 3, 40 * shade + 7)


def _fill(message, estimate):
    message.mean, message.low, message.high = estimate.mean, estimate.low, estimate.high
    message.frames, message.clips = estimate.frames, estimate.clips

"""``evaluation.json``: an evaluation's figures for programs. The guide "evaluation report" documents it."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

from autoisp.common.v1 import common_pb2
from autoisp.evaluation.v1 import evaluation_pb2
from autoisp.ingest.v1 import ingest_pb2
from autoisp_core.quality.metric import Metric
from google.protobuf import timestamp_pb2

from autoisp_cli.report.evaluation.judged import Judged, mean_of, numbers, results_of
from autoisp_cli.report.evaluation.words import source_text, verdict, verdict_word
from autoisp_cli.report.outcome import failure_text, is_judged, macs

VERSION = 1
"""Raised when a key changes its meaning or goes; new keys may come at any time."""


def document(judged: Judged, *, frames: bool = True) -> dict[str, Any]:
    """The figures as plain JSON values: None for what is not a finite number or could not be measured.

    Args:
        frames: whether to have each frame's values, which are most of it.
    """
    evaluation = judged.evaluation
    report = evaluation.gate_report if evaluation.HasField("gate_report") else None
    return {
        "version": VERSION,
        "evaluation": evaluation.name,
        "verdict": verdict(judged),
        "passed": judged.passed,
        "state": evaluation_pb2.EvaluationState.Name(evaluation.state).rsplit("STATE_", 1)[-1].lower(),
        "failure": _failure(evaluation.failure) if evaluation.HasField("failure") else None,
        "dataset": evaluation.dataset,
        "split": ingest_pb2.Split.Name(evaluation.split).removeprefix("SPLIT_").lower(),
        "search": evaluation.search or None,
        "trial": evaluation.trial or None,
        "sensor": sensor_dict(evaluation.sensor),
        "seed": evaluation.seed,
        "frames_per_clip": evaluation.frames_per_clip,
        "created": _time(evaluation, "create_time"),
        "ended": _time(evaluation, "end_time"),
        "metrics": [_metric(metric) for metric in judged.metrics],
        "subjects": [{"label": s.label, "source": source_text(s)} for s in evaluation.subjects],
        "totals": [_total(result) for result in evaluation.totals],
        "comparisons": [comparison_dict(comparison) for comparison in evaluation.comparisons],
        "gate": None if report is None else gate_dict(report),
        "clips": [_clip(clip, frames) for clip in evaluation.clips],
    }


def estimate_dict(estimate: evaluation_pb2.Estimate) -> dict[str, Any]:
    """A mean with its interval; None for a bound that nothing can be said of."""
    bounds = {"mean": estimate.mean, "low": estimate.low, "high": estimate.high}
    # Of no frames, nothing is known, and the zeros of an empty message aren't figures.
    figures = {name: _number(value) if estimate.frames else None for name, value in bounds.items()}
    return {**figures, "frames": estimate.frames, "clips": estimate.clips}


def comparison_dict(comparison: evaluation_pb2.Comparison) -> dict[str, Any]:
    """One metric of a subject against a baseline."""
    return {
        "metric": comparison.metric,
        "subject": comparison.subject,
        "baseline": comparison.baseline,
        "improvement": estimate_dict(comparison.improvement),
        "margin": comparison.margin,
        "verdict": verdict_word(comparison),
        "scope": "other_clips"
        if comparison.scope == evaluation_pb2.Comparison.SCOPE_OTHER_CLIPS
        else "these_clips",
        "unpaired": comparison.unpaired,
        "clips": {clip: estimate_dict(item) for clip, item in sorted(comparison.clips.items())},
    }


def gate_dict(report: evaluation_pb2.GateReport) -> dict[str, Any]:
    """What a gate said."""
    checks = [
        {
            "passed": check.passed,
            "text": check.text,
            "value": _number(check.value) if check.HasField("value") else None,
            "bound": _number(check.bound) if check.HasField("bound") else None,
        }
        for check in report.checks
    ]
    return {"passed": report.passed, "checks": checks}


def sensor_dict(sensor: common_pb2.Sensor) -> dict[str, Any]:
    """Whose noise was synthesised."""
    noise = sensor.test_noise
    return {
        "builtin": sensor.builtin or None,
        "toml": sensor.toml or None,
        "noise": {"shot": noise.shot, "read": noise.read} if sensor.HasField("test_noise") else None,
    }


def _metric(metric: Metric) -> dict[str, str]:
    return {
        "name": metric.name,
        "unit": metric.unit,
        "better": metric.direction.value,
        "summary": metric.summary,
    }


def _total(result: evaluation_pb2.SubjectResult) -> dict[str, Any]:
    metrics = {
        name: {
            "mean": _number(mean_of(item)),
            "within": estimate_dict(item.within),
            "across": estimate_dict(item.across) if item.HasField("across") else None,
        }
        for name, item in results_of(result).items()
    }
    return {
        "label": result.label,
        "metrics": metrics,
        "cost": _cost(result.cost),
        "latency": _latency(result.latency) if result.HasField("latency") else None,
        "devices": [
            {
                "device": device.device,
                "seconds_per_megapixel": _number(device.seconds_per_megapixel),
                "bound": device.bound,
                "fits_4k30": device.fits_4k30,
                "frames_per_second_4k": _number(device.frames_per_second_4k),
            }
            for device in result.devices
        ],
    }


def _cost(cost: common_pb2.Cost) -> dict[str, Any]:
    return {
        "macs_per_pixel": macs(cost),
        "parameters": cost.parameters,
        "size_bytes": cost.size_bytes,
        "seconds_per_megapixel": cost.seconds_per_megapixel or None,
        "state_bytes_per_pixel": cost.state_bytes_per_pixel,
        "bytes_per_pixel": cost.bytes_per_pixel,
        "peak_activation_bytes_per_pixel": cost.peak_activation_bytes_per_pixel,
    }


def _latency(latency: evaluation_pb2.Latency) -> dict[str, Any]:
    times = {name: _number(getattr(latency, name)) for name in ("p50", "p95", "p99")}
    return {
        **times,
        "frames": latency.frames,
        "threads": latency.threads,
        "provider": latency.provider or None,
        "peak_memory_bytes": latency.peak_memory_bytes or None,
    }


def _clip(clip: evaluation_pb2.ClipResult, frames: bool) -> dict[str, Any]:
    subjects = [_subject(result, frames) for result in clip.subjects] if is_judged(clip) else []
    worst = [
        {"label": item.label, "metric": item.metric, "frame": item.frame, "value": _number(item.value)}
        for item in clip.worst
    ]
    failure = _failure(clip.failure) if failure_text(clip) else None
    return {
        "clip": clip.clip,
        "display_name": clip.display_name,
        "state": evaluation_pb2.EvaluationState.Name(clip.state).rsplit("STATE_", 1)[-1].lower(),
        "failure": failure,
        "subjects": subjects,
        "worst": worst,
    }


def _subject(result: evaluation_pb2.SubjectResult, frames: bool) -> dict[str, Any]:
    metrics = {}
    for name, item in results_of(result).items():
        metrics[name] = {key: value for key, value in estimate_dict(item.within).items() if key != "clips"}
        if frames:
            metrics[name]["values"] = _values(item.values)
    listed = {"frames": numbers(result)} if frames else {}
    return {"label": result.label, **listed, "metrics": metrics}


def _values(values: Iterable[float]) -> list[float | None]:
    # They are single precision: more digits than these are no information.
    return [float(f"{value:.7g}") if math.isfinite(value) else None for value in values]


def _number(value: float) -> float | None:
    return value if math.isfinite(value) else None


def _failure(failure: common_pb2.Failure) -> dict[str, str]:
    return {"reason": failure.reason or "UNKNOWN", "message": failure.message}


def _time(evaluation: evaluation_pb2.Evaluation, field: str) -> str | None:
    time: timestamp_pb2.Timestamp = getattr(evaluation, field)
    return str(time.ToJsonString()) if time.seconds else None

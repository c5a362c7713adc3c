"""What an evaluation came to, in words that the page and the command line share."""

from __future__ import annotations

import math

from autoisp.common.v1 import common_pb2
from autoisp.evaluation.v1 import evaluation_pb2
from autoisp_core.quality.metric import Direction, Metric

from autoisp_cli.report.evaluation.judged import (
    Judged,
    best_interval,
    is_bounded,
    mean_of,
    metric_named,
    results_of,
)
from autoisp_cli.report.outcome import is_judged

_NAMES = {"psnr": "PSNR", "ssim": "SSIM", "ms_ssim": "MS-SSIM", "vif": "VIF", "vmaf": "VMAF", "tof": "tOF"}
_NAMES |= {"delta_e2000": "ΔE2000", "ssim_ffmpeg": "SSIM (ffmpeg)"}
_MINUS = "\u2212"
_VERDICTS = {
    evaluation_pb2.Comparison.VERDICT_BETTER: "better",
    evaluation_pb2.Comparison.VERDICT_SAME: "same",
    evaluation_pb2.Comparison.VERDICT_WORSE: "worse",
}


def metric_title(metric: Metric) -> str:
    """``MS-SSIM``, ``Colour cast``: as people write it."""
    return _NAMES.get(metric.name) or metric.name.replace("_", " ").capitalize()


def arrow(metric: Metric) -> str:
    """Which way is better."""
    return "↑" if metric.direction is Direction.HIGHER else "↓"


def digits(metric: Metric) -> int:
    """Decimals that mean something."""
    return 2 if metric.unit or metric.name == "vmaf" else 4


def value_text(metric: Metric, value: float, *, sign: bool = False) -> str:
    """``29.86``, ``+0.0312``; a dash where there is none."""
    if not math.isfinite(value):
        return "–"
    written = f"{value:+.{digits(metric)}f}" if sign else f"{value:.{digits(metric)}f}"
    return written.replace("-", _MINUS)


def with_unit(metric: Metric, value: float, *, sign: bool = False) -> str:
    """``29.86 dB``."""
    written = value_text(metric, value, sign=sign)
    return f"{written} {metric.unit}" if metric.unit and written != "–" else written


def interval_text(metric: Metric, estimate: evaluation_pb2.Estimate, *, sign: bool = False) -> str:
    """``29.61 … 30.12``; empty where nothing can be said."""
    if not is_bounded(estimate):
        return ""
    bounds = (value_text(metric, bound, sign=sign) for bound in (estimate.low, estimate.high))
    return " … ".join(bounds)


def estimate_text(metric: Metric, result: evaluation_pb2.MetricResult) -> str:
    """``29.86 dB (29.61 … 30.12)``."""
    interval = interval_text(metric, best_interval(result))
    return with_unit(metric, mean_of(result)) + (f" ({interval})" if interval else "")


def verdict_word(comparison: evaluation_pb2.Comparison) -> str:
    """``better``, ``same``, ``worse`` or ``undecided``."""
    return _VERDICTS.get(comparison.verdict, "undecided")


def verdict_text(comparison: evaluation_pb2.Comparison) -> str:
    """``same within 0.1 dB``; the other verdicts need no more than their word."""
    word = verdict_word(comparison)
    if word != "same" or not comparison.margin:
        return word
    unit = metric_named(comparison.metric).unit
    return f"same within {comparison.margin:.3g}" + (f" {unit}" if unit else "")


def comparison_text(comparison: evaluation_pb2.Comparison) -> str:
    """``psnr: model +1.46 dB (+1.31 … +1.61) against prototype: better``."""
    metric = metric_named(comparison.metric)
    improvement = comparison.improvement
    interval = interval_text(metric, improvement, sign=True)
    by = with_unit(metric, improvement.mean, sign=True) + (f" ({interval})" if interval else "")
    return (
        f"{comparison.metric}: {comparison.subject} {by} against {comparison.baseline}: "
        f"{verdict_text(comparison)}"
    )


def verdict(judged: Judged) -> str:
    """One line: how the challenger does."""
    evaluation, clips = judged.evaluation, judged.clips
    where = f"{len(clips)} clip{'s' if len(clips) != 1 else ''}"
    if evaluation.state == evaluation_pb2.EVALUATION_STATE_FAILED:
        return f"Nothing could be judged: {_first_cause(evaluation)}"
    if evaluation.state == evaluation_pb2.EVALUATION_STATE_CANCELLED:
        return f"Cancelled after {where} of {len(evaluation.clips)}"
    if evaluation.state != evaluation_pb2.EVALUATION_STATE_SUCCEEDED:
        return f"Still being judged: {where} of {len(evaluation.clips)} so far"
    label = judged.challenger
    lead = judged.metrics[0]
    comparison = judged.comparison(lead.name, label)
    if comparison is None:
        result = results_of(judged.total(label)).get(lead.name)
        mean = with_unit(lead, mean_of(result)) if result else "–"
        return f"{label} has {mean} {metric_title(lead)} on {where}"
    by = f"{with_unit(lead, comparison.improvement.mean, sign=True)} {metric_title(lead)} on {where}"
    word = verdict_word(comparison)
    if word == "same":
        return f"{label} is as good as {comparison.baseline}: {by}"
    if word == "undecided":
        return f"These clips can’t tell {label} from {comparison.baseline}: {by}"
    return f"{label} is {word} than {comparison.baseline}: {by}"


def _first_cause(evaluation: evaluation_pb2.Evaluation) -> str:
    """One clip's cause stands for all, which are listed elsewhere; without clips, the evaluation's."""
    causes = (clip.failure for clip in evaluation.clips if clip.failure.message)
    return failure_words(next(causes, evaluation.failure))


def unjudged(evaluation: evaluation_pb2.Evaluation) -> list[evaluation_pb2.ClipResult]:
    """The clips that could not be judged; of a cancelled one there is nothing to say."""
    cancelled = evaluation_pb2.EVALUATION_STATE_CANCELLED
    return [clip for clip in evaluation.clips if not is_judged(clip) and clip.state != cancelled]


def failure_words(failure: common_pb2.Failure) -> str:
    """Why something failed: the message, or at least the reason."""
    return failure.message or failure.reason or "nobody said why"


def source_text(subject: evaluation_pb2.Subject) -> str:
    """Where a subject came from."""
    kind = subject.WhichOneof("source")
    if kind == "model_version":
        return subject.model_version
    if kind == "onnx":
        return f"onnx sha256:{subject.onnx.sha256}"
    prototype = subject.prototype
    if prototype.WhichOneof("source") == "onnx":
        return f"prototype onnx sha256:{prototype.onnx.sha256}"
    return f"builtin:{prototype.builtin}"


def outcome_lines(judged: Judged) -> list[str]:
    """The figures of an ended evaluation, for a terminal: totals, verdicts, gate and what was not judged."""
    lines = []
    for label in judged.labels:
        results = results_of(judged.total(label))
        found = [
            f"{metric.name} {estimate_text(metric, results[metric.name])}"
            for metric in judged.metrics
            if metric.name in results and math.isfinite(mean_of(results[metric.name]))
        ]
        if found:
            lines.append(f"{label}: {', '.join(found)}")
    lines += [comparison_text(comparison) for comparison in judged.evaluation.comparisons]
    lines += gate_lines(judged.evaluation.gate_report)
    lines += [
        f"not judged: {clip.display_name or clip.clip}, {failure_words(clip.failure)}"
        for clip in unjudged(judged.evaluation)
    ]
    return lines


def gate_lines(report: evaluation_pb2.GateReport) -> list[str]:
    """Each check of a gate; empty if there was none."""
    return [f"gate: {'✓' if check.passed else '✗'} {check.text}" for check in report.checks]

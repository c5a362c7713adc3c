"""An evaluation as reports read it: by subject, metric, clip and frame."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from autoisp.evaluation.v1 import evaluation_pb2
from autoisp_core.quality import METRICS
from autoisp_core.quality.metric import Direction, Metric

from autoisp_cli.report.outcome import MODEL, PROTOTYPE, is_judged, subject

ALWAYS = ("psnr", "ssim")
"""The metrics that every evaluation has."""
_ENOUGH_CLIPS = 5
"""Of fewer, the interval for other clips is so wide that nobody could use it: an SSIM of 0.6 to 1.2."""


@dataclass(frozen=True)
class Judged:
    """An evaluation and what is shown with it.

    Attributes:
        evaluation: with its clips' frames and pictures, as GetEvaluation has it.
        pictures: PNG bytes by SHA-256, as far as they were fetched.
        command: what to type to get it again; empty if unknown.
    """

    evaluation: evaluation_pb2.Evaluation
    pictures: Mapping[str, bytes] = field(default_factory=dict)
    command: str = ""

    @property
    def labels(self) -> list[str]:
        """The subjects, in the evaluation's order."""
        return [subject.label for subject in self.evaluation.subjects]

    @property
    def metrics(self) -> list[Metric]:
        """What was measured, in the evaluation's order."""
        return [metric_named(name) for name in self.evaluation.metrics or ALWAYS]

    @property
    def clips(self) -> list[evaluation_pb2.ClipResult]:
        """The clips whose figures count."""
        return [clip for clip in self.evaluation.clips if is_judged(clip)]

    @property
    def challenger(self) -> str:
        """What the report is about: the model, else the first that is compared, else the first subject."""
        labels = self.labels
        if MODEL in labels or not labels:
            return MODEL
        return next((label for label in labels if label != self.baseline), labels[0])

    @property
    def baseline(self) -> str:
        """The subject that others are compared with."""
        compared = next((comparison.baseline for comparison in self.evaluation.comparisons), "")
        labels = self.labels
        return compared or (PROTOTYPE if PROTOTYPE in labels else labels[0] if labels else "")

    def total(self, label: str) -> evaluation_pb2.SubjectResult:
        """The subject's mean over clips; an empty message if it has none."""
        return subject(self.evaluation.totals, label)

    def comparison(self, metric: str, label: str) -> evaluation_pb2.Comparison | None:
        """How the subject compares with the baseline; None if that was not looked at."""
        found = (c for c in self.evaluation.comparisons if (c.metric, c.subject) == (metric, label))
        return next(found, None)

    @property
    def passed(self) -> bool:
        """Whether every clip was judged, and the gate, if there is one, let the model through."""
        evaluation = self.evaluation
        done = evaluation.state == evaluation_pb2.EVALUATION_STATE_SUCCEEDED
        gated = not evaluation.HasField("gate_report") or evaluation.gate_report.passed
        return done and gated and all(map(is_judged, evaluation.clips))


def metric_named(name: str) -> Metric:
    """The metric of this name; a newer server may know some that this version doesn't."""
    return METRICS.get(name) or Metric(name, "", Direction.HIGHER, "")


def results_of(result: evaluation_pb2.SubjectResult) -> dict[str, evaluation_pb2.MetricResult]:
    """A subject's metrics by name. Evaluations from before there were others have psnr and ssim alone."""
    if result.metrics or not result.HasField("quality"):
        return {item.metric: item for item in result.metrics}
    frames = result.frames
    psnr, ssim = (evaluation_pb2.MetricResult(metric=name) for name in ALWAYS)
    psnr.values.extend(frame.quality.psnr_db for frame in frames)
    ssim.values.extend(frame.quality.ssim for frame in frames)
    for item, mean in ((psnr, result.quality.psnr_db), (ssim, result.quality.ssim)):
        item.within.mean, item.within.frames = mean, len(frames)
        item.within.low, item.within.high = -math.inf, math.inf
    return {"psnr": psnr, "ssim": ssim}


def series(result: evaluation_pb2.SubjectResult, metric: str) -> list[tuple[int, float]]:
    """Frame and value, in the frames' order; NaN where a frame has no value."""
    found = results_of(result).get(metric)
    return list(zip(numbers(result), found.values, strict=False)) if found else []


def numbers(result: evaluation_pb2.SubjectResult) -> list[int]:
    """The frames of a clip that a subject was judged on."""
    return [frame.frame for frame in result.frames]


def value_at(clip: evaluation_pb2.ClipResult, label: str, metric: str, frame: int) -> float:
    """One frame's value; NaN if it has none."""
    found = (value for number, value in series(subject(clip.subjects, label), metric) if number == frame)
    return next(found, math.nan)


def best_interval(result: evaluation_pb2.MetricResult) -> evaluation_pb2.Estimate:
    """The interval for other clips where there are enough, else that for other frames of these clips."""
    return result.across if tells_of_others(result) else result.within


def tells_of_others(result: evaluation_pb2.MetricResult) -> bool:
    """Whether there are enough clips for an interval for other clips."""
    return result.HasField("across") and is_bounded(result.across) and result.across.clips >= _ENOUGH_CLIPS


def mean_of(result: evaluation_pb2.MetricResult) -> float:
    """The metric's mean; NaN where no frame has a value."""
    return result.within.mean if result.HasField("within") else math.nan


def is_bounded(estimate: evaluation_pb2.Estimate) -> bool:
    """Whether the interval says anything."""
    return estimate.frames > 0 and math.isfinite(estimate.low) and math.isfinite(estimate.high)


def clip_title(clip: evaluation_pb2.ClipResult) -> str:
    """What people call the clip."""
    return clip.display_name or clip.clip


def titles(clips: Sequence[evaluation_pb2.ClipResult]) -> Iterator[str]:
    """What people call the clips."""
    return map(clip_title, clips)

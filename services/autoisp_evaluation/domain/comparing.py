"""Subjects against one another, and against a gate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from autoisp_core import quality
from autoisp_core.quality import METRICS, Figures, Gate, GateReport, Scope, SubjectFigures, Verdict
from autoisp_core.quality.results import ClipResult, Estimate, State, SubjectResult, values_by_clip

from autoisp_evaluation.domain.statistics import drawn_means, estimate_of
from autoisp_evaluation.domain.subjects import PROTOTYPE_LABEL

if TYPE_CHECKING:
    from autoisp_evaluation.domain.evaluation import Evaluation

Values = Mapping[str, Mapping[int, float]]


@dataclass(frozen=True)
class Comparison:
    """By how much a subject is better than a baseline by one metric.

    Attributes:
        improvement: positive where the subject is better, whichever way the metric goes.
        unpaired: frames that only one of the two has a value for; they were left out.
        clips: improvement on each clip.
    """

    metric: str
    subject: str
    baseline: str
    improvement: Estimate
    margin: float
    verdict: Verdict
    scope: Scope
    unpaired: int
    clips: Mapping[str, Estimate]


def baseline_of(labels: Sequence[str]) -> str:
    """What the others are compared with: the prototype, or else the first."""
    return PROTOTYPE_LABEL if PROTOTYPE_LABEL in labels else labels[0]


def comparisons(evaluation: Evaluation) -> tuple[Comparison, ...]:
    """Every other subject with the baseline, by every metric that both have."""
    labels = [subject.label for subject in evaluation.subjects]
    baseline = baseline_of(labels)
    return tuple(
        comparison
        for label in labels
        if label != baseline
        for comparison in compared(evaluation, label, evaluation, baseline, {}, Scope.THESE_CLIPS)
    )


def compared(
    evaluation: Evaluation,
    subject: str,
    other: Evaluation,
    baseline: str,
    margins: Mapping[str, float],
    scope: Scope,
) -> list[Comparison]:
    """A subject of one evaluation with one of the same or another, by every metric that both have.

    Raises:
        InvalidArgumentError: field `margin`.
    """
    found = []
    for metric in (name for name in evaluation.measured if name in other.measured):
        own = values_by_clip(evaluation.clips, subject, metric)
        reference = values_by_clip(other.clips, baseline, metric)
        if not _share_a_frame(own, reference):
            continue
        result = quality.compare(
            METRICS[metric],
            own,
            reference,
            margin=margins.get(metric, 0.0),
            scope=scope,
            seed=evaluation.seed,
            drawn=drawn_means(evaluation.seed),
        )
        found.append(
            Comparison(
                metric,
                subject,
                baseline,
                estimate_of(result.estimate),
                result.margin,
                result.verdict,
                scope,
                result.unpaired,
                {clip: estimate_of(of_clip) for clip, of_clip in result.improvement.clips.items()},
            )
        )
    return found


def gate_report(evaluation: Evaluation, gate: Gate) -> GateReport:
    """What a gate says of an evaluation that has totals."""
    judged = [clip for clip in evaluation.clips if clip.state is State.SUCCEEDED]
    figures = Figures(
        {total.label: _figures(total, judged, evaluation.measured) for total in evaluation.totals},
        {clip.clip: clip.display_name or clip.clip for clip in judged},
        len(evaluation.clips),
        evaluation.seed,
        drawn_means,
    )
    return gate.check(figures)


def _share_a_frame(own: Values, reference: Values) -> bool:
    return any(frames.keys() & reference.get(clip, {}).keys() for clip, frames in own.items())


def _figures(total: SubjectResult, clips: Sequence[ClipResult], metrics: Sequence[str]) -> SubjectFigures:
    return SubjectFigures(
        {metric: values_by_clip(clips, total.label, metric) for metric in metrics}, _costs(total)
    )


def _costs(total: SubjectResult) -> dict[str, float]:
    """What is known: 0 stands for what was not measured, except where nothing is a real answer."""
    cost, latency = total.cost, total.latency
    costs: dict[str, float] = {}
    counted = cost.macs_per_pixel is not None
    if counted:
        costs["macs_per_pixel"] = cost.macs_per_pixel or 0.0
        costs["parameters"] = float(cost.parameters)
        costs["state_bytes_per_pixel"] = cost.state_bytes_per_pixel
    for name in (
        "size_bytes",
        "seconds_per_megapixel",
        "bytes_per_pixel",
        "peak_activation_bytes_per_pixel",
    ):
        if value := float(getattr(cost, name)):
            costs[name] = value
    if latency is not None:
        costs |= {"latency_p50": latency.p50, "latency_p95": latency.p95, "latency_p99": latency.p99}
        if latency.peak_memory_bytes:
            costs["peak_memory_bytes"] = float(latency.peak_memory_bytes)
    return costs

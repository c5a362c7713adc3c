"""Subjects against one another, and against a gate."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from autoisp_core import quality
from autoisp_core.quality import METRICS, Gate, GateReport, Scope, Verdict
from autoisp_core.quality.results import Estimate, values_by_clip
from autoisp_runtime.figures import drawn_means, figures_of

from autoisp_evaluation.domain.statistics import estimate_of
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
    return gate.check(figures_of(evaluation.totals, evaluation.clips, evaluation.measured, evaluation.seed))


def _share_a_frame(own: Values, reference: Values) -> bool:
    return any(frames.keys() & reference.get(clip, {}).keys() for clip, frames in own.items())

"""Which of two subjects is better, from their values on the same frames."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from autoisp_core.errors import InvalidArgumentError
from autoisp_core.quality.estimate import CONFIDENCE, RESAMPLES, DrawnMeans, Estimate, Summary, summarize
from autoisp_core.quality.metric import Metric

Values = Mapping[str, Mapping[int, float]]
"""Of each clip, by the index of the frame."""


class Verdict(StrEnum):
    """What an interval of the improvement says."""

    BETTER = "better"
    SAME = "same"
    WORSE = "worse"
    UNDECIDED = "undecided"


class Scope(StrEnum):
    """What a verdict is meant to hold for."""

    OTHER_CLIPS = "other clips"
    THESE_CLIPS = "these clips"


@dataclass(frozen=True, slots=True)
class Comparison:
    """By how much a subject is better than a baseline.

    Attributes:
        metric: what was compared.
        improvement: of the subject over the baseline, in the metric's unit, positive if the subject is better
            whichever way the metric goes; for each clip and over all.
        margin: differences up to this one don't matter.
        scope: what the verdict holds for.
        unpaired: frames that only one of the two has a value for; they were left out.
    """

    metric: Metric
    improvement: Summary
    margin: float
    scope: Scope
    unpaired: int

    @property
    def estimate(self) -> Estimate:
        """The improvement over all clips, with the interval of the scope."""
        return self.improvement.total if self.scope is Scope.OTHER_CLIPS else self.improvement.within

    @property
    def verdict(self) -> Verdict:
        """SAME if the interval lies within ± margin; else BETTER or WORSE if it leaves out 0; else UNDECIDED.

        A difference that is certain but within the margin is SAME: that is what the margin means.
        """
        low, high = self.estimate.low, self.estimate.high
        if -self.margin <= low and high <= self.margin:
            return Verdict.SAME
        if low > 0.0:
            return Verdict.BETTER
        return Verdict.WORSE if high < 0.0 else Verdict.UNDECIDED

    @property
    def not_worse(self) -> bool:
        """Whether the subject is surely no more than the margin worse (non-inferiority)."""
        return self.estimate.low >= -self.margin

    def __str__(self) -> str:
        unit = f" {self.metric.unit}" if self.metric.unit else ""
        verdict = f"same within {self.margin:g}{unit}" if self.verdict is Verdict.SAME else self.verdict.value
        found = self.estimate
        ends = f"[{found.low:+.4g}, {found.high:+.4g}]"
        return f"{self.metric.name} {verdict}: {found.mean:+.4g}{unit} {ends} on {self.scope.value}"


def compare(
    metric: Metric,
    subject: Values,
    baseline: Values,
    *,
    margin: float = 0.0,
    scope: Scope = Scope.OTHER_CLIPS,
    seed: int = 0,
    confidence: float = CONFIDENCE,
    resamples: int = RESAMPLES,
    drawn: DrawnMeans | None = None,
) -> Comparison:
    """Pairs the values frame by frame, and gives the mean improvement with its interval.

    What makes a frame hard is the same for both and drops out of their difference, so far fewer frames tell
    two subjects apart than two separate intervals would.

    Args:
        metric: of the values.
        subject, baseline: values of each.
        margin: a difference that doesn't matter, in the metric's unit.
        scope: what to judge: how it would be on other clips of the same kind, for which a single clip never
            suffices, or on other frames of these.
        seed, confidence, resamples, drawn: as `summarize` takes them.

    Raises:
        InvalidArgumentError: field `margin`, or `baseline` if no frame has a value of both.
    """
    if not (margin >= 0.0 and math.isfinite(margin)):
        raise InvalidArgumentError("margin", f"must be 0 or more {metric.unit}, is {margin}")
    gains = improvements(metric, subject, baseline)
    if not gains:
        raise InvalidArgumentError(
            "baseline", f"no frame has a {metric.name} of both subjects: evaluate both on the same clips"
        )
    summary = summarize(gains, seed=seed, confidence=confidence, resamples=resamples, drawn=drawn)
    paired = sum(map(len, gains.values()))
    unpaired = sum(map(len, subject.values())) + sum(map(len, baseline.values())) - 2 * paired
    return Comparison(metric, summary, margin, scope, unpaired)


def improvements(metric: Metric, subject: Values, baseline: Values) -> dict[str, list[float]]:
    """By how much `subject` is better on each frame that both have, in order; not of clips without any."""
    return {
        clip: [metric.improvement(frames[index], baseline[clip][index]) for index in sorted(shared)]
        for clip, frames in subject.items()
        if (shared := frames.keys() & baseline.get(clip, {}).keys())
    }

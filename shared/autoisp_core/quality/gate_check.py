"""One check of a gate: which number of which frames must keep which bound."""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from fnmatch import fnmatchcase
from statistics import fmean

from autoisp_core.quality.comparison import improvements
from autoisp_core.quality.estimate import Estimate, summarize
from autoisp_core.quality.figures import COSTS, Figures
from autoisp_core.quality.gate_report import GateCheck, checked
from autoisp_core.quality.metric import METRICS, Direction

_SHARE = re.compile(r"(\d{1,3}(?:\.\d{1,6})?)%")

Series = Mapping[str, Sequence[float]]


class Bound(StrEnum):
    """What a number must keep."""

    AT_LEAST = "at_least"
    AT_MOST = "at_most"
    NOT_WORSE = "not_worse_than_baseline_by"
    BETTER = "better_than_baseline_by"

    @property
    def of_baseline(self) -> bool:
        """Whether the improvement over the baseline is bound, instead of the value."""
        return self in (Bound.NOT_WORSE, Bound.BETTER)


class Confidence(StrEnum):
    """What keeps the bound: the mean, or its interval for other frames of the same clips or of others."""

    MEAN = "mean"
    THESE_CLIPS = "these_clips"
    OTHER_CLIPS = "other_clips"


@dataclass(frozen=True, slots=True)
class Slice:
    """Which frames count.

    Attributes:
        kind: "all" (mean over clips), "each" (every clip by itself), "worst_clip", "clip" (mean over the
            clips whose display names match), or "worst_frames" (mean over the worst share of all frames).
        pattern: of "clip".
        share: of "worst_frames", above 0 and at most 1.
    """

    kind: str = "all"
    pattern: str = ""
    share: float = 0.0

    @classmethod
    def parse(cls, text: str) -> Slice | None:
        """The slice; None if the text says none."""
        kind, colon, rest = text.partition(":")
        if not colon:
            return cls(kind) if kind in ("all", "each", "worst_clip") else None
        if kind == "clip":
            return cls(kind, rest) if rest else None
        found = _SHARE.fullmatch(rest)
        if kind != "worst_frames" or not found or not 0 < float(found[1]) <= 100:
            return None
        return cls(kind, share=float(found[1]) / 100)

    def takes(self, name: str) -> bool:
        """Whether frames of the clip that people call so count."""
        return self.kind != "clip" or fnmatchcase(name, self.pattern)

    @property
    def of_one_clip(self) -> bool:
        """Whether each number it gives is of a single clip."""
        return self.kind in ("each", "worst_clip")


@dataclass(frozen=True, slots=True)
class Check:
    """A number of some frames, and its bound.

    Attributes:
        metric: a metric's or cost's name.
        bound, limit: what it must keep.
        slice: of which frames.
        confidence: what of it.
    """

    metric: str
    bound: Bound
    limit: float
    slice: Slice = Slice()
    confidence: Confidence = Confidence.MEAN

    @property
    def needs_baseline(self) -> bool:
        """Whether it can't be made without a baseline."""
        cost = COSTS.get(self.metric)
        return self.bound.of_baseline or (cost is not None and cost.of_baseline)

    def judged(self, figures: Figures, subject: str, baseline: str) -> GateCheck:
        """Makes the check."""
        if self.metric in COSTS:
            return self._cost(figures, subject, baseline)
        series = self._series(figures, subject, baseline)
        if missing := self._missing(series, figures):
            return self._said(None, missing, baseline)
        if self.slice.kind == "worst_frames":
            share = f" on the worst {100 * self.slice.share:g} % of frames"
            return self._said(self._of_worst_frames(series), share, baseline)
        if self.slice.of_one_clip:
            return self._of_worst_clip(series, figures, baseline)
        if self.slice.kind == "clip":
            fitting = {c: values for c, values in series.items() if self.slice.takes(figures.clips[c])}
            none = " (there are none)" if series and not fitting else ""
            where = f" on clips {self.slice.pattern}{none}"
            return self._said(self._estimate(fitting, figures), where, baseline)
        return self._said(self._estimate(series, figures), "", baseline)

    @property
    def _rising(self) -> bool:
        """Whether higher numbers are better: of the improvement they are."""
        return self.bound.of_baseline or METRICS[self.metric].direction is Direction.HIGHER

    def _cost(self, figures: Figures, subject: str, baseline: str) -> GateCheck:
        cost = COSTS[self.metric]
        value = figures.cost(subject, self.metric, baseline)
        if not self.bound.of_baseline:
            at_least = self.bound is Bound.AT_LEAST
            return checked(self.metric, value, self.limit, at_least=at_least, unit=cost.unit)
        reference = figures.cost(baseline, self.metric, baseline)
        gain = None if value is None or reference is None else cost.improvement(value, reference)
        return self._bound_of(gain, cost.unit, "", baseline)

    def _series(self, figures: Figures, subject: str, baseline: str) -> Series:
        """Values, or improvements, of each clip's frames in order."""
        own = {c: v for c, v in figures.values(subject, self.metric).items() if v and c in figures.clips}
        if self.bound.of_baseline:
            return improvements(METRICS[self.metric], own, figures.values(baseline, self.metric))
        return {clip: [frames[index] for index in sorted(frames)] for clip, frames in own.items()}

    def _missing(self, series: Series, figures: Figures) -> str:
        """Which of the clips that count have no value, if others have: they must not be left out."""
        chosen = [clip for clip, name in figures.clips.items() if self.slice.takes(name)]
        missing = sorted(figures.clips[clip] for clip in chosen if not series.get(clip))
        if not missing or len(missing) == len(chosen):
            return ""
        return f" on {missing[0]}" + (f" and {len(missing) - 1} more clips" if missing[1:] else "")

    def _estimate(self, series: Series, figures: Figures) -> Estimate | None:
        if not series:
            return None
        if self.confidence is Confidence.MEAN:
            mean = fmean(fmean(values) for values in series.values())
            return Estimate(mean, mean, mean, sum(map(len, series.values())), len(series), 1)
        summary = summarize(series, seed=figures.seed, drawn=figures.drawn(figures.seed))
        return summary.total if self.confidence is Confidence.OTHER_CLIPS else summary.within

    def _of_worst_frames(self, series: Series) -> Estimate | None:
        ordered = sorted((value for values in series.values() for value in values), reverse=not self._rising)
        if not ordered:
            return None
        worst = ordered[: max(1, math.ceil(self.slice.share * len(ordered)))]
        return Estimate(fmean(worst), fmean(worst), fmean(worst), len(worst), len(series), 1)

    def _of_worst_clip(self, series: Series, figures: Figures, baseline: str) -> GateCheck:
        """Every clip keeps the bound if the one that is nearest to it, or past it, does."""
        found = {clip: self._estimate({clip: values}, figures) for clip, values in sorted(series.items())}
        ends = {clip: self._end(estimate) for clip, estimate in found.items() if estimate}
        if not ends:
            return self._said(None, "", baseline)
        choose = min if self._rising else max
        clip = choose(ends, key=lambda name: ends[name])
        return self._said(found[clip], f" on {figures.clips[clip]}, the worst of {len(ends)} clips", baseline)

    def _end(self, estimate: Estimate) -> float:
        return estimate.low if self._rising else estimate.high

    def _said(self, estimate: Estimate | None, where: str, baseline: str) -> GateCheck:
        metric = METRICS[self.metric]
        reach = None if estimate is None or self.confidence is Confidence.MEAN else self._end(estimate)
        mean = None if estimate is None else estimate.mean
        if self.bound.of_baseline:
            return self._bound_of(mean, metric.unit, where, baseline, reach)
        at_least = self.bound is Bound.AT_LEAST
        return checked(
            f"{self.metric}{where}", mean, self.limit, at_least=at_least, unit=metric.unit, reach=reach
        )

    def _bound_of(
        self, gain: float | None, unit: str, where: str, baseline: str, reach: float | None = None
    ) -> GateCheck:
        limit = -self.limit if self.bound is Bound.NOT_WORSE else self.limit
        # No -0.
        name = f"{self.metric}{where} against {baseline}"
        return checked(name, gain, limit or 0.0, at_least=True, unit=unit, reach=reach, signed=True)

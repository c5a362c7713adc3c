"""Means with intervals: for other frames of the same clips, and for other clips."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean

from autoisp_core.errors import InvalidArgumentError
from autoisp_core.quality.blocks import block_length, block_means
from autoisp_core.quality.interval import Interval, interval, standard_error

RESAMPLES = 2000
CONFIDENCE = 0.95
_FEWEST_RESAMPLES = 100

DrawnMeans = Callable[[Sequence[float], int, int], Sequence[float]]
"""Means of so many values drawn with replacement, so many times: ``drawn(values, count, resamples)``."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """A mean, and where it may lie for other footage of the same kind.

    Attributes:
        mean: of a clip's frames; of several clips: the mean of their means, so that every clip counts alike.
        low, high: the interval; infinite where one clip, or one frame, can't say how much others differ.
        frames, clips: that it was made of.
        block: frames in a block of the bootstrap, 1 if they are as good as independent; of several clips the
            median.
    """

    mean: float
    low: float
    high: float
    frames: int
    clips: int
    block: int


@dataclass(frozen=True, slots=True)
class Summary:
    """A metric over clips.

    Attributes:
        clips: by name; their intervals are for other frames of the same clip.
        within: of all; its interval is for other frames of these same clips.
        total: the same mean; its interval is for other clips of the same kind.
    """

    clips: Mapping[str, Estimate]
    within: Estimate
    total: Estimate


@dataclass(frozen=True, slots=True)
class _Clip:
    values: Sequence[float]
    length: int
    drawn: Sequence[float]

    @property
    def blocks(self) -> int:
        return len(self.values) // self.length

    @property
    def error(self) -> float:
        """Of the mean, from blocks that don't overlap."""
        starts = range(0, self.blocks * self.length, self.length)
        return standard_error([fmean(self.values[start : start + self.length]) for start in starts])


def summarize(
    values: Mapping[str, Sequence[float]],
    *,
    seed: int = 0,
    confidence: float = CONFIDENCE,
    resamples: int = RESAMPLES,
    drawn: DrawnMeans | None = None,
) -> Summary:
    """Each clip's mean and that of all, with intervals by the bootstrap.

    Within a clip, blocks of neighbouring frames are drawn (circular block bootstrap, Politis & Romano 1992),
    as long as the frames are alike. For the total, clips are drawn, and of each one of its own resampled
    means: both how clips differ and how little each says of itself make it uncertain.

    The same values, names and seed give the same intervals, in whatever order the clips come.

    Args:
        values: of the frames of each clip, in order, without those that have none.
        seed: of the draws.
        confidence: of the intervals, between 0 and 1.
        resamples: of each clip, and of the total.
        drawn: draws a clip's blocks, which is nearly all of the time; by default this does, slowly, with the
            same seed. One that keeps a state must be new for each call.

    Raises:
        InvalidArgumentError: fields `values`, `confidence` or `resamples`.
    """
    _check(values, confidence, resamples)
    source = random.Random(seed)
    drawn = drawn or _drawn_by(source)
    clips = {name: _clip(numbers, resamples, drawn) for name, numbers in sorted(values.items())}
    pools = [clip.drawn for clip in clips.values()]
    means = [fmean(clip.values) for clip in clips.values()]
    count = len(clips)

    # Clips stay, their frames are drawn: the errors of their means add up as squares.
    error = math.sqrt(math.fsum(clip.error**2 for clip in clips.values())) / count
    blocks = fmean(clip.blocks for clip in clips.values())
    freedom = sum(clip.blocks - 1 for clip in clips.values())
    together = [fmean(drawn) for drawn in zip(*pools, strict=True)]
    within = interval(fmean(means), together, error, blocks, freedom, confidence)

    others = [fmean(source.choice(pool) for pool in source.choices(pools, k=count)) for _ in range(resamples)]
    total = interval(fmean(means), others, standard_error(means), count, count - 1, confidence)

    frames = sum(len(clip.values) for clip in clips.values())
    block = sorted(clip.length for clip in clips.values())[count // 2]
    return Summary(
        {name: _of_one(clip, confidence) for name, clip in clips.items()},
        Estimate(fmean(means), *within, frames, count, block),
        Estimate(fmean(means), *total, frames, count, block),
    )


def _drawn_by(source: random.Random) -> DrawnMeans:
    return lambda values, count, resamples: [fmean(source.choices(values, k=count)) for _ in range(resamples)]


def _clip(values: Sequence[float], resamples: int, drawn: DrawnMeans) -> _Clip:
    length = block_length(values)
    count = round(len(values) / length)
    return _Clip(values, length, drawn(block_means(values, length), count, resamples))


def _of_one(clip: _Clip, confidence: float) -> Estimate:
    mean = fmean(clip.values)
    ends: Interval = interval(mean, clip.drawn, clip.error, clip.blocks, clip.blocks - 1, confidence)
    return Estimate(mean, *ends, len(clip.values), 1, clip.length)


def _check(values: Mapping[str, Sequence[float]], confidence: float, resamples: int) -> None:
    if not values:
        raise InvalidArgumentError("values", "there is no clip to summarize")
    for name, numbers in values.items():
        if not numbers:
            raise InvalidArgumentError("values", f"clip {name} has no frame with a value: leave it out")
        if not all(map(math.isfinite, numbers)):
            raise InvalidArgumentError("values", f"clip {name} has a value that isn't finite")
    if not 0.0 < confidence < 1.0:
        raise InvalidArgumentError("confidence", f"must lie between 0 and 1, is {confidence}")
    if resamples < _FEWEST_RESAMPLES:
        raise InvalidArgumentError("resamples", f"{resamples} are too few: take {_FEWEST_RESAMPLES} or more")

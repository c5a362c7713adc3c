"""Means with intervals, as evaluations keep them."""

from __future__ import annotations

from collections.abc import Mapping

from autoisp_core import quality
from autoisp_core.quality import summarize
from autoisp_core.quality.results import Estimate
from autoisp_runtime.figures import drawn_means


def estimates(
    values: Mapping[str, Mapping[int, float]], seed: int
) -> tuple[Estimate | None, Estimate | None]:
    """The mean over clips with its intervals within and across them; None of both without any value."""
    if not values:
        return None, None
    frames = {clip: list(numbers.values()) for clip, numbers in values.items()}
    summary = summarize(frames, seed=seed, drawn=drawn_means(seed))
    return estimate_of(summary.within), estimate_of(summary.total)


def estimate_of(found: quality.Estimate) -> Estimate:
    """What is kept of the core's estimate."""
    return Estimate(found.mean, found.low, found.high, found.frames, found.clips)

"""What gates look at, of what an evaluation measured. Statistics are the core's; here they are drawn fast."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from autoisp_core.quality import DrawnMeans, Figures, SubjectFigures
from autoisp_core.quality.results import ClipResult, State, SubjectResult, values_by_clip

_AT_ONCE = 1 << 16
"""Numbers drawn at a time: they stay in the processor's cache, and others get to run in between."""


def drawn_means(seed: int) -> DrawnMeans:
    """Draws for `summarize`: about 50 times as fast as its own, as repeatable with the same seed."""
    generator = np.random.default_rng(abs(seed))

    def draw(values: Sequence[float], count: int, resamples: int) -> list[float]:
        pool = np.asarray(values)
        rows = max(1, _AT_ONCE // count)
        number = np.uint16 if len(pool) <= 1 << 16 else np.int64
        means: list[float] = []
        while len(means) < resamples:
            shape = (min(rows, resamples - len(means)), count)
            means += pool[generator.integers(len(pool), size=shape, dtype=number)].mean(axis=1).tolist()
        return means

    return draw


def figures_of(
    totals: Sequence[SubjectResult], clips: Sequence[ClipResult], metrics: Sequence[str], seed: int
) -> Figures:
    """The figures of an evaluation that has ended.

    Args:
        totals: of every subject.
        clips: all that were to be judged; only those that were have figures.
        metrics: names of what was measured.
        seed: of intervals.
    """
    judged = [clip for clip in clips if clip.state is State.SUCCEEDED]
    return Figures(
        {total.label: _figures(total, judged, metrics) for total in totals},
        {clip.clip: clip.display_name or clip.clip for clip in judged},
        len(clips),
        seed,
        drawn_means,
    )


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

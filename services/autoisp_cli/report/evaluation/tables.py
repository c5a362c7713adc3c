"""The page's tables: quality with intervals and verdicts, cost, and devices."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from autoisp.evaluation.v1 import evaluation_pb2
from autoisp_core.quality.metric import Metric

from autoisp_cli.report.evaluation.judged import Judged, best_interval, is_bounded, mean_of, results_of
from autoisp_cli.report.evaluation.words import (
    arrow,
    interval_text,
    metric_title,
    value_text,
    verdict_text,
    verdict_word,
)
from autoisp_cli.report.figures import number
from autoisp_cli.report.outcome import macs
from autoisp_cli.report.svg import Scale, element, picture


@dataclass(frozen=True)
class Change:
    """How a subject compares with the baseline; ``bar`` draws the interval."""

    by: str
    interval: str
    word: str
    text: str
    bar: str


@dataclass(frozen=True)
class Cell:
    """One metric of one subject."""

    mean: str
    interval: str
    change: Change | None


@dataclass(frozen=True)
class QualityRow:
    """One metric; ``cells`` are in the order of the subjects, None where there is no figure."""

    metric: Metric
    title: str
    arrow: str
    cells: list[Cell | None]


@dataclass(frozen=True)
class CostRow:
    """What a subject costs; a dash for what is unknown."""

    label: str
    figures: list[str]
    where: str


@dataclass(frozen=True)
class DeviceRow:
    """One subject on one device."""

    label: str
    device: str
    frames_per_second: str
    milliseconds: str
    bound: str
    fits: bool


COSTS = (
    ("MAC/px", "multiply-accumulates per output pixel"),
    ("Parameters", ""),
    ("File", "bytes of ONNX"),
    ("Peak activations", "bytes per output pixel"),
    ("p50", "ms per output megapixel, wall time"),
    ("p95", ""),
    ("p99", ""),
    ("Peak memory", "by how much the process grew"),
)
"""The columns of :class:`CostRow` with what they mean."""


def quality_rows(judged: Judged) -> list[QualityRow]:
    """A row for each metric that any subject has a value of."""
    results = {label: results_of(judged.total(label)) for label in judged.labels}
    rows = []
    for metric in judged.metrics:
        cells = [
            _cell(judged, metric, label, results[label][metric.name])
            if metric.name in results[label] and math.isfinite(mean_of(results[label][metric.name]))
            else None
            for label in judged.labels
        ]
        if any(cells):
            rows.append(QualityRow(metric, metric_title(metric), arrow(metric), cells))
    return rows


def cost_rows(judged: Judged) -> list[CostRow]:
    """A row for each subject whose cost is known."""
    return [
        _cost(total)
        for label in judged.labels
        if (total := judged.total(label)).HasField("cost") or total.HasField("latency")
    ]


def device_rows(judged: Judged) -> Iterator[DeviceRow]:
    """A row for each subject and device."""
    for label in judged.labels:
        for device in judged.total(label).devices:
            yield DeviceRow(
                label,
                device.device,
                fps_text(device.frames_per_second_4k),
                number(device.seconds_per_megapixel * 1e3),
                device.bound,
                device.fits_4k30,
            )


def fps_text(value: float) -> str:
    """``74``, ``3.1``: frames a second, rounded down, as a display can't show part of one."""
    return f"{int(value):,}" if value >= 10 else f"{int(value * 10) / 10:g}"


def bytes_text(count: int) -> str:
    """``52.8 kB``."""
    for unit, size in (("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if count >= size:
            return f"{count / size:.3g} {unit}"
    return f"{count} B" if count else "–"


def interval_bar(comparison: evaluation_pb2.Comparison) -> str:
    """The interval beside 0 and the margin, drawn; empty where there is no interval."""
    estimate = comparison.improvement
    if not is_bounded(estimate):
        return ""
    reach = max(abs(estimate.low), abs(estimate.high), comparison.margin) * 1.08 or 1.0
    x = Scale(-reach, reach, 1, 95)
    margin = comparison.margin
    parts = [element("rect", x=x(-margin), width=x(margin) - x(-margin), y=1, height=12, class_="margin")]
    parts.append(element("line", x1=x(0), x2=x(0), y1=0, y2=14, class_="zero"))
    ends = {"x1": x(estimate.low), "x2": x(estimate.high), "y1": 7, "y2": 7}
    parts.append(element("line", class_="span", **ends))
    parts.append(element("circle", cx=x(estimate.mean), cy=7, r=3.2, class_="mean"))
    label = f"{estimate.low:.3g} to {estimate.high:.3g}"
    return picture(96, 14, label, *parts).replace(
        'class="chart"', f'class="bar {verdict_word(comparison)}"', 1
    )


def _cell(judged: Judged, metric: Metric, label: str, result: evaluation_pb2.MetricResult) -> Cell:
    comparison = judged.comparison(metric.name, label)
    change = None
    if comparison is not None:
        improvement = comparison.improvement
        change = Change(
            value_text(metric, improvement.mean, sign=True),
            interval_text(metric, improvement, sign=True),
            verdict_word(comparison),
            verdict_text(comparison),
            interval_bar(comparison),
        )
    return Cell(value_text(metric, mean_of(result)), interval_text(metric, best_interval(result)), change)


def _cost(total: evaluation_pb2.SubjectResult) -> CostRow:
    cost, latency = total.cost, total.latency
    activations = cost.peak_activation_bytes_per_pixel
    seconds = (
        (latency.p50, latency.p95, latency.p99)
        if total.HasField("latency")
        else (cost.seconds_per_megapixel, 0.0, 0.0)
    )
    figures = [
        number(macs(cost)),
        number(cost.parameters or None),
        bytes_text(cost.size_bytes),
        number(activations or None),
        *(number(value * 1e3 or None) for value in seconds),
        bytes_text(latency.peak_memory_bytes),
    ]
    threads = f"{latency.threads} thread{'s' if latency.threads != 1 else ''}" if latency.threads else ""
    where = ", ".join(filter(None, (latency.provider.removesuffix("ExecutionProvider"), threads)))
    return CostRow(total.label, figures, where)

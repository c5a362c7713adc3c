"""Evaluations, comparisons and gates as tables of a terminal."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from autoisp.evaluation.v1 import evaluation_pb2
from autoisp.ingest.v1 import ingest_pb2
from rich.table import Table

from autoisp_cli.commands.common import output_console
from autoisp_cli.report.evaluation import Judged
from autoisp_cli.report.evaluation.document import comparison_dict
from autoisp_cli.report.evaluation.judged import clip_title, mean_of, metric_named, results_of
from autoisp_cli.report.evaluation.tables import fps_text
from autoisp_cli.report.evaluation.words import (
    arrow,
    comparison_text,
    estimate_text,
    failure_words,
    gate_lines,
    interval_text,
    source_text,
    value_text,
    verdict_text,
    with_unit,
)
from autoisp_cli.report.outcome import is_judged
from autoisp_cli.views.words import cost_text

Rows = Iterator[tuple[str, object]]


def evaluation_rows(evaluation: evaluation_pb2.Evaluation) -> Rows:
    """Name and value pairs: totals with intervals, cost, verdicts, gate, and each clip."""
    judged = Judged(evaluation)
    if evaluation.HasField("failure"):
        yield "failure", failure_words(evaluation.failure)
    split = ingest_pb2.Split.Name(evaluation.split).removeprefix("SPLIT_").lower()
    yield "dataset", f"{evaluation.dataset}, {split}"
    for subject in evaluation.subjects:
        yield f"{subject.label} is", source_text(subject)
    for metric in judged.metrics:
        found = {label: results_of(judged.total(label)).get(metric.name) for label in judged.labels}
        texts = [f"{label} {estimate_text(metric, item)}" for label, item in found.items() if item]
        if texts:
            yield f"{metric.name} {arrow(metric)}", "; ".join(texts)
    yield from _costs(judged)
    for place, comparison in enumerate(evaluation.comparisons):
        yield ("" if place else "compared", comparison_text(comparison))
    yield from gate_rows(evaluation.gate_report)
    for clip in evaluation.clips:
        if is_judged(clip):
            yield clip_title(clip), _clip(judged, clip)
        else:
            state = evaluation_pb2.EvaluationState.Name(clip.state).rsplit("STATE_", 1)[-1].lower()
            yield clip_title(clip), failure_words(clip.failure) if clip.HasField("failure") else state


def gate_rows(report: evaluation_pb2.GateReport) -> Rows:
    """A row for each check."""
    for place, line in enumerate(gate_lines(report)):
        yield ("" if place else "gate", line.removeprefix("gate: "))


def comparison_table(comparisons: Sequence[evaluation_pb2.Comparison], *, as_json: bool) -> None:
    """Prints a row for each metric, or one JSON array."""
    if as_json:
        print(json.dumps([comparison_dict(comparison) for comparison in comparisons], indent=2))
        return
    table = Table("METRIC", "IMPROVEMENT", "INTERVAL", "VERDICT", "FRAMES", box=None, header_style="dim")
    for comparison in comparisons:
        metric, improvement = metric_named(comparison.metric), comparison.improvement
        unpaired = f" ({comparison.unpaired} unpaired)" if comparison.unpaired else ""
        table.add_row(
            comparison.metric,
            with_unit(metric, improvement.mean, sign=True),
            interval_text(metric, improvement, sign=True) or "–",
            verdict_text(comparison),
            f"{improvement.frames} of {improvement.clips} clips{unpaired}",
        )
    output_console().print(table)


def _costs(judged: Judged) -> Rows:
    for label in judged.labels:
        total = judged.total(label)
        parts = [cost_text(total.cost)]
        if total.HasField("latency"):
            times = "/".join(f"{getattr(total.latency, p) * 1e3:.3g}" for p in ("p50", "p95", "p99"))
            parts.append(f"p50/p95/p99 {times} ms/MP")
        for device in total.devices:
            fits = "fits" if device.fits_4k30 else "misses"
            fps = fps_text(device.frames_per_second_4k)
            parts.append(f"{fits} 4K30 at {device.device}: {fps} fps, bound by {device.bound}")
        if text := ", ".join(filter(None, parts)):
            yield f"{label} costs", text


def _clip(judged: Judged, clip: evaluation_pb2.ClipResult) -> str:
    texts = []
    for result in clip.subjects:
        found = results_of(result)
        means = [
            f"{metric.name} {value_text(metric, mean_of(found[metric.name]))}"
            for metric in judged.metrics
            if metric.name in found
        ]
        texts.append(f"{result.label} {', '.join(means)}")
    return "; ".join(texts)

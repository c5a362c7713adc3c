"""``index.html`` of an evaluation: one file with everything in it."""

from __future__ import annotations

from dataclasses import dataclass

from autoisp.common.v1 import common_pb2
from autoisp.evaluation.v1 import evaluation_pb2
from autoisp.ingest.v1 import ingest_pb2
from autoisp_core.errors import InvalidArgumentError
from autoisp_core.sensor import SensorProfile
from google.protobuf import timestamp_pb2

from autoisp_cli.report.evaluation.colours import colours
from autoisp_cli.report.evaluation.gallery import gallery
from autoisp_cli.report.evaluation.judged import (
    Judged,
    clip_title,
    is_bounded,
    mean_of,
    results_of,
    tells_of_others,
)
from autoisp_cli.report.evaluation.plots import plots
from autoisp_cli.report.evaluation.tables import (
    COSTS,
    cost_rows,
    device_rows,
    fps_text,
    quality_rows,
)
from autoisp_cli.report.evaluation.words import (
    failure_words,
    interval_text,
    metric_title,
    source_text,
    unjudged,
    verdict,
    verdict_word,
    with_unit,
)
from autoisp_cli.report.figures import number
from autoisp_cli.report.template import fill

_TILES = 4


@dataclass(frozen=True)
class Tile:
    """A figure that stands out; ``kind`` is a class of the style sheet."""

    figure: str
    words: str
    kind: str = ""


def render(judged: Judged) -> str:
    """The page's HTML."""
    evaluation = judged.evaluation
    shades = colours(judged.labels)
    rows = quality_rows(judged)
    shown = gallery(judged)
    return fill(
        "evaluation/page.html.j2",
        judged=judged,
        # A figure stays with its unit.
        verdict=verdict(judged).replace(" dB", "\u00a0dB"),
        badge=_badge(judged),
        tiles=_tiles(judged)[:_TILES],
        gate=evaluation.gate_report if evaluation.HasField("gate_report") else None,
        colours=shades,
        rows=rows,
        compared=bool(evaluation.comparisons),
        scope=_scope(judged),
        pickers=[(metric_title(row.metric), row, plots(judged, row.metric, shades)) for row in rows],
        gallery=shown,
        costs=cost_rows(judged),
        cost_columns=COSTS,
        devices=list(device_rows(judged)),
        failures=[
            (clip_title(clip), clip.failure.reason or "UNKNOWN", failure_words(clip.failure))
            for clip in unjudged(evaluation)
        ],
        lineage=_lineage(judged),
    )


def _badge(judged: Judged) -> tuple[str, bool]:
    """The word beside the brand, and whether it is a good one."""
    evaluation = judged.evaluation
    if evaluation.HasField("gate_report"):
        return ("gate passed", True) if evaluation.gate_report.passed else ("gate failed", False)
    if evaluation.state == evaluation_pb2.EVALUATION_STATE_SUCCEEDED:
        return ("judged", True) if judged.passed else ("judged in part", False)
    return evaluation_pb2.EvaluationState.Name(evaluation.state).rsplit("STATE_", 1)[-1].lower(), False


def _tiles(judged: Judged) -> list[Tile]:
    label, total = judged.challenger, judged.total(judged.challenger)
    tiles = []
    for metric in judged.metrics[:2]:
        comparison = judged.comparison(metric.name, label)
        result = results_of(total).get(metric.name)
        if comparison is not None:
            by = with_unit(metric, comparison.improvement.mean, sign=True)
            interval = interval_text(metric, comparison.improvement, sign=True)
            words = f"{metric_title(metric)} against {comparison.baseline}" + (
                f", {interval}" if interval else ""
            )
            tiles.append(Tile(by, words, verdict_word(comparison)))
        elif result is not None:
            tiles.append(Tile(with_unit(metric, mean_of(result)), f"{metric_title(metric)} of {label}"))
    if total.HasField("latency") and total.latency.p50:
        tiles.append(Tile(f"{number(total.latency.p50 * 1e3)} ms", f"per megapixel, {label}, median"))
    if total.devices:
        device = max(total.devices, key=lambda item: item.frames_per_second_4k)
        fits = "fits" if device.fits_4k30 else "misses"
        words = f"{fits} 4K30 on {device.device}, bound by {device.bound}"
        kind = "better" if device.fits_4k30 else "worse"
        tiles.append(Tile(f"{fps_text(device.frames_per_second_4k)} fps", words, kind))
    frames = sum(max((len(s.frames) for s in clip.subjects), default=0) for clip in judged.clips)
    count = len(judged.clips)
    tiles.append(
        Tile(f"{frames:,}", f"frame{'s' if frames != 1 else ''} of {count} clip{'s' if count != 1 else ''}")
    )
    return tiles


def _scope(judged: Judged) -> str:
    """What the table's intervals hold for."""
    results = [result for label in judged.labels for result in results_of(judged.total(label)).values()]
    if any(map(tells_of_others, results)):
        return "Intervals hold 95 % of the time for other clips of the same kind."
    if any(is_bounded(result.within) for result in results):
        return (
            "Intervals hold 95 % of the time for other frames of these clips; how much other clips differ, "
            "fewer than five can’t say."
        )
    return "Too few frames for intervals."


def _lineage(judged: Judged) -> list[tuple[str, str]]:
    evaluation = judged.evaluation
    rows = [
        ("Evaluation", evaluation.name),
        ("Dataset", evaluation.dataset),
        ("Split", ingest_pb2.Split.Name(evaluation.split).removeprefix("SPLIT_").lower()),
        ("Frames per clip", str(evaluation.frames_per_clip or "all")),
        *((f"Subject {subject.label}", source_text(subject)) for subject in evaluation.subjects),
        ("Sensor", _sensor(evaluation.sensor)),
        ("Seed", str(evaluation.seed)),
        ("Metrics", ", ".join(metric.name for metric in judged.metrics)),
        ("Search", evaluation.search),
        ("Trial", evaluation.trial),
        ("Begun", _time(evaluation, "create_time")),
        ("Ended", _time(evaluation, "end_time")),
    ]
    return [(name, value) for name, value in rows if value]


def _sensor(sensor: common_pb2.Sensor) -> str:
    name = f"builtin:{sensor.builtin}" if sensor.builtin else "builtin:phone"
    if sensor.toml:
        try:
            name = SensorProfile.from_toml(sensor.toml).name
        except InvalidArgumentError:
            name = "of its own"
    noise = sensor.test_noise
    shot = f", noise shot {noise.shot:g}, read {noise.read:g}" if sensor.HasField("test_noise") else ""
    return name + shot


def _time(evaluation: evaluation_pb2.Evaluation, field: str) -> str:
    time: timestamp_pb2.Timestamp = getattr(evaluation, field)
    return f"{time.ToDatetime():%Y-%m-%d %H:%M:%S} UTC" if time.seconds else ""

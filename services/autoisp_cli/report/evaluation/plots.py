"""Small plots of each metric over a clip's frames, a line for each subject."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from html import escape
from itertools import groupby

from autoisp.evaluation.v1 import evaluation_pb2
from autoisp_core.quality.metric import Metric

from autoisp_cli.report.evaluation.colours import Colour
from autoisp_cli.report.evaluation.judged import Judged, clip_title, mean_of, results_of, series
from autoisp_cli.report.evaluation.words import interval_text, metric_title, value_text, with_unit
from autoisp_cli.report.outcome import subject
from autoisp_cli.report.svg import Scale, axes, element, padded, picture

WIDTH, HEIGHT = 460.0, 220.0
_LEFT, _RIGHT, _TOP, _BOTTOM = 62.0, WIDTH - 8, 12.0, HEIGHT - 50
Series = Sequence[tuple[int, float]]


@dataclass(frozen=True)
class Plot:
    """One clip's plot of one metric; ``drawn`` is empty where no frame has a value."""

    title: str
    drawn: str
    means: Sequence[tuple[str, Colour, str, str]]
    """Label, colour, mean and interval of each subject."""


def plots(judged: Judged, metric: Metric, colours: Mapping[str, Colour]) -> list[Plot]:
    """One plot for each clip that was judged."""
    return [_plot(clip, metric, colours) for clip in judged.clips]


def decimated(points: Series, x: Scale) -> list[tuple[float, float]]:
    """At most two points for each pixel column, its lowest and its highest value, in their order.

    What stands out stays visible, which a mean or every n-th frame would hide.

    Args:
        points: frame and finite value, frames rising.

    Returns:
        Horizontal place and value.
    """
    found: list[tuple[float, float]] = []
    for _, group in groupby(points, key=lambda point: math.floor(x(point[0]))):
        column = list(group)
        ends = {min(column, key=_value), max(column, key=_value)}
        found += [(x(frame), value) for frame, value in sorted(ends)]
    return found


def segments(points: Series) -> list[list[tuple[int, float]]]:
    """The runs of finite values: a line is broken where a frame has none."""
    runs = groupby(points, key=lambda point: math.isfinite(point[1]))
    return [list(run) for finite, run in runs if finite]


def _plot(clip: evaluation_pb2.ClipResult, metric: Metric, colours: Mapping[str, Colour]) -> Plot:
    lines = {label: series(subject(clip.subjects, label), metric.name) for label in colours}
    means = []
    for label, colour in colours.items():
        result = results_of(subject(clip.subjects, label)).get(metric.name)
        if result is not None:
            interval = interval_text(metric, result.within)
            means.append((label, colour, with_unit(metric, mean_of(result)), interval))
    return Plot(clip_title(clip), _draw(clip_title(clip), metric, lines, colours), means)


def _draw(title: str, metric: Metric, lines: Mapping[str, Series], colours: Mapping[str, Colour]) -> str:
    frames = [frame for line in lines.values() for frame, _ in line]
    values = [value for line in lines.values() for _, value in line if math.isfinite(value)]
    if not values:
        return ""
    first, last = min(frames), max(frames)
    x = Scale(first, last if last > first else first + 1, _LEFT, _RIGHT)
    y = Scale(*padded(values, share=0.1), _BOTTOM, _TOP)
    parts = [axes(x, y, "frame", metric.unit, lambda value: f"{value:,.0f}" if value % 1 == 0 else "")]
    for label, line in lines.items():
        mean = [value for _, value in line if math.isfinite(value)]
        if not mean:
            continue
        low, high = value_text(metric, min(mean)), with_unit(metric, max(mean))
        tip = element("title", escape(f"{label}: {low} to {high}, {len(mean)} frames"))
        runs = "".join(_path(run, x, y) for run in segments(line))
        parts.append(element("path", tip, d=runs, class_=f"series {colours[label].name}", data_label=label))
    parts.append(element("line", class_="cursor", x1=0, x2=0, y1=_TOP, y2=_BOTTOM))
    drawn = picture(WIDTH, HEIGHT, f"{metric_title(metric)} over the frames of {title}", *parts)
    # For the script, which reads values off the lines instead of being told all of them once more.
    scales = ",".join(f"{number:.9g}" for s in (x, y) for number in (s.low, s.high, s.start, s.end))
    return drawn.replace("<svg", f'<svg data-scales="{scales}" data-unit="{escape(metric.unit)}"', 1)


def _path(run: Series, x: Scale, y: Scale) -> str:
    places = [f"{at:.1f},{y(value):.2f}".replace(".0,", ",") for at, value in decimated(run, x)]
    # A single value is a dot: with round ends, a line of no length is one.
    return f"M{places[0]}" + ("".join(f"L{place}" for place in places[1:]) or f"L{places[0]}")


def _value(point: tuple[int, float]) -> float:
    return point[1]

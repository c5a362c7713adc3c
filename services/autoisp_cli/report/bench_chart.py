"""The benchmark's chart: how good each strategy's front is after so many trials. A file of its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from autoisp_cli.report.svg import Scale, axes, element, padded, text

WIDTH, HEIGHT = 900.0, 460.0
_LABELS = 175.0
_LINE = 15.0
_FIRST = 5
"""The curves begin here: of the first few trials there is nothing to tell."""

_COLOURS = ("#0a8f7f", "#1d4fae", "#c2620b", "#8a3fb5", "#b0303c", "#5c7a16", "#3a8fb7", "#8a6d3b", "#5c6573")
_STYLE = """
text { font: 13px system-ui, sans-serif; fill: #3c4450; } .tick { font-size: 12px; fill: #5c6573; }
.grid { stroke: #e3e7ed; } .axis { stroke: #9aa5b5; } .peer { stroke-dasharray: 5 4; }
.curve { fill: none; stroke-width: 2; stroke-linejoin: round; } .band { opacity: .13; }
"""


def bench_chart(result: Mapping[str, Any]) -> str:
    """Medians over the seeds, with the quartiles of the two best strategies as bands; peers are dashed.

    Args:
        result: the benchmark's document.
    """
    strategies, trials = result["strategies"], result["trials"]
    order = sorted(strategies, key=lambda name: -strategies[name]["curve"]["median"][-1])
    begin = min(_FIRST, trials) - 1
    heights = [value for name in order for value in strategies[name]["curve"]["median"][begin:]]
    x = Scale(0, max(trials, 2), 64, WIDTH - _LABELS)
    y = Scale(*padded(heights, share=0.08), HEIGHT - 56, 18)
    parts = [
        element("style", _STYLE),
        element("rect", width=WIDTH, height=HEIGHT, fill="#ffffff"),
        axes(x, y, "trials", "hypervolume, share of the table's best", lambda value: f"{value:g}"),
    ]
    colours = {name: _COLOURS[index % len(_COLOURS)] for index, name in enumerate(order)}
    for name in order[:2]:
        curve = strategies[name]["curve"]
        edge = [*_points(curve["low"], begin, x, y), *reversed(_points(curve["high"], begin, x, y))]
        parts.append(element("polygon", points=" ".join(edge), fill=colours[name], class_="band"))
    for name in reversed(order):
        points = " ".join(_points(strategies[name]["curve"]["median"], begin, x, y))
        kind = "curve peer" if name in result["peers"] else "curve"
        parts.append(element("polyline", points=points, stroke=colours[name], class_=kind))
    parts += _labels([(name, strategies[name]["curve"]["median"][-1]) for name in order], colours, x, y)
    return element(
        "svg",
        *parts,
        xmlns="http://www.w3.org/2000/svg",
        viewBox=f"0 0 {WIDTH:g} {HEIGHT:g}",
        role="img",
        aria_label="Hypervolume against trials",
    )


def _points(values: Sequence[float], begin: int, x: Scale, y: Scale) -> list[str]:
    return [f"{x(index + 1):.1f},{y(value):.1f}" for index, value in enumerate(values) if index >= begin]


def _labels(ends: Sequence[tuple[str, float]], colours: Mapping[str, str], x: Scale, y: Scale) -> list[str]:
    """The strategies' names beside the ends of their curves, pushed apart where these lie close."""
    labels, lowest = [], float("-inf")
    for name, value in ends:
        lowest = max(y(value) + 4, lowest + _LINE)
        labels.append(text(x.end + 8, lowest, f"{name} {value:.3f}", style=f"fill:{colours[name]}"))
    return labels

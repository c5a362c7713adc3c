"""The report's plots: every trial's quality against its cost, and quality along a clip."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from autoisp.common.v1 import common_pb2
from autoisp.evaluation.v1 import evaluation_pb2
from autoisp.search.v1 import search_pb2

from autoisp_cli.report.figures import figure
from autoisp_cli.report.outcome import MODEL, PROTOTYPE, Outcome, macs, subject
from autoisp_cli.report.svg import Scale, axes, element, fallen, floor, padded, picture, text

WIDTH, HEIGHT = 860.0, 420.0
_BUDGET_LABEL_WIDTH = 110.0
RUNG_COLOURS = 5
"""How many rungs the style sheet has a colour for; later ones share the last."""


@dataclass(frozen=True)
class Axis:
    """What the horizontal axis of the Pareto plot shows: the cost that the budget binds."""

    label: str
    value: Callable[[common_pb2.Cost], float | None]
    limit: float | None


def cost_axes(search: search_pb2.Search) -> list[Axis]:
    """The costs that are objectives or limited; MAC per pixel if none is."""
    seconds = search.HasField("seconds_per_megapixel_limit")
    limit = search.seconds_per_megapixel_limit * 1e3 if seconds else None
    time = Axis("ms per output megapixel, one thread (log)", _milliseconds, limit)
    bound = search.macs_per_pixel_limit if search.HasField("macs_per_pixel_limit") else None
    arithmetic = Axis("multiply-accumulates per output pixel (log)", macs, bound)
    costs = (("macs", arithmetic), ("latency", time))
    return [axis for name, axis in costs if axis.limit or name in search.objectives] or [arithmetic]


def pareto(outcome: Outcome, axis: Axis) -> str:
    """Validation quality against a cost, one dot per trial; empty text if no trial was trained.

    A network far below all others stands at the bottom, with its figure.

    The prototype is a horizontal line, the budget a vertical one; over-budget trials are ticks at the bottom.
    """
    points = [
        (cost, trial)
        for trial in outcome.trials
        if trial.state == search_pb2.TRIAL_STATE_SUCCEEDED and (cost := axis.value(trial.cost))
    ]
    if not points:
        return ""
    pruned = [
        cost
        for trial in outcome.trials
        if trial.state == search_pb2.TRIAL_STATE_PRUNED and (cost := axis.value(trial.cost))
    ]
    baseline = outcome.search.prototype_profile.quality.psnr_db
    heights = [trial.quality.psnr_db for _, trial in points] + ([baseline] if baseline > 0 else [])
    low = floor(heights)
    costs = [cost for cost, _ in points] + pruned + ([axis.limit] if axis.limit else [])
    x = Scale(*padded(costs, log=True, share=0.05), 64, WIDTH - 20, log=True)
    y = Scale(*padded([max(low, height) for height in heights], share=0.1), HEIGHT - 56, 18)
    parts = [axes(x, y, axis.label, "PSNR on validation frames, dB", short)]
    if axis.limit:
        parts += _budget(x, y, axis.limit)
    if baseline > 0:
        at = y(baseline)
        parts.append(element("line", x1=x.start, x2=x.end, y1=at, y2=at, class_="prototype"))
        label = f"prototype {baseline:.2f} dB"
        chosen = next((x(cost) for cost, trial in points if trial.name == outcome.search.best_trial), WIDTH)
        # At the other end than the chosen network's own label.
        place, side = (x.end - 8, "end") if chosen < WIDTH * 0.45 else (x.start + 8, "start")
        parts.append(text(place, at - 7, label, class_="note prototype-text", text_anchor=side))
    for cost in pruned:
        mark = element("title", "over budget: refused before training")
        parts.append(
            element("line", mark, x1=x(cost), x2=x(cost), y1=y.start - 12, y2=y.start, class_="pruned")
        )
    parts.append(_front([point for point in _longest(points) if point[1] >= low], x, y))
    for cost, trial in points:
        psnr = trial.quality.psnr_db
        parts.append(_dot(outcome, trial, x(cost), y(max(low, psnr)), cost))
        parts.append(fallen(psnr, low, x(cost), y(low)))
    return picture(WIDTH, HEIGHT, "Quality against cost of all trials", *parts)


def frames(clip: evaluation_pb2.ClipResult) -> str:
    """PSNR of the prototype and of the found network along a clip; empty text with fewer than two frames."""
    lines = {label: subject(clip.subjects, label).frames for label in (PROTOTYPE, MODEL)}
    values = [frame.quality.psnr_db for line in lines.values() for frame in line]
    numbers = sorted({frame.frame for line in lines.values() for frame in line})
    if len(numbers) < 2:
        return ""
    height = 300.0
    x = Scale(numbers[0], numbers[-1], 64, WIDTH - 20)
    y = Scale(*padded(values, share=0.12), height - 56, 14)
    parts = [axes(x, y, "frame", "PSNR, dB", lambda value: f"{value:g}")]
    for label, line in lines.items():
        places = " ".join(f"{x(frame.frame):.1f},{y(frame.quality.psnr_db):.1f}" for frame in line)
        parts.append(element("polyline", points=places, class_=f"line {label}"))
        for frame in line:
            title = element("title", f"frame {frame.frame}, {label}: {frame.quality.psnr_db:.2f} dB")
            at = {"cx": x(frame.frame), "cy": y(frame.quality.psnr_db), "r": 3.5}
            parts.append(element("circle", title, class_=f"point {label}", **at))
    return picture(WIDTH, height, f"PSNR per frame of {clip.display_name}", *parts)


def short(value: float) -> str:
    """A number for an axis: ``1.2k`` instead of ``1200``."""
    return f"{value / 1e6:g}M" if value >= 1e6 else f"{value / 1e3:g}k" if value >= 1e3 else f"{value:g}"


def _milliseconds(cost: common_pb2.Cost) -> float | None:
    return cost.seconds_per_megapixel * 1e3 or None


def _budget(x: Scale, y: Scale, limit: float) -> Sequence[str]:
    at = x(limit)
    shade = {"x": at, "y": y.end, "width": x.end - at, "height": y.start - y.end}
    left = x.end - at < _BUDGET_LABEL_WIDTH
    label = text(
        at - 8 if left else at + 8,
        y.end + 14,
        f"budget {figure(limit)}",
        class_="note",
        text_anchor="end" if left else "start",
    )
    return [
        element("rect", class_="over", **shade),
        element("line", x1=at, x2=at, y1=y.start, y2=y.end, class_="budget"),
        label,
    ]


def _longest(points: Sequence[tuple[float, search_pb2.Trial]]) -> list[tuple[float, float]]:
    """Cost and quality of each network, as of its longest training: that is what it can do."""
    latest: dict[str, tuple[float, search_pb2.Trial]] = {}
    for cost, trial in sorted(points, key=lambda point: point[1].rung):
        latest[trial.spec_hash or trial.name] = (cost, trial)
    return [(cost, trial.quality.psnr_db) for cost, trial in latest.values()]


def _front(points: Sequence[tuple[float, float]], x: Scale, y: Scale) -> str:
    """A staircase along the trials that no cheaper one beats."""
    path, best = "", float("-inf")
    for cost, psnr in sorted(points, key=lambda point: (point[0], -point[1])):
        if psnr > best:
            path += f" H{x(cost):.1f} V{y(psnr):.1f}" if path else f"M{x(cost):.1f},{y(psnr):.1f}"
            best = psnr
    return element("path", d=f"{path} H{x.end:.1f}", class_="front")


def _dot(outcome: Outcome, trial: search_pb2.Trial, cx: float, cy: float, cost: float) -> str:
    best = trial.name == outcome.search.best_trial
    name = trial.name.rsplit("/", 1)[-1]
    quality = f"{trial.quality.psnr_db:.2f} dB at {figure(cost)}"
    title = element("title", f"{name}, rung {trial.rung + 1}: {quality}")
    rung = min(trial.rung, RUNG_COLOURS - 1)
    front = " on-front" if trial.name in outcome.search.pareto_trials else ""
    radius = 5.5 if best or front else 4.5
    dot = element("circle", title, cx=cx, cy=cy, r=radius, class_=f"dot rung{rung}{front}")
    if not best:
        return dot
    ring = element("circle", cx=cx, cy=cy, r=11, class_="winner")
    side = {"text_anchor": "end"} if cx > WIDTH * 0.5 else {}
    # Beside the ring and above the front's line.
    label = text(cx - 15 if side else cx + 15, cy - 8, "chosen", class_="note model-text", **side)
    return ring + dot + label

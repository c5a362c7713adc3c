"""When the good networks were found: each trial's quality in the order of their ends, and the best so far."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

from autoisp.search.v1 import search_pb2
from autoisp_core.spec import Spec, SpecError, is_anchor

from autoisp_cli.report.outcome import Outcome
from autoisp_cli.report.svg import Scale, axes, element, fallen, floor, padded, picture, text

WIDTH, HEIGHT = 860.0, 330.0
_FEWEST = 2


class Origin(Enum):
    """Where a network came from; the value is its class in the style sheet."""

    OPENER = "opener"
    """A known design, which strategies begin with so as not to end below it."""
    PROPOSED = "proposed"
    PROMOTED = "promoted"
    """Trained before, and now for longer."""


def origin(trial: search_pb2.Trial) -> Origin:
    """Where the trial's network came from."""
    if trial.rung > 0:
        return Origin.PROMOTED
    try:
        return Origin.OPENER if is_anchor(Spec.from_json(trial.spec)) else Origin.PROPOSED
    except SpecError:
        return Origin.PROPOSED


def in_order(trials: Sequence[search_pb2.Trial]) -> list[search_pb2.Trial]:
    """The successful trials in the order in which they ended."""
    good = [trial for trial in trials if trial.state == search_pb2.TRIAL_STATE_SUCCEEDED]
    return sorted(good, key=lambda trial: (trial.end_time.ToNanoseconds(), trial.rung, trial.name))


def draw(outcome: Outcome) -> str:
    """The chart; empty text with fewer than two successful trials."""
    trials = in_order(outcome.trials)
    if len(trials) < _FEWEST:
        return ""
    heights = [trial.quality.psnr_db for trial in trials]
    baseline = outcome.search.prototype_profile.quality.psnr_db
    known = heights + ([baseline] if baseline > 0 else [])
    low = floor(known)
    x = Scale(0.5, len(trials) + 0.5, 64, WIDTH - 20)
    y = Scale(*padded([max(low, height) for height in known], share=0.1), HEIGHT - 56, 18)
    parts = [axes(x, y, "trial, in the order of their ends", "PSNR on validation frames, dB", _whole)]
    if baseline > 0:
        at = y(baseline)
        parts.append(element("line", x1=x.start, x2=x.end, y1=at, y2=at, class_="prototype"))
        label = f"prototype {baseline:.2f} dB"
        parts.append(text(x.start + 8, at - 7, label, class_="note prototype-text"))
    parts.append(_best_so_far([max(low, height) for height in heights], x, y))
    for number, trial in enumerate(trials, 1):
        psnr = trial.quality.psnr_db
        parts.append(_mark(trial, x(number), y(max(low, psnr))))
        parts.append(fallen(psnr, low, x(number), y(low)))
    return picture(WIDTH, HEIGHT, "Best quality so far, trial by trial", *parts)


def _best_so_far(heights: Sequence[float], x: Scale, y: Scale) -> str:
    best, path = heights[0], f"M{x(1):.1f},{y(heights[0]):.1f}"
    for number, height in enumerate(heights[1:], 2):
        path += f" H{x(number):.1f}"
        if height > best:
            best = height
            path += f" V{y(best):.1f}"
    return element("path", d=path, class_="line model")


def _mark(trial: search_pb2.Trial, cx: float, cy: float) -> str:
    name, kind = trial.name.rsplit("/", 1)[-1], origin(trial).value
    title = element("title", f"{name}, {kind}: {trial.quality.psnr_db:.2f} dB")
    if kind == Origin.OPENER.value:
        return element("rect", title, x=cx - 4.5, y=cy - 4.5, width=9, height=9, class_=f"dot {kind}")
    return element("circle", title, cx=cx, cy=cy, r=4.5, class_=f"dot {kind}")


def _whole(value: float) -> str:
    return f"{value:.0f}" if value == round(value) else ""

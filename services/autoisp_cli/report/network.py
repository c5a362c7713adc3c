"""The found network around its block, drawn: stem, state, blocks, head, and the fixed demosaic."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from autoisp_core.spec import Spec

from autoisp_cli.report.svg import element, picture, text

BOX_WIDTH, BOX_HEIGHT, GAP, MARGIN = 128.0, 46.0, 22.0, 14.0
LOOP_HEIGHT, DETOUR = 40.0, 76.0
"""Room for the state's way back above the boxes, and from them to the demosaic below."""


@dataclass(frozen=True)
class _Step:
    name: str
    title: str
    note: str
    family: str


def draw(spec: Spec) -> str:
    """The network as an SVG picture, from raw frames to sRGB."""
    steps = _steps(spec)
    top = MARGIN + (LOOP_HEIGHT if spec.recurrent else 0)
    places = {step.name: MARGIN + index * (BOX_WIDTH + GAP) for index, step in enumerate(steps)}
    parts = [_arrow(places[a.name] + BOX_WIDTH, top, places[b.name]) for a, b in pairwise(steps)]
    parts += [_box(step, places[step.name], top) for step in steps]
    if "fuse" in places:
        parts.append(_loop(places["fuse"], top))
    if "join" in places:
        parts += _detour(places["raw"], places["join"], top)
    width = MARGIN + len(steps) * (BOX_WIDTH + GAP) - GAP + MARGIN
    height = top + BOX_HEIGHT + (DETOUR + BOX_HEIGHT / 2 if "join" in places else 0) + MARGIN
    label = "The found network: " + ", ".join(step.title for step in steps)
    return picture(width, height, label, _ARROW_HEAD, *parts).replace(
        'class="chart"', f'class="chart block" style="max-width:{width * 1.1:.0f}px"', 1
    )


def _steps(spec: Spec) -> Sequence[_Step]:
    frames = f"{spec.frames} raw frame{'s' if spec.frames != 1 else ''}"
    side, ends = spec.packing, (spec.stem_kernel, spec.head_kernel)
    steps = [
        _Step("raw", frames, f"packed {side}×{side}", "end"),
        _Step("stem", "stem", f"conv {ends[0]}×{ends[0]}, {spec.width} wide", "conv"),
    ]
    if spec.recurrent:
        steps.append(_Step("fuse", "fuse state", "where it stands still", "gate"))
    steps.append(_Step("blocks", f"{spec.repeats} × block", "drawn below", "found"))
    given = "kernels" if spec.head else "pixels"
    steps.append(_Step("head", "head", f"conv {ends[1]}×{ends[1]}, {given}", "conv"))
    if spec.head or spec.residual:
        steps.append(_Step("join", *_join(spec), "join"))
    return [*steps, _Step("out", "sRGB", "colour matrix, tone", "end")]


def _join(spec: Spec) -> tuple[str, str]:
    if spec.head:
        return ("apply, add" if spec.residual else "apply kernels"), "each pixel its own"
    return "add", "a correction"


_ARROW_HEAD = element(
    "defs",
    element(
        "marker",
        element("path", d="M0,0 L8,4 L0,8 z", class_="arrow"),
        id="arrow",
        viewBox="0 0 8 8",
        refX=7,
        refY=4,
        markerWidth=8,
        markerHeight=8,
        markerUnits="userSpaceOnUse",
        orient="auto",
    ),
)


def _box(step: _Step, x: float, y: float) -> str:
    middle = x + BOX_WIDTH / 2
    return (
        element("rect", x=x, y=y, width=BOX_WIDTH, height=BOX_HEIGHT, rx=9, class_=f"box {step.family}")
        + text(middle, y + 20, step.title, class_="box-title", text_anchor="middle")
        + text(middle, y + 36, step.note, class_="box-note", text_anchor="middle")
    )


def _arrow(start: float, top: float, end: float) -> str:
    y = top + BOX_HEIGHT / 2
    return _path(f"M{start:.1f},{y:.1f} L{end:.1f},{y:.1f}")


def _loop(x: float, top: float) -> str:
    """The state leaves at the right and is back at the left, a frame later."""
    left, middle, right = (x + BOX_WIDTH * share for share in (0.25, 0.5, 0.75))
    high = top - LOOP_HEIGHT * 0.55
    path = (
        f"M{right:.1f},{top:.1f} C{right:.1f},{high:.1f} {right:.1f},{high:.1f} {middle:.1f},{high:.1f} "
        f"C{left:.1f},{high:.1f} {left:.1f},{high:.1f} {left:.1f},{top:.1f}"
    )
    label = text(right + 8, high + 6, "state, to the next frame", class_="box-note")
    return _path(path) + label


def _detour(raw: float, join: float, top: float) -> list[str]:
    """From the newest raw frame through the fixed demosaic to where it is needed."""
    bottom, y = top + BOX_HEIGHT, top + BOX_HEIGHT / 2 + DETOUR
    start, end = raw + BOX_WIDTH / 2, join + BOX_WIDTH / 2
    x = (start + end) / 2 - BOX_WIDTH / 2
    step = _Step("demosaic", "fixed demosaic", "newest frame", "plain")
    return [
        _path(f"M{start:.1f},{bottom:.1f} L{start:.1f},{y:.1f} L{x:.1f},{y:.1f}"),
        _path(f"M{x + BOX_WIDTH:.1f},{y:.1f} L{end:.1f},{y:.1f} L{end:.1f},{bottom:.1f}"),
        _box(step, x, top + DETOUR),
    ]


def _path(d: str) -> str:
    return element("path", d=d, class_="edge", marker_end="url(#arrow)")

"""Just enough SVG: elements, scales and axes. Colours come from the page's style sheet through classes."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from html import escape

_FAR = 2
"""Times the distance from a value that two thirds reach to the highest."""


def element(tag: str, *children: str, **attributes: object) -> str:
    """One element; a trailing underscore in a name is dropped (``class_``), others become hyphens."""
    names = {name: name.rstrip("_").replace("_", "-") for name in attributes}
    written = "".join(f' {names[name]}="{escape(_text(value))}"' for name, value in attributes.items())
    return f"<{tag}{written}>{''.join(children)}</{tag}>"


def text(x: float, y: float, content: str, **attributes: object) -> str:
    """A text at a point."""
    return element("text", escape(content), x=x, y=y, **attributes)


def picture(width: float, height: float, label: str, *children: str) -> str:
    """The outermost element; it scales to the width of its container."""
    return element(
        "svg", *children, viewBox=f"0 0 {width:g} {height:g}", role="img", aria_label=label, class_="chart"
    )


def _text(value: object) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".") if isinstance(value, float) else str(value)


@dataclass(frozen=True)
class Scale:
    """A map from data to pixels, linear or logarithmic."""

    low: float
    high: float
    start: float
    end: float
    log: bool = False

    def __call__(self, value: float) -> float:
        f: Callable[[float], float] = math.log if self.log else float
        low, high = f(self.low), f(self.high)
        return self.start + (f(value) - low) / (high - low) * (self.end - self.start)

    def ticks(self, count: int = 6) -> list[float]:
        """Round numbers inside the range."""
        if self.log:
            steps = [m * 10.0**e for e in range(-9, 12) for m in (1, 2, 5)]
            inside = [step for step in steps if self.low <= step <= self.high]
            if len(inside) > 2:
                return inside if len(inside) <= count + 2 else inside[:: math.ceil(len(inside) / count)]
            # Less than a decade: even steps are rounder.
        step = _round_step((self.high - self.low) / count)
        first = math.ceil(self.low / step - 1e-9)
        return [index * step for index in range(first, math.floor(self.high / step + 1e-9) + 1)]


def padded(values: Sequence[float], *, log: bool = False, share: float = 0.06) -> tuple[float, float]:
    """A range around the values with some air at both ends, never empty."""
    low, high = min(values), max(values)
    if log:
        factor = max((high / low) ** share, 1.15)
        return low / factor, high * factor
    air = (high - low) * share or 0.05 * abs(high) or 1.0
    return low - air, high + air


def floor(values: Sequence[float]) -> float:
    """Where an axis may begin: values far below the others are not worth squeezing those for."""
    ordered = sorted(values)
    usual, high = ordered[len(ordered) // 3], ordered[-1]
    return max(ordered[0], usual - _FAR * (high - usual)) if high > usual else ordered[0]


def fallen(value: float, low: float, x: float, y: float) -> str:
    """The figure of a value below the axis, above its mark at ``low``; empty text for any other."""
    return text(x, y - 9, f"↓ {value:.1f}", class_="tick", text_anchor="middle") if value < low else ""


def axes(x: Scale, y: Scale, x_label: str, y_label: str, tick: Callable[[float], str]) -> str:
    """Grid lines, tick labels and the names of both axes."""
    parts: list[str] = []
    for value in y.ticks():
        at = y(value)
        parts.append(element("line", x1=x.start, x2=x.end, y1=at, y2=at, class_="grid"))
        parts.append(text(x.start - 8, at + 4, f"{value:g}", class_="tick", text_anchor="end"))
    for value in x.ticks():
        at = x(value)
        parts.append(element("line", x1=at, x2=at, y1=y.start, y2=y.start + 5, class_="axis"))
        parts.append(text(at, y.start + 20, tick(value), class_="tick", text_anchor="middle"))
    parts.append(element("line", x1=x.start, x2=x.end, y1=y.start, y2=y.start, class_="axis"))
    parts.append(text((x.start + x.end) / 2, y.start + 42, x_label, class_="label", text_anchor="middle"))
    middle = (y.start + y.end) / 2
    turn = f"rotate(-90 {x.start - 44:g} {middle:g})"
    parts.append(text(x.start - 44, middle, y_label, class_="label", text_anchor="middle", transform=turn))
    return "".join(parts)


def _round_step(step: float) -> float:
    power = 10.0 ** math.floor(math.log10(step))
    return next(m * power for m in (1, 2, 2.5, 5, 10) if m * power >= step - 1e-12)

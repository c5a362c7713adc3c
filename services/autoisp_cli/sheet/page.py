"""The sheet as one HTML file with everything in it."""

from __future__ import annotations

import base64
from importlib import resources

import jinja2
from autoisp_core.sensor import SensorProfile

from autoisp_cli.report.svg import Scale, axes, element, picture, text
from autoisp_cli.sheet.content import Picture, Sheet
from autoisp_cli.sheet.noise import MARGIN, POINTS, caption_of, curves_of
from autoisp_cli.sheet.thumbnails import png

_WIDTH, _HEIGHT = 420.0, 220.0


def render(sheet: Sheet) -> str:
    """The page's HTML."""
    environment = jinja2.Environment(autoescape=True, trim_blocks=True, lstrip_blocks=True)
    source = resources.files("autoisp_cli.sheet").joinpath("sheet.html.j2").read_text("utf-8")
    return environment.from_string(source).render(
        sheet=sheet, data_uri=_data_uri, noise_plot=_noise_plot, caption=caption_of
    )


def _data_uri(thumbnail: Picture) -> str:
    return "data:image/png;base64," + base64.b64encode(png(thumbnail)).decode()


def _noise_plot(sensor: SensorProfile) -> str:
    curves = curves_of(sensor)
    highest = 100 * MARGIN * max(curve(1.0) for _, curve in curves)
    x, y = Scale(0.0, 1.0, 64.0, _WIDTH - 16), Scale(0.0, highest, _HEIGHT - 52, 12.0)
    parts = [axes(x, y, "signal", "noise, % of white", lambda value: f"{value:g}")]
    for index, (name, curve) in enumerate(curves):
        points = [(place / POINTS, 100 * curve(place / POINTS)) for place in range(POINTS + 1)]
        line = " ".join(f"{x(signal):.1f},{y(noise):.1f}" for signal, noise in points)
        parts.append(element("polyline", points=line, class_=f"curve curve-{index}"))
        parts.append(text(x(1.0), y(points[-1][1]) - 7, name, class_="tick", text_anchor="end"))
    return picture(_WIDTH, _HEIGHT, f"Noise of {sensor.name}", *parts)

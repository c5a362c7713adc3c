"""The sheet as one picture."""

from __future__ import annotations

from autoisp_core.sensor import SensorProfile

from autoisp_cli.sheet.canvas import Canvas, Colour
from autoisp_cli.sheet.content import Picture, Sheet, Strip
from autoisp_cli.sheet.font import HEIGHT, width_of
from autoisp_cli.sheet.noise import MARGIN, POINTS, caption_of, curves_of

_PAPER: Colour = (250, 250, 248)
_INK: Colour = (28, 30, 34)
_GREY: Colour = (112, 116, 124)
_RULE: Colour = (222, 222, 218)
_USES: dict[str, Colour] = {"train": (46, 110, 190), "validation": (178, 116, 20), "test": (34, 134, 84)}
_CURVES: tuple[Colour, ...] = ((34, 134, 84), (190, 70, 60))

_EDGE, _GAP = 28, 8
_HEAD, _TITLE, _LINE = 84, 30, 24
_SPACE = 30
"""Below a strip."""
_PLOT_WIDTH, _PLOT_LEFT = 240, 52
_MIN_WIDTH = 900


def draw(sheet: Sheet) -> Picture:
    """All strips below each other."""
    width = max([_MIN_WIDTH, *(_row_width(strip) for strip in sheet.strips)]) + 2 * _EDGE
    height = _HEAD + sum(_height(strip) for strip in sheet.strips) + _EDGE
    canvas = Canvas(width, height, _PAPER)
    canvas.text(_EDGE, 24, sheet.title, _INK, 3, width - 2 * _EDGE)
    canvas.text(_EDGE, 54, sheet.subtitle, _GREY, 2, width - 2 * _EDGE)
    top = _HEAD
    for strip in sheet.strips:
        _draw_strip(canvas, strip, top, width)
        top += _height(strip)
    return canvas.pixels


def _row_width(strip: Strip) -> int:
    plot = _PLOT_LEFT + _PLOT_WIDTH + _GAP if strip.sensor else 0
    return sum(int(picture.shape[1]) + _GAP for picture in strip.thumbnails) + plot


def _picture_height(strip: Strip) -> int:
    return max(int(picture.shape[0]) for picture in strip.thumbnails)


def _height(strip: Strip) -> int:
    lines = 2 if strip.sensor else 1
    return _TITLE + lines * _LINE + _picture_height(strip) + 2 * HEIGHT + 6 + _SPACE


def _draw_strip(canvas: Canvas, strip: Strip, top: int, width: int) -> None:
    room = width - 2 * _EDGE
    canvas.box(_EDGE, top, room, 2, _RULE)
    badge = width_of(strip.use, 2) + 12
    canvas.box(_EDGE, top + 9, badge, 2 * HEIGHT + 6, _USES[strip.use])
    canvas.text(_EDGE + 7, top + 13, strip.use, _PAPER, 2)
    canvas.text(_EDGE + badge + 12, top + 13, strip.title, _INK, 2, room - badge - 12)
    line = top + _TITLE + 10
    canvas.text(_EDGE, line, " - ".join(strip.facts), _GREY, 2, room)
    if strip.sensor:
        line += _LINE
        canvas.text(_EDGE, line, caption_of(strip.sensor), _GREY, 2, room)
    left, row = _EDGE, line + _LINE
    for number, picture in zip(strip.numbers, strip.thumbnails, strict=True):
        canvas.picture(left, row, picture)
        canvas.text(left, row + picture.shape[0] + 5, str(number), _GREY, 2)
        left += picture.shape[1] + _GAP
    if strip.sensor:
        _draw_noise(canvas, strip.sensor, left + _PLOT_LEFT, row, _picture_height(strip))


def _draw_noise(canvas: Canvas, sensor: SensorProfile, left: int, top: int, height: int) -> None:
    """Standard deviation over signal, both from 0; the highest value stands at the axis."""
    curves = curves_of(sensor)
    highest = MARGIN * max(curve(1.0) for _, curve in curves)
    bottom, wide = top + height - 1, _PLOT_WIDTH - 30
    canvas.box(left, top, 2, height, _GREY)
    canvas.box(left, bottom, wide, 2, _GREY)
    for (name, curve), colour in zip(curves, _CURVES, strict=False):
        end = round(bottom - curve(1.0) / highest * (height - 1))
        canvas.text(left + wide - width_of(name, 2), max(top + 20, end - 20), name, colour, 2)
        signals = [index / POINTS for index in range(POINTS + 1)]
        canvas.curve(
            [(left + 2 + x * (wide - 2), bottom - curve(x) / highest * (height - 1)) for x in signals], colour
        )
    canvas.text(left - 50, top, f"{100 * highest:.2g}%", _GREY, 2)
    canvas.text(left - 14, bottom - 14, "0", _GREY, 2)
    canvas.text(left + 10, top, "noise (sd)", _GREY, 2)
    canvas.text(left, bottom + 6, "0", _GREY, 2)
    canvas.text(left + wide - width_of("signal 1", 2), bottom + 6, "signal 1", _GREY, 2)

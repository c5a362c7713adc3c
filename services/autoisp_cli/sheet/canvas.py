"""A picture to put pictures, texts and lines on."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from autoisp_cli.sheet.content import Picture
from autoisp_cli.sheet.font import ADVANCE, lettering

Colour = tuple[int, int, int]


class Canvas:
    """Pixels; what lies outside is cut off.

    Args:
        width, height: pixels.
        background: of all of it.
    """

    def __init__(self, width: int, height: int, background: Colour) -> None:
        self.pixels: Picture = np.empty((height, width, 3), np.uint8)
        self.pixels[:] = background

    def box(self, x: int, y: int, width: int, height: int, colour: Colour) -> None:
        """A filled rectangle."""
        self.pixels[max(0, y) : y + height, max(0, x) : x + width] = colour

    def picture(self, x: int, y: int, picture: Picture) -> None:
        """A picture with its corner at (x, y)."""
        target = self.pixels[y : y + picture.shape[0], x : x + picture.shape[1]]
        target[:] = picture[: target.shape[0], : target.shape[1]]

    def text(self, x: int, y: int, text: str, colour: Colour, scale: int = 1, room: int = 0) -> None:
        """A line of text, shortened to ``room`` pixels if that is given."""
        letters = room // (ADVANCE * scale) if room else len(text)
        if len(text) > letters:
            text = text[: max(0, letters - 3)] + "..."
        self._ink(x, y, lettering(text, scale), colour)

    def curve(self, points: list[tuple[float, float]], colour: Colour) -> None:
        """Lines from point to point, two pixels wide."""
        for (x0, y0), (x1, y1) in pairwise(points):
            steps = max(2, round(2 * max(abs(x1 - x0), abs(y1 - y0))))
            for share in np.linspace(0.0, 1.0, steps):
                self.box(round(x0 + share * (x1 - x0)), round(y0 + share * (y1 - y0)), 2, 2, colour)

    def _ink(self, x: int, y: int, dots: NDArray[np.bool_], colour: Colour) -> None:
        target = self.pixels[y : y + dots.shape[0], x : x + dots.shape[1]]
        target[dots[: target.shape[0], : target.shape[1]]] = colour

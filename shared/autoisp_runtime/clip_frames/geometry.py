"""Between the upright picture and the stored frames."""

from __future__ import annotations

from typing import Any

import numpy as np
from autoisp_core.frames import Box, FrameFormat
from numpy.typing import NDArray


def stored_box(frame_format: FrameFormat, box: Box, scale: int = 1) -> Box:
    """The stored pixels that a box of the upright picture shows.

    Args:
        frame_format: with the size and the rotation of the stored frames.
        box: of the upright picture.
        scale: stored pixels per pixel of the picture, along either side.

    >>> from autoisp_core.frames import FrameKind
    >>> stored_box(FrameFormat(FrameKind.GRAY, 8, 64, 65, rotation=90), Box(0, 0, 64, 2))
    Box(x=0, y=1, width=2, height=64)
    """
    # A mosaic's last odd column or row is no tile, so it is no pixel of the picture.
    width = frame_format.stored_width // scale
    height = frame_format.stored_height // scale
    x, y, right, bottom = box.x, box.y, box.x + box.width, box.y + box.height
    if frame_format.rotation == 90:
        x, y, right, bottom = y, height - right, bottom, height - x
    elif frame_format.rotation == 180:
        x, y, right, bottom = width - right, height - bottom, width - x, height - y
    elif frame_format.rotation == 270:
        x, y, right, bottom = width - bottom, x, width - y, right
    return Box(x * scale, y * scale, (right - x) * scale, (bottom - y) * scale)


def turned(picture: NDArray[Any], rotation: int) -> NDArray[Any]:
    """(H, W, …) turned clockwise by 0, 90, 180 or 270 degrees; a view."""
    return np.rot90(picture, -rotation // 90)

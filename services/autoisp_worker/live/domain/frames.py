"""Frames as they come."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.uint8 | np.uint16]


@dataclass(frozen=True)
class Metadata:
    """What a camera says of a frame; what is None stays as it was.

    Args:
        gains: R, G, B.
        ccm: nine numbers, camera to linear sRGB, row by row.
        noise: shot and read variance.
    """

    gains: tuple[float, ...] | None = None
    ccm: tuple[float, ...] | None = None
    noise: tuple[float, float] | None = None


@dataclass(frozen=True)
class FramePart:
    """Bytes of a frame or of its truth; see the wire contract."""

    frame: int
    truth: bool
    offset: int
    data: bytes
    metadata: Metadata | None = None


@dataclass(frozen=True)
class LiveFrame:
    """A frame that has come whole.

    Args:
        index: from 0.
        values: (H, W, 3) RGB or (H, W) mosaic, values in the low bits.
        truth: (H, W, 3) RGB, if frames have one.
        metadata: of a mosaic, if it came with some.
        complete_at: of its last byte, on the monotonic clock.
    """

    index: int
    values: Values
    truth: Values | None
    metadata: Metadata | None
    complete_at: float

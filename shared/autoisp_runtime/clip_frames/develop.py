"""From a sensor's mosaic to a picture, at half the size.

Binning each 2×2 tile to one pixel needs no guess about what the sensor did not see and takes most of the
noise, so that footage of low ISO can serve as truth.
"""

from __future__ import annotations

from typing import Any

import numpy as np
from autoisp_core.frames import Box, FrameFormat
from autoisp_core.sensor import SensorProfile
from numpy.typing import NDArray

# A step of 2^-16 in linear light moves the sRGB curve by 2e-4 at most, far below what binning leaves of the
# noise.
_STEPS = 65535


class Developer:
    """Develops mosaics to sRGB of 16 bits.

    Args:
        frame_format: of the stored frames; its tile counts, not the sensor's.
        sensor: levels, gains and colour matrix.
    """

    def __init__(self, frame_format: FrameFormat, sensor: SensorProfile) -> None:
        self._places = [divmod(place, 2) for place in range(4)]
        self._channels = ["RGB".index(colour) for colour in frame_format.cfa]
        self._black = np.float32(sensor.black_level)
        span = sensor.white_level - sensor.black_level
        self._scales = (np.asarray(sensor.gains, np.float64) / span).astype(np.float32)
        self._matrix = np.asarray(sensor.ccm, np.float32).T
        self._curve = _srgb_curve()

    def around(self, box: Box) -> Box:
        """The stored pixels that developing ``box`` takes."""
        return box

    def __call__(self, planes: dict[str, NDArray[Any]], around: Box, box: Box) -> NDArray[np.uint16]:
        """The stored pixels of ``box`` as (height / 2, width / 2, 3)."""
        mosaic = planes["frames"]
        height, width = (side // 2 for side in mosaic.shape)
        camera = np.zeros((height, width, 3), np.float32)
        for (row, column), channel in zip(self._places, self._channels, strict=True):
            share = 0.5 if channel == 1 else 1.0
            camera[:, :, channel] += share * (mosaic[row::2, column::2][:height, :width] - self._black)
        # White is cut before the matrix: a clipped channel would tint it.
        linear = np.minimum(camera * self._scales, 1.0) @ self._matrix
        codes: NDArray[np.uint16] = np.rint(linear.clip(0.0, 1.0) * _STEPS).astype(np.uint16)
        return np.asarray(self._curve[codes], np.uint16)


def _srgb_curve() -> NDArray[np.uint16]:
    linear = np.arange(_STEPS + 1, dtype=np.float64) / _STEPS
    srgb = np.where(linear <= 0.0031308, 12.92 * linear, 1.055 * linear ** (1 / 2.4) - 0.055)
    return np.rint(srgb * 65535.0).astype(np.uint16)

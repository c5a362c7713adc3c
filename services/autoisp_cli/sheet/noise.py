"""A sensor's noise as a curve: the standard deviation over the signal."""

from __future__ import annotations

import math
from collections.abc import Callable

from autoisp_core.noise import Noise
from autoisp_core.sensor import SensorProfile

POINTS = 60
MARGIN = 1.25
"""How much higher than the highest curve the plot is."""


def curves_of(sensor: SensorProfile) -> list[tuple[str, Callable[[float], float]]]:
    """Name and standard deviation at a signal in [0, 1] of what is known of the noise.

    That is the one measured noise, or both ends of the range that the profile assumes.
    """
    if sensor.test_noise is not None:
        return [("measured", _deviation(sensor.test_noise))]
    return [
        (name, _deviation(sensor.noise_range.at(place)))
        for name, place in (("low ISO", 0.0), ("high ISO", 1.0))
    ]


def caption_of(sensor: SensorProfile) -> str:
    """The sensor's name, levels and noise in one line."""
    levels = f"black {sensor.black_level:g}, white {sensor.white_level:g}"
    if sensor.test_noise is None:
        return f"{sensor.name}: {levels}, noise assumed"
    noise = sensor.test_noise
    return f"{sensor.name}: {levels}, noise {noise.shot:.2g} shot, {noise.read:.2g} read"


def _deviation(noise: Noise) -> Callable[[float], float]:
    return lambda signal: math.sqrt(noise.shot * signal + noise.read)

"""Noise of a raw frame as shot and read variances, and the noise a sensor shows over its ISO range."""

import math
import random
from dataclasses import dataclass

from autoisp_core.errors import InvalidArgumentError

# Brooks et al. 2019: ln(read) = slope · ln(shot) + intercept + N(0, spread).
_READ_SLOPE, _READ_INTERCEPT, _READ_SPREAD = 2.18, 1.20, 0.26
_STOPS = 4.0
"""Times the shot variance that one measured ISO stands for, up and down: two stops."""


@dataclass(frozen=True, slots=True)
class Noise:
    """Noise of a raw frame: a clean value x has the variance `shot * x + read`, in linear [0, 1] raw.

    Raises:
        InvalidArgumentError: when a variance is negative, not finite or above 1.
    """

    shot: float
    read: float

    def __post_init__(self) -> None:
        for key, value in (("shot", self.shot), ("read", self.read)):
            if not (math.isfinite(value) and 0.0 <= value <= 1.0):
                raise InvalidArgumentError(
                    f"noise.{key}",
                    f"the {key} noise variance is {value}: give a number in [0, 1], for example 0.01",
                )

    @classmethod
    def parse(cls, text: str) -> "Noise":
        """Reads `SHOT,READ`, as the command line writes it."""
        parts = text.split(",")
        try:
            shot, read = (float(part) for part in parts)
        except ValueError:
            raise InvalidArgumentError(
                "noise", f"'{text}' is no noise: write SHOT,READ variances, for example 0.01,0.0005"
            ) from None
        return cls(shot, read)

    def scaled(self, factor: float) -> "Noise":
        """Both variances times `factor`, at most 1."""
        return Noise(min(1.0, self.shot * factor), min(1.0, self.read * factor))


@dataclass(frozen=True, slots=True)
class NoiseRange:
    """The noise over a sensor's ISO range: ln(shot) uniform, ln(read) a line in ln(shot) plus N(0, spread).

    The defaults are those of Brooks et al., "Unprocessing Images for Learned Raw Denoising", 2019.
    """

    shot_min: float = 1e-4
    shot_max: float = 0.012
    read_slope: float = _READ_SLOPE
    read_intercept: float = _READ_INTERCEPT
    read_spread: float = _READ_SPREAD

    def __post_init__(self) -> None:
        if not 0.0 < self.shot_min <= self.shot_max <= 1.0:
            raise InvalidArgumentError(
                "noise.shot_min",
                f"shot noise {self.shot_min} to {self.shot_max}: give 0 < shot_min <= shot_max <= 1",
            )
        for key in ("read_slope", "read_intercept", "read_spread"):
            if not math.isfinite(getattr(self, key)):
                raise InvalidArgumentError(f"noise.{key}", f"noise.{key} must be a finite number")
        if self.read_spread < 0:
            raise InvalidArgumentError("noise.read_spread", "noise.read_spread must not be negative")

    @classmethod
    def around(cls, noise: Noise) -> "NoiseRange":
        """Two stops of ISO either side of one known noise, through which the read line goes.

        The line's slope and spread are those of Brooks et al.; so is the line where the read variance is 0,
        which has no logarithm.

        >>> middle = NoiseRange.around(Noise(0.01, 0.0005)).at(0.5)
        >>> round(middle.shot, 6), round(middle.read, 6)
        (0.01, 0.0005)
        """
        return cls.over(noise, 1 / _STOPS, _STOPS)

    @classmethod
    def over(cls, noise: Noise, lowest: float, highest: float) -> "NoiseRange":
        """From `lowest` to `highest` times the shot variance of `noise`, as :meth:`around`.

        Raises:
            InvalidArgumentError: the shot variance is 0.
        """
        low, high = min(1.0, noise.shot * lowest), min(1.0, noise.shot * highest)
        if noise.shot <= 0.0 or noise.read <= 0.0:
            return cls(low, high)
        return cls(low, high, read_intercept=math.log(noise.read) - _READ_SLOPE * math.log(noise.shot))

    def at(self, fraction: float, deviation: float = 0.0) -> Noise:
        """The noise at `fraction` in [0, 1] of the log range, `deviation` spreads off the read line."""
        log_shot = math.log(self.shot_min) + fraction * (math.log(self.shot_max) - math.log(self.shot_min))
        log_read = self.read_slope * log_shot + self.read_intercept + deviation * self.read_spread
        return Noise(min(1.0, math.exp(log_shot)), math.exp(min(0.0, log_read)))

    def draw(self, source: random.Random) -> Noise:
        """A random noise of this range; the caller's `source` makes it repeatable."""
        return self.at(source.random(), source.gauss(0.0, 1.0))

"""The charts of a measured noise: the photon transfer curve, and how far the points lie from its line."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from autoisp.ingest.v1 import sensor_profiles_pb2 as wire

from autoisp_cli.report.svg import Scale, axes, element, picture, text

WIDTH, HEIGHT, LOW_HEIGHT = 860.0, 420.0, 280.0
_LEFT = 84.0
_STEPS = 60
_CONFIDENCE = 1.96
"""Standard deviations either side: 95 % of a normal distribution."""
_MOST_OFF = 30.0
"""Percent; the lower chart shows no more of either side."""


@dataclass(frozen=True)
class Reference:
    """Noise to compare with, such as what the footage's metadata says."""

    label: str
    shot: float
    read: float

    def at(self, mean: float) -> float:
        """The variance at a mean."""
        return self.shot * mean + self.read


@dataclass(frozen=True)
class Sample:
    """One measured point."""

    mean: float
    variance: float
    count: int

    @property
    def share(self) -> float:
        """Half-width of its variance's 95 % interval, as a share of it."""
        return _CONFIDENCE * math.sqrt(2 / max(self.count, 2))


class Fit:
    """The line of a calibration and its samples."""

    def __init__(self, calibration: wire.Calibration) -> None:
        points = zip(calibration.means, calibration.variances, calibration.counts, strict=True)
        self.samples = [Sample(*point) for point in points]
        self._noise = calibration.noise
        self._shot_interval, self._read_interval = calibration.shot_interval, calibration.read_interval
        self._correlation = _correlation(self.samples)

    def at(self, mean: float) -> float:
        """The line's variance; at least a tiny number, since it is divided by."""
        return max(self._noise.shot * mean + self._noise.read, 1e-12)

    def band(self, mean: float) -> float:
        """Half-width of the line's 95 % interval: slope and intercept err in opposite directions."""
        shot, read = self._shot_interval * mean, self._read_interval
        return math.sqrt(max(0.0, shot**2 + read**2 + 2 * self._correlation * shot * read))

    def off(self, sample: Sample) -> float:
        """How far the sample lies off the line, in percent."""
        return 100 * (sample.variance / self.at(sample.mean) - 1)


def curve_chart(calibration: wire.Calibration, references: Sequence[Reference] = ()) -> str:
    """Variance against mean: points, line, its 95 % band, and the references as dashed lines."""
    fit = Fit(calibration)
    end = 1.04 * max(sample.mean for sample in fit.samples)
    top = max([fit.at(end) + fit.band(end), *(sample.variance for sample in fit.samples)])
    x, y = Scale(0.0, end, _LEFT, WIDTH - 20), Scale(0.0, 1.05 * top, HEIGHT - 56, 14)
    means = [index * end / _STEPS for index in range(_STEPS + 1)]
    parts = [
        axes(x, y, "mean, from black level (0) to white level (1)", "", lambda value: f"{value:g}"),
        _height_label("variance", HEIGHT),
        _band(x, y, means, fit.at, fit.band),
        *(_curve(x, y, means, reference.at, "line prototype dashed") for reference in references),
        _curve(x, y, means, fit.at, "line model"),
        *(_dot(sample, x, y, sample.variance) for sample in fit.samples),
    ]
    return picture(WIDTH, HEIGHT, "Photon transfer curve: noise variance against mean", *parts)


def residue_chart(calibration: wire.Calibration, references: Sequence[Reference] = ()) -> str:
    """How far points and references are off the line, in percent, each with its 95 % interval.

    The mean is logarithmic; what is black has no place on that axis. Empty text if all is.
    """
    fit = Fit(calibration)
    samples = [sample for sample in fit.samples if sample.mean > 0]
    if not samples:
        return ""
    widest = max(abs(fit.off(sample)) + 100 * sample.share for sample in samples)
    limit = min(_MOST_OFF, 1.15 * max(widest, 1.0))
    low, high = samples[0].mean / 1.15, samples[-1].mean * 1.15
    x = Scale(low, high, _LEFT, WIDTH - 20, log=True)
    y = Scale(-limit, limit, LOW_HEIGHT - 56, 14)
    means = [low * (high / low) ** (index / _STEPS) for index in range(_STEPS + 1)]

    def against(reference: Reference) -> Callable[[float], float]:
        return lambda mean: 100 * (reference.at(mean) / fit.at(mean) - 1)

    parts = [
        axes(x, y, "mean (log)", "", lambda value: f"{value:g}"),
        _height_label("off the line, %", LOW_HEIGHT),
        _band(x, y, means, lambda mean: 0.0, lambda mean: 100 * fit.band(mean) / fit.at(mean)),
        _curve(x, y, means, lambda mean: 0.0, "line model"),
        *(_curve(x, y, means, against(reference), "line prototype dashed") for reference in references),
    ]
    for sample in samples:
        off, spread = fit.off(sample), 100 * sample.share
        ends = [y(_inside(off + side * spread, y)) for side in (-1, 1)]
        at = x(sample.mean)
        parts.append(element("line", x1=at, x2=at, y1=ends[0], y2=ends[1], class_="spread"))
        parts.append(_dot(sample, x, y, _inside(off, y)))
    return picture(WIDTH, LOW_HEIGHT, "Distance of the measured points from the line", *parts)


def _band(
    x: Scale,
    y: Scale,
    means: Sequence[float],
    middle: Callable[[float], float],
    half: Callable[[float], float],
) -> str:
    edges = [(mean, middle(mean) + half(mean)) for mean in means]
    edges += [(mean, middle(mean) - half(mean)) for mean in reversed(means)]
    points = " ".join(f"{x(mean):.1f},{y(_inside(value, y)):.1f}" for mean, value in edges)
    return element("polygon", points=points, class_="confidence")


def _curve(x: Scale, y: Scale, means: Sequence[float], value: Callable[[float], float], class_: str) -> str:
    """As much of a curve as fits into the chart."""
    seen = [mean for mean in means if y.low <= value(mean) <= y.high]
    points = " ".join(f"{x(mean):.1f},{y(value(mean)):.1f}" for mean in seen)
    return element("polyline", points=points, class_=class_)


def _dot(sample: Sample, x: Scale, y: Scale, height: float) -> str:
    words = f"mean {sample.mean:.4f}, variance {sample.variance:.3g}, from {sample.count:,} values"
    at = {"cx": x(max(sample.mean, x.low)), "cy": y(height)}
    return element("circle", element("title", words), r=3.5, class_="point sample", **at)


def _height_label(content: str, height: float) -> str:
    """Farther out than that of :func:`axes`, since variances have long numbers."""
    left, middle = _LEFT - 68, (height - 42) / 2
    turn = f"rotate(-90 {left:g} {middle:g})"
    return text(left, middle, content, class_="label", text_anchor="middle", transform=turn)


def _inside(value: float, y: Scale) -> float:
    return max(y.low, min(y.high, value))


def _correlation(samples: Sequence[Sample]) -> float:
    """Of the errors of slope and intercept in a weighted fit: -Σwx / √(Σwx² Σw)."""
    weighted = [(s.count / s.variance**2, s.mean) for s in samples if s.variance > 0]
    crossed = sum(weight * mean for weight, mean in weighted)
    square = sum(weight * mean**2 for weight, mean in weighted)
    return -crossed / math.sqrt(square * sum(weight for weight, _ in weighted)) if square > 0 else 0.0

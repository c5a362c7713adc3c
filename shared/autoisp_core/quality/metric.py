"""The metrics there are: what each is called, its unit, what is good, and what it needs.

Only their names and properties: what lists, gates or reports metrics needs no pixels. `autoisp_isp.metrics`
computes them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from enum import StrEnum

from autoisp_core.errors import InvalidArgumentError


class Direction(StrEnum):
    """Which way is better."""

    HIGHER = "higher"
    LOWER = "lower"


@dataclass(frozen=True, slots=True)
class Metric:
    """A number per frame.

    Attributes:
        name: for programs and command lines.
        unit: "" for a plain number; "code" is 1/255 of the full range.
        direction: which way is better.
        needs_truth: whether a frame without a truth has no value.
        temporal: whether it looks at the frame before too, so that a clip's first frame has no value.
        at_end: whether all values of a clip are there only after its last frame.
        smallest: pixels that the shorter side of a picture must have.
        summary: one line for people.
    """

    name: str
    unit: str
    direction: Direction
    summary: str
    needs_truth: bool = True
    temporal: bool = False
    at_end: bool = False
    smallest: int = 1

    def improvement(self, value: float, reference: float) -> float:
        """By how much `value` is better than `reference`, in the metric's unit; negative: worse."""
        return value - reference if self.direction is Direction.HIGHER else reference - value

    def badness(self, value: float) -> float:
        """Grows as the value gets worse."""
        return -value if self.direction is Direction.HIGHER else value


_UP, _DOWN = Direction.HIGHER, Direction.LOWER

METRICS = {
    metric.name: metric
    for metric in (
        Metric("psnr", "dB", _UP, "peak signal-to-noise ratio"),
        Metric("ssim", "", _UP, "structural similarity, Gaussian window", smallest=11),
        Metric(
            "ssim_ffmpeg", "", _UP, "structural similarity as ffmpeg's filter has it: 8×8 blocks", smallest=8
        ),
        Metric("ms_ssim", "", _UP, "structural similarity at five scales", smallest=176),
        Metric("vif", "", _UP, "visual information fidelity, in the pixel domain", smallest=41),
        Metric("delta_e2000", "ΔE00", _DOWN, "colour difference, CIEDE2000"),
        Metric("colour_cast", "ΔE", _DOWN, "length of the mean shift in a* and b*"),
        Metric("sharpness_loss", "%", _DOWN, "contrast that edges lack, or have too much"),
        Metric("texture_loss", "%", _DOWN, "contrast that fine texture lacks, or has too much", smallest=16),
        Metric("flat_noise", "code", _DOWN, "noise left where the truth is flat", smallest=32),
        Metric("flicker", "code", _DOWN, "change between frames where the truth stands still", temporal=True),
        Metric("tof", "px", _DOWN, "how far motion differs from the truth's", temporal=True, smallest=32),
        Metric(
            "warping_error",
            "code",
            _DOWN,
            "change between frames along the motion",
            needs_truth=False,
            temporal=True,
            smallest=32,
        ),
        Metric(
            "brightness_flicker",
            "code",
            _DOWN,
            "change of the mean brightness between frames along the motion",
            needs_truth=False,
            temporal=True,
            smallest=32,
        ),
        Metric("noise_estimate", "code", _DOWN, "noise, without a truth", needs_truth=False, smallest=3),
        Metric(
            "blur", "", _DOWN, "perceived blur from 0 to 1, without a truth", needs_truth=False, smallest=12
        ),
        Metric("vmaf", "", _UP, "Netflix's VMAF, from 0 to 100", temporal=True, at_end=True, smallest=16),
    )
}
"""All metrics by name, in the order of reports."""


def metrics_named(names: Iterable[str]) -> list[Metric]:
    """The metrics of these names, each once, in the order of `METRICS`.

    >>> [metric.unit for metric in metrics_named(["delta_e2000", "psnr"])]
    ['dB', 'ΔE00']

    Raises:
        InvalidArgumentError: field `metrics`, for none or an unknown name.
    """
    wanted = set(names)
    if not wanted:
        raise InvalidArgumentError("metrics", f"name at least one of {', '.join(METRICS)}")
    if unknown := sorted(wanted - METRICS.keys()):
        raise InvalidArgumentError("metrics", f"no metric {unknown[0]!r}: choose from {', '.join(METRICS)}")
    return [metric for metric in METRICS.values() if metric.name in wanted]


def without_truth(metrics: Iterable[Metric]) -> list[Metric]:
    """Those that a frame without truth can have."""
    return [metric for metric in metrics if not metric.needs_truth]

"""How each metric is computed from a frame; those of whole clips are elsewhere."""

import math
from collections.abc import Callable

from autoisp_isp.metrics import blind, colour, detail, fidelity, information, structure, temporal
from autoisp_isp.metrics.frame import Frame

Measure = Callable[[Frame], float | None]
"""None where the frame can't tell: nothing flat in it, nothing before it."""


def _loss(slope: float | None) -> float | None:
    """Percent that a contrast is away from the truth's, too low or too high."""
    return None if slope is None else 100.0 * abs(1.0 - slope)


MEASURES: dict[str, Measure] = {
    "psnr": lambda frame: fidelity.psnr(frame.planar, frame.true_planar),
    "ssim": lambda frame: frame.similarity[0],
    "ssim_ffmpeg": lambda frame: structure.ssim_ffmpeg(frame.planar, frame.true_planar),
    "ms_ssim": lambda frame: structure.multiscale(frame.picture.pixels, frame.truth.pixels, frame.similarity),
    "vif": lambda frame: information.fidelity(frame.picture.luma, frame.truth.luma),
    "delta_e2000": lambda frame: colour.mean_difference(*frame.labs),
    "colour_cast": lambda frame: math.hypot(*colour.mean_shift(*frame.labs)),
    "sharpness_loss": lambda frame: _loss(detail.edge_slope(frame.picture.luma, frame.truth.luma)),
    "texture_loss": lambda frame: _loss(detail.texture_slope(frame.picture.luma, frame.truth.luma)),
    "flat_noise": lambda frame: detail.flat_noise(frame.picture.pixels, frame.truth.pixels, frame.truth.luma),
    "flicker": temporal.flicker,
    "tof": temporal.tof,
    "warping_error": temporal.warping_error,
    "brightness_flicker": temporal.brightness_flicker,
    "noise_estimate": lambda frame: blind.noise_estimate(frame.picture.pixels, frame.picture.luma),
    "blur": lambda frame: blind.blur(frame.picture.luma),
}

"""Metrics of pictures (3, H, W), sRGB in [0, 1]: of one frame, of a frame and the one before, of a clip.

`FrameMetrics` computes any number of them together, and shares what they have in common.
Names, units and directions: `autoisp_core.quality.METRICS`. Definitions: docs/guides/metrics.md.
"""

from autoisp_isp.metrics.colour import ciede2000, colour_cast, delta_e2000
from autoisp_isp.metrics.fidelity import psnr
from autoisp_isp.metrics.information import vif
from autoisp_isp.metrics.stream import FrameMetrics
from autoisp_isp.metrics.structure import ms_ssim, ssim, ssim_ffmpeg

__all__ = [
    "FrameMetrics",
    "ciede2000",
    "colour_cast",
    "delta_e2000",
    "ms_ssim",
    "psnr",
    "ssim",
    "ssim_ffmpeg",
    "vif",
]

"""How good shadows are: PSNR over the darkest quarter of the truth's pixels."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[np.float32]

DARKEST = 0.25
"""Share of a frame's pixels that count as its shadows."""
_PERFECT_DB = 100.0


def shadow_psnr(picture: Array, truth: Array) -> float:
    """PSNR in dB, data range 1, over the darkest quarter of the truth's pixels; at most 100.

    Args:
        picture, truth: (3, H, W) sRGB in [0, 1].
    """
    darkness = truth.mean(axis=0)
    dark = darkness <= np.quantile(darkness, DARKEST)
    error = float(np.mean(np.square(picture[:, dark] - truth[:, dark], dtype=np.float64)))
    return min(_PERFECT_DB, -10.0 * float(np.log10(max(error, 1e-12))))

"""VIF, visual information fidelity, in the pixel domain."""

import cv2
import numpy as np
from autoisp_core.errors import InvalidArgumentError

from autoisp_isp.metrics.picture import CODES, Picture, Plane, check_shapes, luma_of, pixels_of

_SCALES = 4
_NOISE = 2.0
"""Variance of the eye's noise, in codes²."""
_TINY = 1e-10
_SMALLEST = 41


def vif(picture: Picture, truth: Picture) -> float:
    """Visual information fidelity of the luma: Sheikh & Bovik 2006, as their `vifp_mscale` computes it.

    1 for equal pictures, less for blur and noise, more where contrast was added. 0 where the truth is so flat
    that it tells the eye nothing. At least 41×41 pixels.
    """
    check_shapes(picture, truth)
    return fidelity(luma_of(pixels_of(picture)), luma_of(pixels_of(truth)))


def fidelity(picture: Plane, truth: Plane) -> float:
    """VIF of lumas (H, W) in [0, 1].

    Raises:
        InvalidArgumentError: field `picture`, if smaller than 41×41.
    """
    if min(truth.shape) < _SMALLEST:
        raise InvalidArgumentError("picture", f"VIF needs at least {_SMALLEST}×{_SMALLEST} pixels")
    # Around mid-grey float32 keeps more of the small variances; these don't depend on the mean.
    distorted, reference = ((plane - np.float32(0.5)) * np.float32(CODES) for plane in (picture, truth))
    kept = there = 0.0
    for scale in range(_SCALES):
        size = 2 ** (_SCALES - scale) + 1
        kernel = np.asarray(cv2.getGaussianKernel(size, size / 5, cv2.CV_32F), np.float32)
        if scale:
            distorted, reference = (
                np.ascontiguousarray(_window(plane, kernel)[::2, ::2]) for plane in (distorted, reference)
            )
        informative = _information(distorted, reference, kernel)
        kept, there = kept + informative[0], there + informative[1]
    return kept / there if there > 0.0 else 0.0


def _information(distorted: Plane, reference: Plane, kernel: Plane) -> tuple[float, float]:
    """What the eye gets of one scale, and what it would get of the reference, in nats."""
    mean_d, mean_r = _window(distorted, kernel), _window(reference, kernel)
    variance_r = np.maximum(_window(reference * reference, kernel) - mean_r * mean_r, 0.0)
    variance_d = np.maximum(_window(distorted * distorted, kernel) - mean_d * mean_d, 0.0)
    covariance = _window(distorted * reference, kernel) - mean_d * mean_r
    gain = covariance / (variance_r + _TINY)
    # Without variance, or with the opposite sign, nothing of the reference is left in the distorted.
    gain[(variance_r < _TINY) | (variance_d < _TINY) | (gain < 0.0)] = 0.0
    rest = np.maximum(variance_d - gain * covariance, _TINY)
    kept = np.log(1.0 + gain * gain * variance_r / (rest + _NOISE))
    there = np.log(1.0 + variance_r / _NOISE)
    return float(np.sum(kept, dtype=np.float64)), float(np.sum(there, dtype=np.float64))


def _window(plane: Plane, kernel: Plane) -> Plane:
    """Weighted means of all full windows."""
    margin = len(kernel) // 2
    filtered = np.asarray(cv2.sepFilter2D(plane, -1, kernel, kernel), np.float32)
    return filtered[margin:-margin, margin:-margin]

"""PSNR and SSIM of one frame. No border is cropped; pictures are (3, H, W), data range 1.

Both are computed here rather than taken from torchmetrics or kornia: an evaluation needs them per frame and
for hundreds of frames on one thread, where a separable Gaussian is many times faster than a dense window.
Tests hold them to scikit-image and torchmetrics.
"""

import math

import cv2
import numpy as np
import numpy.typing as npt
from autoisp_core.errors import InvalidArgumentError

Picture = npt.NDArray[np.float32]

# 99 dB instead of infinity for equal pictures: means and JSON stay finite.
_BEST_PSNR = 99.0
_WINDOW, _SIGMA = 11, 1.5
_C1, _C2 = 0.01**2, 0.03**2


def psnr(picture: Picture, truth: Picture) -> float:
    """Peak signal-to-noise ratio in dB, at most 99.

    >>> psnr(np.full((3, 8, 8), 0.6, np.float32), np.full((3, 8, 8), 0.5, np.float32)).__round__(3)
    20.0
    """
    _check_shapes(picture, truth)
    mse = float(np.mean(np.square(picture.astype(np.float64) - truth)))
    return _BEST_PSNR if mse == 0.0 else min(_BEST_PSNR, -10.0 * math.log10(mse))


def ssim(picture: Picture, truth: Picture) -> float:
    """Structural similarity, mean over channels: Gaussian window of 11, sigma 1.5, as Wang et al. 2004.

    Equals scikit-image with `gaussian_weights=True, use_sample_covariance=False`: the mean leaves out the 5
    pixels at each border whose window is not full.
    """
    _check_shapes(picture, truth)
    margin = _WINDOW // 2
    if min(picture.shape[1:]) < _WINDOW:
        raise InvalidArgumentError("picture", f"SSIM needs at least {_WINDOW}×{_WINDOW} pixels")
    x, y = (np.ascontiguousarray(p.transpose(1, 2, 0), dtype=np.float32) for p in (picture, truth))
    mean_x, mean_y = _blur(x), _blur(y)
    product, square_x, square_y = mean_x * mean_y, mean_x * mean_x, mean_y * mean_y
    covariance = _blur(x * y) - product
    variances = _blur(x * x) - square_x + _blur(y * y) - square_y
    index = ((2 * product + _C1) * (2 * covariance + _C2)) / ((square_x + square_y + _C1) * (variances + _C2))
    return float(np.mean(index[margin:-margin, margin:-margin], dtype=np.float64))


def _blur(picture: npt.NDArray[np.floating]) -> Picture:
    return np.asarray(cv2.GaussianBlur(picture, (_WINDOW, _WINDOW), _SIGMA, borderType=cv2.BORDER_REFLECT))


def _check_shapes(picture: Picture, truth: Picture) -> None:
    if picture.shape != truth.shape or picture.ndim != 3:
        raise InvalidArgumentError(
            "picture", f"a picture of shape {picture.shape} can't be compared with one of {truth.shape}"
        )

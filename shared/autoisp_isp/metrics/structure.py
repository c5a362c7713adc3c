"""SSIM and MS-SSIM. No border is cropped but that whose window isn't full; data range 1.

Computed here rather than taken from torchmetrics or kornia: an evaluation needs them per frame and for
hundreds of frames on one thread, where a separable Gaussian is many times faster than a dense window. Tests
hold them to scikit-image, torchmetrics and ffmpeg.
"""

import math

import cv2
import numpy as np
import numpy.typing as npt
from autoisp_core.errors import InvalidArgumentError

from autoisp_isp.metrics.picture import CODES, Picture, Pixels, check_shapes, pixels_of

_WINDOW, _SIGMA = 11, 1.5
_C1, _C2 = 0.01**2, 0.03**2
_SCALE_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)
_ROWS = 64
"""Rows at a time: the arrays between stay in the processor's cache."""


def ssim(picture: Picture, truth: Picture) -> float:
    """Structural similarity, mean over channels: Gaussian window of 11, sigma 1.5, as Wang et al. 2004.

    Equals scikit-image with `gaussian_weights=True, use_sample_covariance=False`: the mean leaves out the 5
    pixels at each border whose window is not full.
    """
    check_shapes(picture, truth)
    return similarity(pixels_of(picture), pixels_of(truth))[0]


def ms_ssim(picture: Picture, truth: Picture) -> float:
    """Structural similarity at five scales, 0 to 1, as Wang, Simoncelli & Bovik 2003, equation 7.

    Windows as those of `ssim`; from scale to scale the mean of 2×2 pixels. A negative structure term, which
    has no real power, counts as 0. At least 176×176 pixels.
    """
    check_shapes(picture, truth)
    x, y = pixels_of(picture), pixels_of(truth)
    return multiscale(x, y, similarity(x, y))


def similarity(x: Pixels, y: Pixels) -> tuple[float, float]:
    """SSIM, and the mean of its contrast and structure terms alone, of pixels (H, W, C)."""
    margin = _WINDOW // 2
    height, width = x.shape[:2]
    if min(height, width) < _WINDOW:
        raise InvalidArgumentError("picture", f"SSIM needs at least {_WINDOW}×{_WINDOW} pixels")
    whole = structure = 0.0
    for top in range(margin, height - margin, _ROWS):
        bottom = min(top + _ROWS, height - margin)
        around = slice(top - margin, bottom + margin)
        index, contrast = _similarity_maps(x[around], y[around])
        inside = np.s_[margin:-margin, margin:-margin]
        whole += float(np.sum(index[inside], dtype=np.float64))
        structure += float(np.sum(contrast[inside], dtype=np.float64))
    count = (height - 2 * margin) * (width - 2 * margin) * x.shape[2]
    return whole / count, structure / count


def multiscale(x: Pixels, y: Pixels, first: tuple[float, float]) -> float:
    """MS-SSIM of pixels (H, W, C) whose `similarity` is known to be `first`."""
    least = _WINDOW * 2 ** (len(_SCALE_WEIGHTS) - 1)
    if min(x.shape[:2]) < least:
        raise InvalidArgumentError("picture", f"MS-SSIM needs at least {least}×{least} pixels")
    whole, structure = first
    product = math.pow(max(structure, 0.0), _SCALE_WEIGHTS[0])
    for scale, weight in enumerate(_SCALE_WEIGHTS[1:], 1):
        x, y = _half(x), _half(y)
        whole, structure = similarity(x, y)
        last = scale == len(_SCALE_WEIGHTS) - 1
        product *= math.pow(max(whole if last else structure, 0.0), weight)
    return product


def ssim_ffmpeg(picture: Picture, truth: Picture) -> float:
    """Structural similarity as ffmpeg's filter `ssim` (`All`, RGB) has it, of the pictures in 8 bits.

    Windows of 8×8 pixels, all weighing alike, at every fourth pixel; sample covariance.
    """
    check_shapes(picture, truth)
    if min(picture.shape[1:]) < 8:
        raise InvalidArgumentError("picture", "ffmpeg's SSIM needs at least 8×8 pixels")
    # Whole numbers below 2²⁴ throughout, which float32 adds without error, up to the products of sums.
    x, y = (np.rint(np.clip(array, 0, 1) * np.float32(CODES)) for array in (picture, truth))
    pixels, samples = 64.0, 63.0
    c1, c2 = 0.01**2 * CODES**2 * pixels, 0.03**2 * CODES**2 * pixels * samples
    sum_x, sum_y, squares, products = (_window_sums(array) for array in (x, y, x * x + y * y, x * y))
    square, product = sum_x * sum_x + sum_y * sum_y, sum_x * sum_y
    structure = (2 * (products * pixels - product) + c2) / (squares * pixels - square + c2)
    return float(np.mean((2 * product + c1) / (square + c1) * structure))


def _similarity_maps(x: Pixels, y: Pixels) -> tuple[Pixels, Pixels]:
    mean_x, mean_y = _blur(x), _blur(y)
    product, squares = mean_x * mean_y, mean_x * mean_x + mean_y * mean_y
    covariance = _blur(x * y) - product
    variances = _blur(x * x + y * y) - squares
    contrast: Pixels = (2 * covariance + _C2) / (variances + _C2)
    whole = np.asarray(contrast * ((2 * product + _C1) / (squares + _C1)), np.float32)
    return whole, contrast


def _blur(pixels: Pixels) -> Pixels:
    blurred = cv2.GaussianBlur(pixels, (_WINDOW, _WINDOW), _SIGMA, borderType=cv2.BORDER_REFLECT)
    return np.asarray(blurred, np.float32).reshape(pixels.shape)


def _half(pixels: Pixels) -> Pixels:
    height, width = (side // 2 for side in pixels.shape[:2])
    even = pixels[: 2 * height, : 2 * width]
    half = cv2.resize(even, (width, height), interpolation=cv2.INTER_AREA)
    return np.asarray(half, np.float32).reshape(height, width, -1)


def _window_sums(planes: npt.NDArray[np.float32]) -> npt.NDArray[np.float64]:
    """Sums over 8×8 pixels, every four, of (C, H, W); rows and columns past a multiple of 4 don't count."""
    channels, height, width = planes.shape
    rows = planes[:, : height // 4 * 4, : width // 4 * 4].reshape(channels, height // 4, 4, -1).sum(axis=2)
    sums = rows.reshape(channels, height // 4, width // 4, 4).sum(axis=3)
    return np.asarray(sums[:, 1:, 1:] + sums[:, 1:, :-1] + sums[:, :-1, 1:] + sums[:, :-1, :-1], np.float64)

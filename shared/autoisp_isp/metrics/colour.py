"""Colour difference (CIEDE2000) and colour cast, in CIE L*a*b* with white D65."""

import math

import cv2
import numpy as np
import numpy.typing as npt
from autoisp_core.colour_matrix import XYZ_FROM_SRGB

from autoisp_isp.metrics.picture import Picture, Pixels, check_shapes, pixels_of

Floats = npt.NDArray[np.floating]

_ROWS = 16
"""Rows at a time: the many arrays between stay in the processor's cache."""
_KNEE, _SLOPE, _OFFSET, _GAMMA = 0.04045, 12.92, 0.055, 2.4
_EPSILON, _KAPPA = (6 / 29) ** 3, (29 / 6) ** 2 / 3
_25_TO_7 = 25.0**7

# Rows that sum to 1: XYZ relative to the white of sRGB, so that greys have a* = b* = 0.
_MATRIX = np.array([[weight / sum(row) for weight in row] for row in XYZ_FROM_SRGB], np.float32)
_LAB = np.array([[0, 116, 0, -16], [500, -500, 0, 0], [0, 200, -200, 0]], np.float32)


def delta_e2000(picture: Picture, truth: Picture) -> float:
    """Mean over pixels of CIEDE2000, sRGB pictures (3, H, W) in [0, 1]; 1 is about what an eye just sees."""
    check_shapes(picture, truth)
    return mean_difference(lab_of(pixels_of(picture)), lab_of(pixels_of(truth)))


def colour_cast(picture: Picture, truth: Picture) -> tuple[float, float]:
    """Mean shift in a* (positive: towards magenta) and b* (towards yellow) of the whole picture."""
    check_shapes(picture, truth)
    return mean_shift(lab_of(pixels_of(picture)), lab_of(pixels_of(truth)))


def mean_difference(lab: Pixels, truth: Pixels) -> float:
    """Mean CIEDE2000 of L*a*b* pixels (H, W, 3)."""
    rows = range(0, len(lab), _ROWS)
    parts = (ciede2000(lab[row : row + _ROWS], truth[row : row + _ROWS]) for row in rows)
    return sum(float(np.sum(part, dtype=np.float64)) for part in parts) / (lab.size / 3)


def mean_shift(lab: Pixels, truth: Pixels) -> tuple[float, float]:
    """Mean difference in a* and b* of L*a*b* pixels (H, W, 3)."""
    _, green_magenta, blue_yellow, _ = (a - b for a, b in zip(cv2.mean(lab), cv2.mean(truth), strict=True))
    return green_magenta, blue_yellow


def lab_of(pixels: Pixels) -> Pixels:
    """L*a*b* (H, W, 3) of sRGB in [0, 1]; values outside are clipped.

    OpenCV's own conversion interpolates in tables and is off by up to 0.1.
    """
    lab = np.empty_like(pixels)
    for row in range(0, len(pixels), _ROWS):
        rgb = np.clip(pixels[row : row + _ROWS], 0.0, 1.0)
        curve = cv2.pow((rgb + np.float32(_OFFSET)) * np.float32(1 / (1 + _OFFSET)), _GAMMA)
        linear = np.where(rgb <= _KNEE, rgb * np.float32(1 / _SLOPE), curve)
        xyz = np.maximum(cv2.transform(linear, _MATRIX), np.float32(0.0))
        root = cv2.pow(xyz, 1 / 3)
        straight = xyz * np.float32(_KAPPA) + np.float32(4 / 29)
        lab[row : row + _ROWS] = cv2.transform(np.where(xyz > _EPSILON, root, straight), _LAB)
    return lab


def ciede2000(lab: Floats, other: Floats) -> Floats:
    """CIEDE2000 of each pair of colours (..., 3), in the type of the arrays; k_L = k_C = k_H = 1.

    Sharma, Wu & Dalal 2005, equations 2 to 22. Hues are kept as unit vectors instead of angles: their mean
    is the direction of the sum, the multiples in T are polynomials, and nothing jumps at 360°.
    """
    (l1, a1, b1), (l2, a2, b2) = (np.moveaxis(array, -1, 0) for array in (lab, other))
    mean_chroma7 = ((np.sqrt(a1 * a1 + b1 * b1) + np.sqrt(a2 * a2 + b2 * b2)) / 2) ** 7
    stretch = 1.5 - 0.5 * np.sqrt(mean_chroma7 / (mean_chroma7 + _25_TO_7))
    a1, a2 = a1 * stretch, a2 * stretch
    chroma1, chroma2 = np.sqrt(a1 * a1 + b1 * b1), np.sqrt(a2 * a2 + b2 * b2)
    hue = _hue_difference(a1, b1, a2, b2, chroma1 * chroma2)
    cosine, sine = _mean_hue(a1, b1, a2, b2, chroma1, chroma2)

    lightness = (l1 + l2) / 2 - 50
    chroma = (chroma1 + chroma2) / 2
    square = lightness * lightness
    lightness_scale = 1 + 0.015 * square / np.sqrt(20 + square)
    hue_scale = 1 + 0.015 * chroma * _hue_weight(cosine, sine)
    d_lightness = (l2 - l1) / lightness_scale
    d_chroma = (chroma2 - chroma1) / (1 + 0.045 * chroma)
    d_hue = hue / hue_scale
    rotation = _rotation(chroma, cosine, sine)
    total = d_lightness**2 + d_chroma**2 + d_hue**2 + rotation * d_chroma * d_hue
    return np.asarray(np.sqrt(np.maximum(total, 0)))


def _hue_difference(a1: Floats, b1: Floats, a2: Floats, b2: Floats, product: Floats) -> Floats:
    """2 √(C₁C₂) sin(Δh/2), from products of the vectors in the form that cancels least."""
    cross = a1 * (b2 - b1) - b1 * (a2 - a1)
    dot = a1 * a2 + b1 * b2
    near = math.sqrt(2) * cross / np.sqrt(np.maximum(product + dot, np.finfo(cross.dtype).tiny))
    far = np.copysign(np.sqrt(2 * np.maximum(product - dot, 0)), cross)
    return np.where(dot >= 0, near, far)


def _mean_hue(
    a1: Floats, b1: Floats, a2: Floats, b2: Floats, c1: Floats, c2: Floats
) -> tuple[Floats, Floats]:
    """Cosine and sine of the mean hue; a grey has none of its own, so the other's counts."""
    tiny = np.finfo(c1.dtype).tiny
    scale1, scale2 = 1 / np.maximum(c1, tiny), 1 / np.maximum(c2, tiny)
    x, y = a1 * scale1 + a2 * scale2, b1 * scale1 + b2 * scale2
    length = np.sqrt(x * x + y * y)
    # Greys have the hue 0° by definition; it weighs nothing, as their chroma is 0.
    some = length > 0
    scale = 1 / np.where(some, length, 1)
    return np.where(some, x * scale, 1), y * scale


def _hue_weight(cosine: Floats, sine: Floats) -> Floats:
    """T: 1 − 0.17 cos(h − 30°) + 0.24 cos 2h + 0.32 cos(3h + 6°) − 0.20 cos(4h − 63°)."""
    cosine2, sine2 = cosine * cosine - sine * sine, 2 * cosine * sine
    cosine3, sine3 = cosine2 * cosine - sine2 * sine, sine2 * cosine + cosine2 * sine
    cosine4, sine4 = cosine2 * cosine2 - sine2 * sine2, 2 * cosine2 * sine2
    return np.asarray(
        1
        - 0.17 * (math.cos(math.radians(30)) * cosine + math.sin(math.radians(30)) * sine)
        + 0.24 * cosine2
        + 0.32 * (math.cos(math.radians(6)) * cosine3 - math.sin(math.radians(6)) * sine3)
        - 0.20 * (math.cos(math.radians(63)) * cosine4 + math.sin(math.radians(63)) * sine4)
    )


def _rotation(chroma: Floats, cosine: Floats, sine: Floats) -> Floats:
    """R_T, which turns the ellipses of blues."""
    chroma7 = chroma**7
    turn = math.radians(275)
    away = np.arctan2(
        sine * math.cos(turn) - cosine * math.sin(turn), cosine * math.cos(turn) + sine * math.sin(turn)
    ) * (180 / math.pi)
    # In the standard hues go from 0° to 360° and the bell ends there, 85° from its middle.
    bell = np.where(away < 85, np.exp(-((away / 25) ** 2)), 0)
    angle = math.radians(60) * bell
    return np.asarray(-2 * np.sqrt(chroma7 / (chroma7 + _25_TO_7)) * np.sin(angle))

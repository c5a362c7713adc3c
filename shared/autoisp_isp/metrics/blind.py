"""Noise and blur of one picture, without a truth."""

import math

import cv2
import numpy as np

from autoisp_isp.metrics.picture import CODES, Pixels, Plane

_LAPLACIANS = np.array([[1, -2, 1], [-2, 4, -2], [1, -2, 1]], np.float32)
_EDGES = 0.1
"""Share of the pixels that count as edges."""
_BINS = 1024
_REACH = 11
"""Pixels of the blur that a picture is compared with."""


def noise_estimate(pixels: Pixels, luma: Plane) -> float | None:
    """Deviation of the noise, in codes, root mean square over channels: Immerkær 1996.

    The difference of two Laplacians sees no plane and no straight edge; fine texture it takes for noise. As
    Tai & Yang 2008 do, the tenth of the pixels with the steepest gradient is left out. Noise that is alike in
    neighbouring pixels, as denoisers leave it, counts less than it is. None for pictures below 3×3.
    """
    if min(luma.shape) < 3:
        return None
    across, down = (cv2.Sobel(luma, cv2.CV_32F, *order) for order in ((1, 0), (0, 1)))
    steepness = np.asarray(cv2.magnitude(across, down), np.float32)[1:-1, 1:-1]
    keep = (steepness <= _percentile(steepness, 1.0 - _EDGES)).astype(np.float32)
    response = np.abs(cv2.filter2D(pixels, cv2.CV_32F, _LAPLACIANS)[1:-1, 1:-1])
    means = np.tensordot(keep, response, axes=2) / keep.sum(dtype=np.float64)
    return float(np.sqrt(np.mean(np.square(means)))) * math.sqrt(math.pi / 2) / 6 * CODES


def blur(luma: Plane) -> float | None:
    """Perceived blur from 0 (sharp) to 1: Crete, Dolmiere, Ladret & Nicolas 2007; equals scikit-image.

    How little differences of neighbours shrink when the picture is blurred further: down or across, whichever
    is the more blurred. None for a picture without any difference.
    """
    inner = np.s_[2:-1, 2:-1]
    found = []
    for order, size in (((0, 1), (1, _REACH)), ((1, 0), (_REACH, 1))):
        again = cv2.blur(luma, size, borderType=cv2.BORDER_REFLECT)
        sharp, soft = (
            np.abs(cv2.Sobel(plane, cv2.CV_32F, *order, borderType=cv2.BORDER_REFLECT))[inner]
            for plane in (luma, again)
        )
        differences = float(np.sum(sharp, dtype=np.float64))
        if differences <= 0.0:
            return None
        lost = float(np.sum(np.maximum(sharp - soft, 0.0), dtype=np.float64))
        found.append(1.0 - lost / differences)
    return max(found)


def _percentile(values: Plane, share: float) -> float:
    """The upper bound of the bin that holds this share of the values; a histogram is faster than sorting."""
    top = float(values.max())
    if top <= 0.0:
        return top
    counts = cv2.calcHist(
        [np.ascontiguousarray(values)], [0], None, [_BINS], [0.0, math.nextafter(top, math.inf)]
    )
    below = np.searchsorted(np.cumsum(counts), share * values.size)
    return top * float(below + 1) / _BINS

"""PSNR of one frame."""

import math

import cv2
import numpy as np

from autoisp_isp.metrics.picture import Picture, check_shapes

BEST_PSNR = 99.0
"""Instead of infinity for equal pictures: means and JSON stay finite."""


def psnr(picture: Picture, truth: Picture) -> float:
    """Peak signal-to-noise ratio in dB, at most 99, from one mean squared error over all channels.

    >>> psnr(np.full((3, 8, 8), 0.6, np.float32), np.full((3, 8, 8), 0.5, np.float32)).__round__(3)
    20.0
    """
    check_shapes(picture, truth)
    # OpenCV squares and sums in double precision without an array between.
    x, y = (np.ascontiguousarray(array, np.float32).reshape(len(array), -1) for array in (picture, truth))
    mse = cv2.norm(x, y, cv2.NORM_L2SQR) / picture.size
    return BEST_PSNR if mse == 0.0 else min(BEST_PSNR, -10.0 * math.log10(mse))

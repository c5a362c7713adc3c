"""Small pictures for a report: the same region, noisy, developed and true."""

import cv2
import numpy as np
from autoisp_core.errors import InternalError

from autoisp_isp.classical import plain_picture
from autoisp_isp.evaluation import Array

Region = tuple[int, int, int, int]
"""Top, left, height and width."""


def noisy_picture(plane: Array, gains: Array, ccm: Array) -> Array:
    """Packed raw (4, h, w) as sRGB (3, 2h, 2w) in [0, 1], with all of its noise."""
    noisy = plain_picture(plane, gains, ccm)
    return np.ascontiguousarray(noisy[..., ::-1].transpose(2, 0, 1), np.float32) / np.float32(255.0)


def telling_region(truth: Array, edge: int) -> Region:
    """Top, left, height and width of the region of (3, H, W) with the most detail."""
    grey = np.ascontiguousarray(truth.mean(axis=0))
    return _region_of_most(np.abs(cv2.Laplacian(grey, cv2.CV_32F)), edge)


def worst_region(picture: Array, truth: Array, edge: int) -> Region:
    """Top, left, height and width of the region of (3, H, W) with the largest squared error."""
    return _region_of_most(np.square(picture - truth).sum(axis=0), edge)


def cut(picture: Array, region: Region) -> Array:
    """A copy of a region of (3, H, W)."""
    top, left, height, width = region
    return picture[:, top : top + height, left : left + width].copy()


def _region_of_most(plane: Array, edge: int) -> Region:
    height, width = (min(edge, size) for size in plane.shape)
    # Anchored at the corner, a box mean at (y, x) is that of the region that begins there.
    means = cv2.boxFilter(plane, cv2.CV_32F, (width, height), anchor=(0, 0), borderType=cv2.BORDER_REFLECT)
    inside = means[: plane.shape[0] - height + 1, : plane.shape[1] - width + 1]
    top, left = np.unravel_index(int(inside.argmax()), inside.shape)
    return int(top), int(left), height, width


def png(picture: Array) -> bytes:
    """sRGB (3, H, W) in [0, 1] as an 8-bit PNG file."""
    codes = (np.clip(picture, 0.0, 1.0) * 255.0 + 0.5).astype(np.uint8)
    done, data = cv2.imencode(".png", np.ascontiguousarray(codes.transpose(1, 2, 0)[..., ::-1]))
    if not done:
        raise InternalError("OpenCV could not encode a PNG picture")
    return bytes(data)

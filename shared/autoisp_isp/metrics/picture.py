"""Pictures as the metrics see them: checked, channels last, with a luma."""

import cv2
import numpy as np
import numpy.typing as npt
from autoisp_core.errors import InvalidArgumentError

Picture = npt.NDArray[np.float32]
"""(3, H, W) sRGB in [0, 1]."""
Pixels = npt.NDArray[np.float32]
"""(H, W, 3) sRGB in [0, 1], contiguous: as OpenCV takes it."""
Plane = npt.NDArray[np.float32]
"""(H, W), one value for each pixel."""

CODES = 255.0
"""Codes in the full range: the unit `code` of metrics."""
_LUMA = np.array([[0.2126, 0.7152, 0.0722]], np.float32)


def check_shapes(picture: Picture, truth: Picture) -> None:
    """Raises InvalidArgumentError unless both are (C, H, W) of one shape."""
    if picture.shape != truth.shape or picture.ndim != 3:
        raise InvalidArgumentError(
            "picture", f"a picture of shape {picture.shape} can't be compared with one of {truth.shape}"
        )


def pixels_of(picture: Picture) -> Pixels:
    """Channels last: (C, H, W) to (H, W, C)."""
    # Several times faster than NumPy's copy of a transposed array.
    return np.asarray(cv2.merge(list(np.ascontiguousarray(picture, np.float32))), np.float32)


def luma_of(pixels: Pixels) -> Plane:
    """Y' of ITU-R BT.709, whose primaries are sRGB's, from the values as they are encoded."""
    return np.asarray(cv2.transform(pixels, _LUMA), np.float32).reshape(pixels.shape[:2])


def grey8_of(luma: Plane) -> npt.NDArray[np.uint8]:
    """8-bit luma, as optical flow takes it."""
    return np.asarray(cv2.convertScaleAbs(luma, alpha=CODES), np.uint8)


def finite(field: str, picture: Picture) -> None:
    """Raises InvalidArgumentError that names the first value that is no number."""
    # The sum of what is finite is finite, and takes a fraction of the time of looking at each.
    if np.isfinite(
        cv2.norm(np.ascontiguousarray(picture, np.float32).reshape(len(picture), -1), cv2.NORM_L1)
    ):
        return
    channel, row, column = (int(place) for place in np.argwhere(~np.isfinite(picture))[0])
    raise InvalidArgumentError(
        field,
        f"has a value that isn't finite: {picture[channel, row, column]} in channel {channel}, row {row}, "
        f"column {column}",
    )

"""The classical prototype: edge-aware demosaic, colour, multi-frame non-local means, all in OpenCV."""

import math

import cv2
import numpy as np
import numpy.typing as npt

from autoisp_isp.raw import OPENCV_EDGE_AWARE

Array = npt.NDArray[np.float32]

_FRAMES = 3
# OpenCV's edge-aware demosaic takes 16-bit codes. A pedestal keeps the noise below black: cutting it off
# would brighten shadows.
_PEDESTAL, _CODES = 0.25, 65535.0
_TEMPLATE, _SEARCH = 7, 21
# Where in linear light the noise's strength behind the curve is taken.
_MID_GREY = 0.2
# The filter works behind a display-like curve that lies this far above black: noise keeps both its sides, and
# its strength varies less from shadows to highlights than behind the sRGB curve. Worth up to 2 dB.
_FILTER_PEDESTAL, _FILTER_GAMMA = 0.1, 2.2
# Best mean PSNR of a grid over three clips, four noise levels and two colour matrices.
_LUMA, _CHROMA = 0.35, 0.5
# The demosaic's false colours, in 8-bit steps: they are there without any noise.
_FALSE_COLOUR = 3.0


class ClassicalPrototype:
    """`builtin:classical`, on one OpenCV thread.

    Its filter strength follows the noise it is told; the factors were tuned for the best PSNR on natural
    clips. Its arithmetic can't be counted, so `macs_per_pixel` is None and its cost is its time.
    """

    frames = _FRAMES
    recurrent = False
    inputs = ("raw", "gains", "ccm", "noise")
    macs_per_pixel: float | None = None

    def __init__(self, threads: int = 1) -> None:
        self._threads = threads

    def start(self) -> "ClassicalPrototype":
        """Itself: it carries nothing from frame to frame."""
        return self

    def skip(self, raw: Array, gains: Array, ccm: Array, noise: Array) -> None:
        """Nothing to do: it remembers nothing."""

    def run(self, raw: Array, gains: Array, ccm: Array, noise: Array) -> Array:
        """Develops the newest of three frames.

        Args:
            raw: (3, 4, h, w) noisy packed RGGB, oldest first.
            gains: (3,); ccm: (3, 3); noise: (2,), shot and read variance.

        Returns:
            sRGB (3, 2h, 2w) float32 in [0, 1].
        """
        cv2.setNumThreads(self._threads)
        pictures = [_filter_codes(_linear_picture(frame, gains, ccm)) for frame in raw]
        # OpenCV filters the middle of an odd window: the newest frame goes there, with its past on both
        # sides.
        older = pictures[:-1]
        half = len(older) // 2
        window = [*older[:half], pictures[-1], *older[half:]]
        luma, chroma = filter_strengths(gains, ccm, noise)
        clean = cv2.fastNlMeansDenoisingColoredMulti(
            window, half, len(window), None, luma, chroma, _TEMPLATE, _SEARCH
        )
        return np.ascontiguousarray(_SRGB_OF_CODE[clean][..., ::-1].transpose(2, 0, 1))


def filter_strengths(gains: Array, ccm: Array, noise: Array) -> tuple[float, float]:
    """Non-local means' h for luma and colour, in 8-bit steps, from the noise's deviation behind the curve."""
    shot, read = (float(value) for value in noise)
    variances = [float(gain) ** 2 * (shot * _MID_GREY / float(gain) + read) for gain in gains]
    mixed = float(np.mean(np.square(ccm.astype(np.float64)) @ np.asarray(variances)))
    lifted = (_MID_GREY + _FILTER_PEDESTAL) / (1.0 + _FILTER_PEDESTAL)
    slope = lifted ** (1.0 / _FILTER_GAMMA - 1.0) / _FILTER_GAMMA / (1.0 + _FILTER_PEDESTAL)
    deviation = 255.0 * slope * math.sqrt(mixed)
    return _LUMA * deviation, math.hypot(_CHROMA * deviation, _FALSE_COLOUR)


def plain_picture(frame: Array, gains: Array, ccm: Array) -> npt.NDArray[np.uint8]:
    """Packed raw (4, h, w) to an 8-bit BGR picture (2h, 2w, 3): everything but the noise filter."""
    return (_srgb(_linear_picture(frame, gains, ccm)) * 255.0 + 0.5).astype(np.uint8)


def _linear_picture(frame: Array, gains: Array, ccm: Array) -> Array:
    """Packed raw (4, h, w) to linear BGR (2h, 2w, 3), whose noise may lie outside [0, 1]."""
    _, height, width = frame.shape
    mosaic = frame.reshape(2, 2, height, width).transpose(2, 0, 3, 1).reshape(2 * height, 2 * width)
    codes = np.clip((mosaic + _PEDESTAL) * (_CODES / (1.0 + _PEDESTAL)) + 0.5, 0.0, _CODES).astype(np.uint16)
    bgr = cv2.demosaicing(codes, OPENCV_EDGE_AWARE["RGGB"]).astype(np.float32)
    balanced = (bgr * ((1.0 + _PEDESTAL) / _CODES) - _PEDESTAL) * gains[::-1].astype(np.float32)
    np.minimum(balanced, 1.0, out=balanced)
    return np.asarray(cv2.transform(balanced, np.ascontiguousarray(ccm[::-1, ::-1], dtype=np.float32)))


def _filter_codes(linear: Array) -> npt.NDArray[np.uint8]:
    lifted = np.clip((linear + _FILTER_PEDESTAL) / (1.0 + _FILTER_PEDESTAL), 0.0, 1.0)
    codes = np.power(lifted, 1.0 / _FILTER_GAMMA) * 255.0 + 0.5
    return np.asarray(codes, dtype=np.uint8)


def _srgb(linear: Array) -> Array:
    clipped = np.clip(linear, 0.0, 1.0)
    curve = 1.055 * np.power(clipped, 1.0 / 2.4) - 0.055
    return np.where(clipped <= 0.0031308, 12.92 * clipped, curve).astype(np.float32)


_SRGB_OF_CODE = _srgb(
    (np.arange(256, dtype=np.float32) / 255.0) ** _FILTER_GAMMA * (1.0 + _FILTER_PEDESTAL) - _FILTER_PEDESTAL
)

"""Patches of consecutive frames from clean clips, with scale, motion, flips and time augmented.

Everything happens on full-colour frames, before any mosaic: no flip or odd shift can break the Bayer phase.
"""

import math
from collections.abc import Iterator, Sequence

import cv2
import numpy as np
import numpy.typing as npt
from autoisp_core.errors import InvalidArgumentError

from autoisp_isp.raw import Frames

_WIDER = 257  # 255 in 8 bits becomes 65535 in 16

# Smaller pictures have more detail per pixel: a frame is shrunk by one of these where it is large enough.
_SCALES, _SCALE_SHARES = (1, 2, 3), (0.5, 0.35, 0.15)
# Frames skipped between two of a window: fast motion is where a stack of frames loses.
_STRIDES, _STRIDE_SHARES = (1, 2, 3, 5), (0.6, 0.2, 0.1, 0.1)
# Share of patches with a pan on top of the clip's own motion, its mean length in pixels per frame, and its
# limit.
_PAN_SHARE, _PAN_MEAN, _PAN_LIMIT = 0.3, 6.0, 32
# Share of patches whose pan moves over one still frame.
_STILL_SHARE = 0.1
# Still images are scenes that no clip has, but nothing in them moves by itself: beside clips all of them
# together get no more than this share of the patches.
_STILL_CLIPS_AT_MOST = 0.5
# OpenCV's codes: none, rows, columns, both.
_FLIPS = (None, 0, 1, -1)
_SMALLEST = 16

NUMBERS = 13
"""Random numbers that decide on a patch. Drawn for many patches at once: one call of the generator for each
decision would take as long as the cutting."""


class PatchSampler:
    """Draws patches from in-memory clips; large clips are drawn more often than small ones.

    A clip of one frame is a still image: its patches are pans over it.

    Args:
        clips: (name, frames (T, H, W, 3) uint8, or uint16 over all of its range).

    Attributes:
        dtype: of the patches: uint8 if all clips are, else uint16.
        shares: of the patches that each clip gets; their sum is 1.

    Raises:
        InvalidArgumentError: for a clip that is no RGB video or smaller than 16×16 pixels.
    """

    def __init__(self, clips: Sequence[tuple[str, Frames]]) -> None:
        for name, frames in clips:
            known = frames.dtype in (np.uint8, np.uint16)
            if frames.ndim != 4 or frames.shape[3] != 3 or not known or len(frames) == 0:
                raise InvalidArgumentError(
                    "dataset", f"clip {name} is no (T, H, W, 3) video of uint8 or uint16"
                )
            if min(frames.shape[1:3]) < _SMALLEST:
                raise InvalidArgumentError(
                    "dataset", f"clip {name} is smaller than {_SMALLEST}×{_SMALLEST} pixels"
                )
        self._clips = [frames for _, frames in clips]
        self.dtype = np.result_type(np.uint8, *(frames.dtype for frames in self._clips))
        self.shares = _shares(self._clips)
        self._thresholds = np.cumsum(self.shares)[:-1]

    def cut(self, numbers: npt.NDArray[np.float64], edge: int, frames: int) -> Frames:
        """Patches (size, frames, 3, edge, edge) of ``dtype``, oldest frame first.

        Args:
            numbers: (size, ``NUMBERS``) uniform in [0, 1), the draws of each patch.
            edge: of a patch, in pixels.
            frames: of a patch.
        """
        patches = np.empty((len(numbers), frames, edge, edge, 3), self.dtype)
        clips = np.searchsorted(self._thresholds, numbers[:, 0], side="right")
        for patch, clip, own in zip(patches, clips, numbers[:, 1:].tolist(), strict=True):
            _fill(patch, self._clips[clip], iter(own))
        return np.ascontiguousarray(patches.transpose(0, 1, 4, 2, 3))


def _shares(clips: Sequence[Frames]) -> npt.NDArray[np.float64]:
    # The root keeps one long clip from drowning the others: variety of scenes is worth more than their
    # length.
    weights = np.sqrt([float(frames.size) for frames in clips])
    shares: npt.NDArray[np.float64] = weights / weights.sum()
    still = np.array([len(frames) == 1 for frames in clips])
    excess = shares[still].sum() / _STILL_CLIPS_AT_MOST
    if not still.all() and excess > 1.0:
        shares[still] /= excess
        shares[~still] *= (1.0 - _STILL_CLIPS_AT_MOST) / shares[~still].sum()
    return shares


def _fill(patch: Frames, clip: Frames, numbers: Iterator[float]) -> None:
    frames, edge = patch.shape[:2]
    length, height, width = clip.shape[:3]
    scale = _one_of(_SCALES, _SCALE_SHARES, next(numbers))
    while scale > 1 and min(height, width) < scale * edge:
        scale -= 1
    box_height, box_width = min(height, scale * edge), min(width, scale * edge)
    times = _times(numbers, length, frames)
    down, right = _pan(numbers, scale, still=times[0] == times[-1])
    tops = _path(next(numbers), height - box_height, frames, down)
    lefts = _path(next(numbers), width - box_width, frames, right)
    flip, transpose = _FLIPS[int(next(numbers) * len(_FLIPS))], next(numbers) < 0.5
    for frame, (time, top, left) in enumerate(zip(times, tops, lefts, strict=True)):
        box = clip[time, top : top + box_height, left : left + box_width]
        if scale > 1:
            smaller = (box_width // scale, box_height // scale)
            box = np.asarray(cv2.resize(box, smaller, interpolation=cv2.INTER_AREA))
        if box.shape[:2] != (edge, edge):
            rest = ((0, edge - box.shape[0]), (0, edge - box.shape[1]), (0, 0))
            box = np.pad(box, rest, mode="symmetric")
        if flip is not None:
            box = np.asarray(cv2.flip(box, flip))
        patch[frame] = cv2.transpose(box) if transpose else box
    if clip.dtype != patch.dtype:
        patch *= _WIDER


def _one_of(values: Sequence[int], shares: Sequence[float], number: float) -> int:
    for value, share in zip(values, shares, strict=True):
        number -= share
        if number < 0.0:
            return value
    return values[-1]


def _times(numbers: Iterator[float], length: int, frames: int) -> list[int]:
    """Indices of the frames of one window, oldest first; half of the windows run backwards."""
    start, still, stride = int(next(numbers) * length), next(numbers), next(numbers)
    backwards = next(numbers) < 0.5
    if still < _STILL_SHARE:
        return [start] * frames
    step = _one_of(_STRIDES, _STRIDE_SHARES, stride)
    step = max(1, min(step, (length - 1) // max(1, frames - 1)))
    if backwards:
        step = -step
    span = step * (frames - 1)
    first = min(max(start, max(0, -span)), length - 1 - max(0, span))
    return [min(max(first + step * frame, 0), length - 1) for frame in range(frames)]


def _pan(numbers: Iterator[float], scale: int, *, still: bool) -> tuple[int, int]:
    """Pixels per frame, down and right, that the window moves by."""
    pans, length, angle = next(numbers) < _PAN_SHARE, next(numbers), next(numbers) * 2.0 * math.pi
    if not (still or pans):
        return 0, 0
    speed = min(-math.log1p(-length) * _PAN_MEAN, _PAN_LIMIT) * scale
    return round(speed * math.sin(angle)), round(speed * math.cos(angle))


def _path(number: float, free: int, frames: int, pan: int) -> list[int]:
    """Offsets of the window along one axis, `pan` apart as far as the frame has room."""
    pan = max(-(free // max(1, frames - 1)), min(free // max(1, frames - 1), pan))
    span = pan * (frames - 1)
    first = max(0, -span) + int(number * (free - abs(span) + 1))
    return [first + pan * frame for frame in range(frames)]

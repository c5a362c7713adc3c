"""Patches of consecutive frames from clean clips, with scale, motion, flips and time augmented.

Everything happens on full-colour frames, before any mosaic: no flip or odd shift can break the Bayer phase.
"""

from collections.abc import Sequence

import cv2
import numpy as np
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
_SMALLEST = 16


class PatchSampler:
    """Draws patches from in-memory clips; large clips are drawn more often than small ones.

    Args:
        clips: (name, frames (T, H, W, 3) uint8, or uint16 over all of its range).

    Attributes:
        dtype: of the patches: uint8 if all clips are, else uint16.

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
        # The root keeps one long clip from drowning the others: variety of scenes is worth more than their
        # length.
        weights = np.sqrt([frames.size for frames in self._clips])
        self._shares = weights / weights.sum()

    def draw(self, choices: np.random.Generator, size: int, edge: int, frames: int) -> Frames:
        """Patches (size, frames, 3, edge, edge) of ``dtype``, oldest frame first."""
        batch = np.empty((size, frames, 3, edge, edge), self.dtype)
        for patch in batch:
            clip = self._clips[choices.choice(len(self._clips), p=self._shares)]
            self._fill(patch, clip, choices)
        return batch

    def _fill(self, patch: Frames, clip: Frames, choices: np.random.Generator) -> None:
        frames, edge = patch.shape[0], patch.shape[-1]
        length, height, width = clip.shape[:3]
        scale = int(choices.choice(_SCALES, p=_SCALE_SHARES))
        while scale > 1 and min(height, width) < scale * edge:
            scale -= 1
        box_height, box_width = min(height, scale * edge), min(width, scale * edge)
        times = _times(choices, length, frames)
        tops, lefts = (
            _path(choices, free, frames, pan)
            for free, pan in zip(
                (height - box_height, width - box_width),
                _pan(choices, scale, still=times[0] == times[-1]),
                strict=True,
            )
        )
        flip_rows, flip_columns, transpose = choices.random(3) < 0.5
        for frame, (time, top, left) in enumerate(zip(times, tops, lefts, strict=True)):
            box = clip[time, top : top + box_height, left : left + box_width]
            if scale > 1:
                smaller = (box_width // scale, box_height // scale)
                box = np.asarray(cv2.resize(box, smaller, interpolation=cv2.INTER_AREA))
            if box.shape[:2] != (edge, edge):
                rest = ((0, edge - box.shape[0]), (0, edge - box.shape[1]), (0, 0))
                box = np.pad(box, rest, mode="symmetric")
            if flip_rows:
                box = box[::-1]
            if flip_columns:
                box = box[:, ::-1]
            if transpose:
                box = box.transpose(1, 0, 2)
            patch[frame] = box.transpose(2, 0, 1)
        if clip.dtype != patch.dtype:
            patch *= _WIDER


def _times(choices: np.random.Generator, length: int, frames: int) -> list[int]:
    """Indices of the frames of one window, oldest first; half of the windows run backwards."""
    start = int(choices.integers(length))
    if choices.random() < _STILL_SHARE:
        return [start] * frames
    stride = int(choices.choice(_STRIDES, p=_STRIDE_SHARES))
    stride = max(1, min(stride, (length - 1) // max(1, frames - 1)))
    if choices.random() < 0.5:
        stride = -stride
    span = stride * (frames - 1)
    first = min(max(start, max(0, -span)), length - 1 - max(0, span))
    return [min(max(first + stride * frame, 0), length - 1) for frame in range(frames)]


def _pan(choices: np.random.Generator, scale: int, *, still: bool) -> tuple[int, int]:
    """Pixels per frame, down and right, that the window moves by."""
    if not still and choices.random() >= _PAN_SHARE:
        return 0, 0
    speed = min(choices.exponential(_PAN_MEAN), _PAN_LIMIT) * scale
    angle = choices.uniform(0.0, 2.0 * np.pi)
    return round(speed * np.sin(angle)), round(speed * np.cos(angle))


def _path(choices: np.random.Generator, free: int, frames: int, pan: int) -> list[int]:
    """Offsets of the window along one axis, `pan` apart as far as the frame has room."""
    pan = max(-(free // max(1, frames - 1)), min(free // max(1, frames - 1), pan))
    span = pan * (frames - 1)
    first = int(choices.integers(max(0, -span), free - max(0, span) + 1))
    return [first + pan * frame for frame in range(frames)]

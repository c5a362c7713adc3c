"""Motion between two frames: optical flow, what can be followed, and frames brought along it."""

from functools import cached_property

import cv2
import numpy as np
import numpy.typing as npt

from autoisp_isp.metrics.picture import Pixels, Plane

Grey8 = npt.NDArray[np.uint8]
Flow = npt.NDArray[np.float32]
"""(H, W, 2): pixels right and down."""

_PART, _SLACK = 0.01, 0.5
"""How far flows there and back may miss, of their squared lengths, and pixels² on top."""
_NO_GUESS = np.empty((0,), np.float32)
_BORDER = 8
"""Pixels at each side where motion is guesswork, after Chu et al.'s code."""
_FOLLOWED = 0.25
"""Share of the pixels; with fewer there was a cut."""


class Motion:
    """From a frame to the one before it.

    Args:
        now, past: luma of both, (H, W).
    """

    def __init__(self, now: Grey8, past: Grey8) -> None:
        self._now, self._past = now, past

    @cached_property
    def flow(self) -> Flow:
        """Where each pixel of `now` was in `past`, relative to itself: DIS flow (Kroeger et al. 2016)."""
        return flow_between(self._now, self._past)

    @cached_property
    def followed(self) -> npt.NDArray[np.bool_]:
        """(H, W): what can be seen in both frames.

        Flows there and back meet: |w + ŵ|² ≤ 0.01 (|w|² + |ŵ|²) + 0.5 (Sundaram, Brox & Keutzer 2010), and
        the pixel came from inside the frame. The flow back is a rougher one: the slack of 0.7 pixels is ten
        times its error.
        """
        there = self.flow
        rough = flow_between(self._past, self._now, cv2.DISOPTICAL_FLOW_PRESET_FAST)
        back = np.asarray(cv2.remap(rough, *self._places, cv2.INTER_LINEAR), np.float32)
        close = _squared(there + back) <= _PART * (_squared(there) + _squared(back)) + _SLACK
        height, width = self._now.shape
        column, row = self._places
        return np.asarray(close & (column >= 0) & (row >= 0) & (column <= width - 1) & (row <= height - 1))

    @cached_property
    def cut(self) -> bool:
        """Whether so little can be followed that the frames are of two scenes."""
        return bool(np.count_nonzero(self.followed) < _FOLLOWED * self.followed.size)

    def bring(self, past: Pixels | Plane) -> Pixels | Plane:
        """The past frame as it would look now had it only moved; bilinear."""
        return np.asarray(
            cv2.remap(past, *self._places, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE), np.float32
        )

    @cached_property
    def _places(self) -> tuple[Plane, Plane]:
        """Column and row in `past`, fractions included, of each pixel of `now`."""
        height, width = self._now.shape
        columns, rows = np.arange(width, dtype=np.float32), np.arange(height, dtype=np.float32)
        return self.flow[..., 0] + columns, self.flow[..., 1] + rows[:, None]


def flow_between(now: Grey8, past: Grey8, preset: int = cv2.DISOPTICAL_FLOW_PRESET_MEDIUM) -> Flow:
    """DIS flow (H, W, 2): `now` at x shows what `past` shows at x + flow."""
    # A finder keeps buffers and is no use to two threads at once; making one costs next to nothing.
    return np.asarray(cv2.DISOpticalFlow.create(preset).calc(now, past, _NO_GUESS), np.float32)


def flow_error(flow: Flow, true: Flow) -> float:
    """Mean endpoint error in pixels, without 8 pixels at each border."""
    inner = np.s_[_BORDER:-_BORDER, _BORDER:-_BORDER]
    return float(np.mean(np.sqrt(_squared((flow - true)[inner])), dtype=np.float64))


def _squared(flow: Flow) -> Plane:
    """Squared lengths (H, W)."""
    across, down = flow[..., 0], flow[..., 1]
    return np.asarray(across * across + down * down)

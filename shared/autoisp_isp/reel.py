"""The raw that developers of a clip are shown, made once for all of them, frame after frame."""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch
from autoisp_core.sensor import Noise, SensorProfile

from autoisp_isp.evaluation import WARM_UP, Array, Developer
from autoisp_isp.raw import Frames
from autoisp_isp.synthesis import RawClip, window_indices


@dataclass(frozen=True, slots=True)
class Shot:
    """One frame to judge, and what a developer must have seen of those before it.

    Attributes:
        index: of the frame in the clip.
        fresh: whether streams begin here; else they go on.
        earlier: frames that streams of recurrent developers see first, if they begin here.
        planes: noisy packed raw (4, h, w), the judged frame's last.
        gains: (3,); ccm: (3, 3); noise: (2,).
        truth: (3, 2h, 2w) sRGB in [0, 1].
    """

    index: int
    fresh: bool
    earlier: int
    planes: tuple[Array, ...]
    gains: Array
    ccm: Array
    noise: Array
    truth: Array

    def window(self, frames: int, back: int = 0) -> Array:
        """Raw (T, 4, h, w) of `frames` frames that ends `back` frames before the judged one."""
        end = len(self.planes) - back
        return np.stack(self.planes[end - frames : end])


class Reel:
    """Frames of a clip, in order, for all developers of an evaluation.

    If every frame is wanted, they are one stream, as a camera delivers it. Several strengths of noise then
    follow one another, each for an equal part of the clip. Of spread frames each one has a stream of its own,
    which begins up to `WARM_UP` frames earlier for recurrent developers, and strengths take turns; as
    `autoisp_isp.evaluation.evaluate` has it.

    Args:
        frames, sensor, seed, digest: as for `evaluate`.
        indices: which frames to judge, in order.
        developers: who is shown them.
        threads: of torch, in the thread that calls.
    """

    def __init__(
        self,
        frames: Sequence[Frames],
        sensor: SensorProfile,
        seed: int,
        digest: str,
        indices: Sequence[int],
        developers: Sequence[Developer],
        threads: int = 1,
    ) -> None:
        self._clip = RawClip(frames, sensor, digest, seed)
        self._indices = indices
        self.whole = len(indices) == len(frames)
        self._noises = sensor.evaluation_noises()
        self._gains = np.asarray(sensor.gains, np.float32)
        self._ccm = np.asarray(sensor.ccm, np.float32)
        self._window = max(developer.frames for developer in developers)
        self._recurrent = any(developer.recurrent for developer in developers)
        self._threads = threads
        self._past: deque[Array] = deque(maxlen=self._window)

    def __len__(self) -> int:
        return len(self._indices)

    def __call__(self, position: int) -> Shot:
        """The frame at a position of `indices`. Of a whole clip they are asked for in order, from 0 on.

        Raises:
            IndexError: there is none.
            AutoISPError: it can't be read.
        """
        index = self._indices[position]
        torch.set_num_threads(self._threads)  # of this thread: torch keeps them apart
        return self._next(index) if self.whole else self._spread(index, position)

    def _next(self, index: int) -> Shot:
        noise = self._noises[index * len(self._noises) // len(self._indices)]
        raw, truth = self._clip.frame(index, noise)
        # Before the clip's start its first frame is repeated.
        self._past.extend([raw.numpy()] * (self._window if index == 0 else 1))
        return self._shot(index, noise, tuple(self._past), truth.numpy(), fresh=index == 0)

    def _spread(self, index: int, position: int) -> Shot:
        noise = self._noises[position % len(self._noises)]
        earlier = min(index, WARM_UP) if self._recurrent else 0
        raw, truth = self._clip.frame(index, noise)
        made = {index: raw.numpy()}
        wanted = window_indices(index, self._window + earlier)
        made |= {one: self._clip.noisy(one, noise).numpy() for one in set(wanted) - {index}}
        planes = tuple(made[one] for one in wanted)
        return self._shot(index, noise, planes, truth.numpy(), fresh=True, earlier=earlier)

    def _shot(
        self,
        index: int,
        noise: Noise,
        planes: tuple[Array, ...],
        truth: Array,
        *,
        fresh: bool,
        earlier: int = 0,
    ) -> Shot:
        told = np.array([noise.shot, noise.read], np.float32)
        return Shot(index, fresh, earlier, planes, self._gains, self._ccm, told, truth)

"""Patches as a noiseless camera would deliver them, with what it knows of them, and their truth."""

from collections.abc import Sequence
from dataclasses import dataclass, fields

import cv2
import numpy as np
import numpy.typing as npt
import torch
from autoisp_core.sensor import SensorProfile
from torch import Tensor

from autoisp_isp.colour import linear_from_srgb, srgb_from_linear
from autoisp_isp.patches import NUMBERS, PatchSampler
from autoisp_isp.raw import Frames
from autoisp_isp.scene_draws import draw_scenes, in_other_light
from autoisp_isp.sensor_draws import DrawnSensors, SensorDraws

# A step of 2^-16 in linear light moves the sRGB curve by 2e-4 at most, far below the noise of any sensor.
_CURVE_STEPS = 65535
# Patches that go through the maths together: more would not stay in the processor's cache.
_AT_ONCE = 8


@dataclass(frozen=True)
class CleanPatches:
    """Patches without noise.

    Attributes:
        raw: (N, T, 4, h, w) packed RGGB, oldest first.
        gains: (N, 3); ccm: (N, 3, 3).
        noise: (N, 2), shot and read variance of the noise that is to come.
        truth: (N, 3, 2h, 2w) sRGB in [0, 1] of the newest frame.
    """

    raw: Tensor
    gains: Tensor
    ccm: Tensor
    noise: Tensor
    truth: Tensor

    def chosen(self, index: Tensor) -> "CleanPatches":
        """The patches at these places (M,)."""
        return CleanPatches(*(getattr(self, field.name).index_select(0, index) for field in fields(self)))

    @classmethod
    def joined(cls, parts: Sequence["CleanPatches"]) -> "CleanPatches":
        """All patches of all parts, one part after the other."""
        return cls(*(torch.cat([getattr(part, field.name) for part in parts]) for field in fields(cls)))

    def to(self, device: torch.device) -> "CleanPatches":
        """The same on another device."""
        return CleanPatches(*(getattr(self, field.name).to(device) for field in fields(self)))


class CleanPatchSource:
    """Draws clean patches: cut from clips, in another light, through a sensor drawn for each of them.

    Args:
        clips: (name, frames (T, H, W, 3) uint8 or uint16 sRGB) of each clip.
        sensor: its noise, gains and colour matrix are drawn from.

    Raises:
        InvalidArgumentError: for a clip that is too small to train on.
    """

    def __init__(self, clips: Sequence[tuple[str, Frames]], sensor: SensorProfile) -> None:
        self._sampler = PatchSampler(clips)
        self._draws = SensorDraws(sensor)
        self._linear = _linear_table(int(np.iinfo(self._sampler.dtype).max))
        self._curve = _curve_table()

    def draw(
        self, word: int, *, size: int, patch: int, frames: int, chosen: npt.NDArray[np.int64]
    ) -> CleanPatches:
        """Patches that belong to a word.

        Args:
            word: the seed of everything in them.
            size: how many belong to it.
            patch: edge of a raw patch; the pictures are twice as wide.
            frames: raw frames per patch.
            chosen: which of them to make, and in which order; each is what it would be among all of them.
        """
        choices = np.random.default_rng(word)
        numbers = choices.random((size, NUMBERS))
        scenes, sensors = draw_scenes(choices, size), self._draws.draw(choices, size)
        made = [
            self._made(numbers[some], scenes[some], sensors.part(torch.from_numpy(some)), patch, frames)
            for some in np.array_split(chosen, max(1, len(chosen) // _AT_ONCE))
        ]
        return CleanPatches.joined(made)

    def _made(
        self,
        numbers: npt.NDArray[np.float64],
        scenes: Tensor,
        sensors: DrawnSensors,
        patch: int,
        frames: int,
    ) -> CleanPatches:
        linear = in_other_light(self._linear_of(self._sampler.cut(numbers, 2 * patch, frames)), scenes)
        raw, truth = sensors.planes(linear), self._truth(linear[:, -1], sensors)
        return CleanPatches(raw, sensors.gains, sensors.ccm, sensors.noise, truth)

    def _linear_of(self, srgb: Frames) -> Tensor:
        if srgb.dtype != np.uint8:
            return torch.from_numpy(np.take(self._linear, srgb))
        # OpenCV's look-up is the fastest, and takes 8 bits only.
        looked_up = cv2.LUT(srgb.reshape(-1, srgb.shape[-1]), self._linear)
        return torch.from_numpy(np.asarray(looked_up, np.float32).reshape(srgb.shape))

    def _truth(self, linear: Tensor, sensors: DrawnSensors) -> Tensor:
        reachable = linear if sensors.identity else sensors.reachable(linear)
        steps = (reachable * _CURVE_STEPS).round_().to(torch.int32)
        return torch.from_numpy(np.take(self._curve, steps.numpy()))


def _linear_table(white: int) -> npt.NDArray[np.float32]:
    return linear_from_srgb(torch.arange(white + 1) / float(white)).numpy()


def _curve_table() -> npt.NDArray[np.float32]:
    return srgb_from_linear(torch.arange(_CURVE_STEPS + 1) / _CURVE_STEPS).numpy()

"""Training batches: patches of clean footage, augmented, turned into noisy raw on the fly."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import numpy.typing as npt
import torch
from autoisp_core.errors import InvalidArgumentError
from autoisp_core.sensor import SensorProfile
from torch import Tensor

from autoisp_isp.colour import linear_from_srgb, srgb_from_linear
from autoisp_isp.patches import PatchSampler
from autoisp_isp.raw import Frames
from autoisp_isp.scene_draws import draw_scenes, in_other_light
from autoisp_isp.sensor_draws import DrawnSensors, SensorDraws

# A step of 2^-16 in linear light moves the sRGB curve by 2e-4 at most, far below the noise of any sensor.
_CURVE_STEPS = 65535


@dataclass(frozen=True)
class Teaching:
    """What a prototype made of the patches of a batch.

    Attributes:
        picture: (N, 3, 2h, 2w) sRGB in [0, 1]; zeros in patches that are no lesson.
        weight: (N,) of this picture's loss, 0 to 1; the truth's has the rest.
        features: (N, C, f, f) of the prototype over the patch, C is 0 without any.
        lesson: (N,) bool: whether the prototype was asked.
    """

    picture: Tensor
    weight: Tensor
    features: Tensor
    lesson: Tensor

    def to(self, device: torch.device) -> "Teaching":
        """The same on another device."""
        return Teaching(*(getattr(self, each.name).to(device) for each in fields(self)))


@dataclass(frozen=True)
class Batch:
    """One training batch.

    Attributes:
        raw: (N, T, 4, h, w) noisy packed RGGB, oldest first.
        gains: (N, 3); ccm: (N, 3, 3); noise: (N, 2).
        truth: (N, 3, 2h, 2w) sRGB in [0, 1] of the newest frame; zeros where the teaching's weight is 1.
        teaching: None: no prototype teaches.
    """

    raw: Tensor
    gains: Tensor
    ccm: Tensor
    noise: Tensor
    truth: Tensor
    teaching: Teaching | None = None

    def to(self, device: torch.device) -> "Batch":
        """The same batch on another device."""
        names = ("raw", "gains", "ccm", "noise", "truth")
        plain = {name: getattr(self, name).to(device) for name in names}
        return replace(self, **plain, teaching=self.teaching.to(device) if self.teaching else None)


class TrainingSet:
    """Endless batches from in-memory clips.

    A batch is a pure function of the seed and the step, so that resuming needs no generator's state: step 17
    of a resumed training sees what step 17 of an uninterrupted one would.

    Args:
        clips: (name, frames (T, H, W, 3) uint8 or uint16 sRGB) of each training clip.
        sensor: its noise, gains and colour matrix are drawn from.

    Raises:
        InvalidArgumentError: without clips, or with one too small to train on.
    """

    def __init__(self, clips: Sequence[tuple[str, Frames]], sensor: SensorProfile) -> None:
        if not clips:
            raise InvalidArgumentError("dataset", "there is no training clip: give at least one")
        self._sampler = PatchSampler(clips)
        self._draws = SensorDraws(sensor)
        self._linear = _linear_table(int(np.iinfo(self._sampler.dtype).max))
        self._curve = _curve_table()

    def batch(self, step: int, *, seed: int, size: int, patch: int, frames: int) -> Batch:
        """The batch of one step.

        Args:
            step: which one.
            seed: of the training.
            size: patches in it.
            patch: edge of a raw patch; the pictures are twice as wide.
            frames: raw frames per patch.
        """
        digest = hashlib.blake2b(f"{seed}/{step}".encode(), digest_size=8).digest()
        word = int.from_bytes(digest, "big") >> 1
        choices = np.random.default_rng(word)
        srgb = self._sampler.draw(choices, size, 2 * patch, frames)
        draws = self._draws.draw(choices, size)
        linear = in_other_light(torch.from_numpy(self._linear[srgb]), draw_scenes(choices, size))
        raw = draws.planes(linear)
        generator = torch.Generator().manual_seed(word)
        shot, read = (draws.noise[:, kind, None, None, None, None] for kind in (0, 1))
        unit = torch.empty_like(raw).normal_(generator=generator)
        noisy = unit.mul_((raw * shot).add_(read).sqrt_()).add_(raw).clamp_max_(1.0)
        return Batch(noisy, draws.gains, draws.ccm, draws.noise, self._truth(linear[:, -1], draws))

    def _truth(self, linear: Tensor, draws: DrawnSensors) -> Tensor:
        reachable = linear if draws.identity else draws.reachable(linear)
        return torch.from_numpy(self._curve[(reachable * _CURVE_STEPS).round_().to(torch.int32).numpy()])


def _linear_table(white: int) -> npt.NDArray[np.float32]:
    return linear_from_srgb(torch.arange(white + 1) / float(white)).numpy()


def _curve_table() -> npt.NDArray[np.float32]:
    return srgb_from_linear(torch.arange(_CURVE_STEPS + 1) / _CURVE_STEPS).numpy()

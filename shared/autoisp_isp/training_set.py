"""Training batches: patches of clean footage, augmented, turned into noisy raw on the fly."""

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt
import torch
from autoisp_core.errors import InvalidArgumentError
from autoisp_core.sensor import SensorProfile
from torch import Tensor

from autoisp_isp.augment import camera
from autoisp_isp.augment.choices import Choices
from autoisp_isp.augment.conditions import Conditions, camera_operations
from autoisp_isp.augment.content import content_of
from autoisp_isp.colour import linear_from_srgb, srgb_from_linear
from autoisp_isp.patches import PatchSampler
from autoisp_isp.raw import Frames
from autoisp_isp.scene_draws import draw_scenes, in_other_light
from autoisp_isp.sensor_draws import DrawnSensors, SensorDraws

# A step of 2^-16 in linear light moves the sRGB curve by 2e-4 at most, far below the noise of any sensor.
_CURVE_STEPS = 65535


@dataclass(frozen=True)
class Batch:
    """One training batch.

    Attributes:
        raw: (N, T, 4, h, w) noisy packed RGGB, oldest first.
        gains: (N, 3); ccm: (N, 3, 3); noise: (N, 2).
        truth: (N, 3, 2h, 2w) sRGB in [0, 1] of the newest frame.
        choices: how the patches were augmented; None: not at all.
        content: (N, F) features of the patches that no augmentation had a hand in, on the CPU; only with
            choices.
    """

    raw: Tensor
    gains: Tensor
    ccm: Tensor
    noise: Tensor
    truth: Tensor
    choices: Choices | None = None
    content: Tensor | None = None

    def to(self, device: torch.device) -> "Batch":
        """The same batch, with what the network is given on another device."""
        return replace(
            self,
            raw=self.raw.to(device),
            gains=self.gains.to(device),
            ccm=self.ccm.to(device),
            noise=self.noise.to(device),
            truth=self.truth.to(device),
        )


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
        self._identity = sensor.has_identity_ccm
        self._linear = _linear_table(int(np.iinfo(self._sampler.dtype).max))
        self._curve = _curve_table()

    def operations(self, frames: int) -> tuple[str, ...]:
        """Names of the camera operations that can change patches of this many frames."""
        return camera_operations(frames=frames, identity=self._identity)

    def batch(
        self, step: int, *, seed: int, size: int, patch: int, frames: int, choices: Choices | None = None
    ) -> Batch:
        """The batch of one step.

        Args:
            step: which one.
            seed: of the training.
            size: patches in it.
            patch: edge of a raw patch; the pictures are twice as wide.
            frames: raw frames per patch.
            choices: how to augment each patch, with the numbers of `operations(frames)`; None: not at all.
                What is on the patches does not depend on it.
        """
        digest = hashlib.blake2b(f"{seed}/{step}".encode(), digest_size=8).digest()
        word = int.from_bytes(digest, "big") >> 1
        source = np.random.default_rng(word)
        srgb = self._sampler.draw(source, size, 2 * patch, frames)
        draws = self._draws.draw(source, size)
        linear = in_other_light(torch.from_numpy(self._linear[srgb]), draw_scenes(source, size))
        truth = self._truth(linear[:, -1], draws)
        clean = camera.Clean(draws.planes(linear), draws.gains, draws.ccm, draws.noise, truth)
        if choices is None:
            noisy, content = _noisy(clean, word), None
        else:
            conditions = Conditions.of(choices, self.operations(frames))
            content = content_of(clean.truth, clean.noise)
            clean = camera.filmed(clean, conditions)
            noisy = camera.with_defects(_noisy(clean, word), clean.noise, conditions)
        return Batch(
            noisy.clamp_max_(1.0), clean.gains, clean.ccm, clean.noise, clean.truth, choices, content
        )

    def _truth(self, linear: Tensor, draws: DrawnSensors) -> Tensor:
        reachable = linear if draws.identity else draws.reachable(linear)
        return torch.from_numpy(self._curve[(reachable * _CURVE_STEPS).round_().to(torch.int32).numpy()])


def _noisy(clean: camera.Clean, word: int) -> Tensor:
    """Raw with noise of variance shot · x + read, not clipped."""
    shot, read = (clean.noise[:, kind, None, None, None, None] for kind in (0, 1))
    unit = torch.empty_like(clean.raw).normal_(generator=torch.Generator().manual_seed(word))
    return unit.mul_((clean.raw * shot).add_(read).sqrt_()).add_(clean.raw)


def _linear_table(white: int) -> npt.NDArray[np.float32]:
    return linear_from_srgb(torch.arange(white + 1) / float(white)).numpy()


def _curve_table() -> npt.NDArray[np.float32]:
    return srgb_from_linear(torch.arange(_CURVE_STEPS + 1) / _CURVE_STEPS).numpy()

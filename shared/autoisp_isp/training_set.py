"""Training batches: patches of clean footage, augmented, turned into noisy raw on the fly."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import numpy as np
import torch
from autoisp_core.errors import InvalidArgumentError
from autoisp_core.sensor import SensorProfile
from torch import Tensor

from autoisp_isp.augment import camera
from autoisp_isp.augment.choices import Choices
from autoisp_isp.augment.conditions import Conditions, camera_operations
from autoisp_isp.augment.content import content_of
from autoisp_isp.clean_patches import CleanPatches, CleanPatchSource
from autoisp_isp.noise_table import normal_stretch
from autoisp_isp.raw import Frames
from autoisp_isp.seeds import seed_of

# Making a clean patch costs several times what its noise costs, so so many batches of clean patches are made
# together, mixed, and each patch is used so often, every time with other noise and among others.
MIXED, USES = 8, 8
EPOCH = MIXED * USES
"""Steps that share their clean patches."""

_ALL = slice(None)


@dataclass(frozen=True)
class Teaching:
    """What a prototype made of the patches of a batch.

    Attributes:
        picture: (N, 3, 2h, 2w) sRGB in [0, 1]; zeros in patches that are no lesson.
        weight: (N,) of this picture's loss, 0 to 1; the truth's has the rest.
        features: (N, C, f, f) of the prototype over the patch, C is 0 without any.
        lesson: (N,) bool: whether the prototype was asked.
        total: of the lessons, which take the last places of the batch, in the parts of all processes.
    """

    picture: Tensor
    weight: Tensor
    features: Tensor
    lesson: Tensor
    total: int

    def to(self, device: torch.device) -> "Teaching":
        """The same on another device."""
        picture, weight, features, lesson = (
            value.to(device) for value in (self.picture, self.weight, self.features, self.lesson)
        )
        return Teaching(picture, weight, features, lesson, self.total)


@dataclass(frozen=True)
class Batch:
    """One training batch.

    Attributes:
        raw: (N, T, 4, h, w) noisy packed RGGB, oldest first.
        gains: (N, 3); ccm: (N, 3, 3); noise: (N, 2).
        truth: (N, 3, 2h, 2w) sRGB in [0, 1] of the newest frame; zeros where the teaching's weight is 1.
        teaching: None: no prototype teaches.
        choices: how the patches were augmented; None: not at all.
        content: (N, F) features of the patches that no augmentation had a hand in, on the CPU; only with
            choices.
    """

    raw: Tensor
    gains: Tensor
    ccm: Tensor
    noise: Tensor
    truth: Tensor
    teaching: Teaching | None = None
    choices: Choices | None = None
    content: Tensor | None = None

    def to(self, device: torch.device) -> "Batch":
        """The same batch, with what the network is given on another device."""
        if self.raw.device == device:
            return self
        moved: dict[str, Any] = {
            field.name: value.to(device, non_blocking=True)
            for field in fields(self)
            if field.name != "content" and isinstance(value := getattr(self, field.name), Tensor)
        }
        return replace(self, **moved, teaching=self.teaching.to(device) if self.teaching else None)


class TrainingSet:
    """Endless batches from in-memory clips.

    A batch is a pure function of the seed and the step, so that resuming needs no generator's state: step 17
    of a resumed training sees what step 17 of an uninterrupted one would. For one thread at a time.

    Args:
        clips: (name, frames (T, H, W, 3) uint8 or uint16 sRGB) of each training clip; one of a single frame
            is a still image.
        sensor: its noise, gains and colour matrix are drawn from.
        device: where batches are made.

    Raises:
        InvalidArgumentError: without clips, or with one too small to train on.
    """

    def __init__(
        self, clips: Sequence[tuple[str, Frames]], sensor: SensorProfile, device: str = "cpu"
    ) -> None:
        if not clips:
            raise InvalidArgumentError("dataset", "there is no training clip: give at least one")
        self._source = CleanPatchSource(clips, sensor)
        self._identity = sensor.has_identity_ccm
        self._device = torch.device(device)
        self._kept_for: Any = None
        self._kept: tuple[CleanPatches, Tensor]

    def operations(self, frames: int) -> tuple[str, ...]:
        """Names of the camera operations that can change patches of this many frames."""
        return camera_operations(frames=frames, identity=self._identity)

    def batch(
        self,
        step: int,
        *,
        seed: int,
        size: int,
        patch: int,
        frames: int,
        part: slice = _ALL,
        choices: Choices | None = None,
    ) -> Batch:
        """The batch of one step.

        Args:
            step: which one.
            seed: of the training.
            size: patches in it.
            patch: edge of a raw patch; the pictures are twice as wide.
            frames: raw frames per patch.
            part: makes only these of the patches: another process makes the others.
            choices: how to augment each of the `size` patches, with the numbers of `operations(frames)`;
                None: not at all. What is on the patches does not depend on it.
        """
        epoch, use = divmod(step, EPOCH)
        key = (epoch, seed, size, patch, frames, part.indices(size))
        if self._kept_for != key:
            self._kept = self._epoch(epoch, seed, size, patch, frames, part)
            self._kept_for = key
        patches, order = self._kept
        clean, word = patches.chosen(order[use]), batch_seed(seed, step)
        if choices is None:
            return _batch(clean, _noisy(clean, word, size, part))
        choices = choices.part(part)
        content = content_of(clean.truth, clean.noise)
        conditions = Conditions.of(choices, self.operations(frames))
        # Changed in place: they are copies, which leave the epoch's patches as they are.
        clean = camera.filmed(clean, conditions)
        raw = camera.with_defects(_noisy(clean, word, size, part), clean.noise, conditions)
        return _batch(clean, raw, choices, content)

    def _epoch(
        self, epoch: int, seed: int, size: int, patch: int, frames: int, part: slice
    ) -> tuple[CleanPatches, Tensor]:
        """Clean patches of an epoch, and which of them each of its steps uses, (EPOCH, patches)."""
        word = seed_of(f"{seed}/epoch {epoch}")
        # A place in the batch is dealt the same patches over and over, each time in another order: so a
        # process that fills some of the places needs no patches of the others.
        places = np.arange(size)[part]
        chosen = (np.arange(MIXED)[:, None] * size + places).reshape(-1)
        clean = self._source.draw(word, size=MIXED * size, patch=patch, frames=frames, chosen=chosen)
        rounds = np.tile(np.arange(MIXED), (USES, size, 1))
        dealt = np.random.default_rng(word + 1).permuted(rounds, axis=2).transpose(0, 2, 1)
        order = dealt.reshape(EPOCH, size)[:, places] * len(places) + np.arange(len(places))
        return clean.to(self._device), torch.from_numpy(order).to(self._device)


def batch_seed(seed: int, step: int) -> int:
    """The 63-bit seed of the noise of one step's batch."""
    return seed_of(f"{seed}/{step}")


def _batch(
    clean: CleanPatches, raw: Tensor, choices: Choices | None = None, content: Tensor | None = None
) -> Batch:
    return Batch(
        raw.clamp_max_(1.0),
        clean.gains,
        clean.ccm,
        clean.noise,
        clean.truth,
        choices=choices,
        content=content,
    )


def _noisy(clean: CleanPatches, word: int, size: int, part: slice) -> Tensor:
    """Raw with the sensor's noise, of variance shot · x + read, not clipped."""
    start, end, stride = part.indices(size)
    shot, read = (clean.noise[:, kind, None, None, None, None] for kind in (0, 1))
    unit = normal_stretch(size * clean.raw[0].numel(), word, clean.raw.device)
    unit = unit.view(size, *clean.raw.shape[1:])[start:end:stride]
    deviation = torch.addcmul(read, clean.raw, shot).sqrt_()
    return deviation.mul_(unit).add_(clean.raw)

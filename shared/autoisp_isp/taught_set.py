"""Training batches of which a part are a prototype's lessons."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from typing import Protocol

import numpy as np
import torch
from autoisp_core.errors import InvalidArgumentError
from torch import Tensor

from autoisp_isp.lessons import Lessons, require_frames
from autoisp_isp.training_set import Batch, Teaching

SHARE = 0.25
"""Of a batch: lessons are few and come again and again, footage gives new patches for ever."""
_FEATURE_STEP = 8
"""Raw pixels between the places where a patch with features may begin: each feature then lies over whole raw
pixels of it."""


class Batches(Protocol):
    """Gives training batches; see :class:`autoisp_isp.training_set.TrainingSet`."""

    def batch(self, step: int, *, seed: int, size: int, patch: int, frames: int) -> Batch:
        """The batch of one step: a pure function of the arguments."""


class TaughtSet:
    """Batches of footage with lessons among them, last in the batch.

    Like those it is made from, a batch is a pure function of the seed and the step.

    Args:
        footage: gives the other patches.
        lessons: the prototype's.
        weight: of the prototype's picture against the truth, 0 to 1, where there is truth; on real raw the
            prototype's picture is all there is.
        share: of a batch that lessons take.

    Raises:
        InvalidArgumentError: the weight or the share is not within its range, or there is no lesson.
    """

    def __init__(self, footage: Batches, lessons: Lessons, weight: float = 0.0, share: float = SHARE) -> None:
        if not 0.0 <= weight <= 1.0:
            raise InvalidArgumentError("training.distillation", f"a weight of {weight:g}: give 0 to 1")
        if not 0.0 < share <= 1.0:
            raise InvalidArgumentError("share", f"a share of {share:g}: give more than 0, at most 1")
        if len(lessons) == 0:
            raise InvalidArgumentError("lessons", "there is no lesson: give at least one")
        self._footage, self._lessons, self._share = footage, lessons, share
        self._weights = torch.where(lessons.real, 1.0, weight)

    def batch(self, step: int, *, seed: int, size: int, patch: int, frames: int) -> Batch:
        """The batch of one step; arguments as of :meth:`autoisp_isp.training_set.TrainingSet.batch`.

        Raises:
            InvalidArgumentError: the lessons have fewer frames or are smaller.
        """
        require_frames(self._lessons, frames, patch)
        digest = hashlib.blake2b(f"{seed}/{step}/lessons".encode(), digest_size=8).digest()
        choices = np.random.default_rng(int.from_bytes(digest, "big") >> 1)
        # Rounded up or down by chance: so the share holds for any size of a batch.
        count = int(self._share * size + choices.random())
        parts = []
        if count < size:
            plain = self._footage.batch(step, seed=seed, size=size - count, patch=patch, frames=frames)
            parts.append(replace(plain, teaching=self._nothing(plain.truth, patch)))
        if count:
            parts.append(self._drawn(choices, count, patch, frames))
        return _joined(parts)

    def _drawn(self, choices: np.random.Generator, count: int, patch: int, frames: int) -> Batch:
        lessons = self._lessons
        raws, truths, pictures, features = [], [], [], []
        chosen = choices.integers(len(lessons), size=count)
        for index in chosen:
            top, left = (self._offset(choices, patch) for _ in range(2))
            rows, columns = slice(top, top + patch), slice(left, left + patch)
            pixel_rows = slice(2 * top, 2 * (top + patch))
            pixel_columns = slice(2 * left, 2 * (left + patch))
            # Transposed, a mosaic of RGGB is one again, with G1 and G2 exchanged. Features are not those of
            # the transposed raw, so with features it stays as it is.
            turn = not lessons.channels and choices.random() < 0.5
            raws.append(_turned_raw(lessons.raw[index, -frames:, :, rows, columns], turn))
            truths.append(_turned(lessons.truth[index, :, pixel_rows, pixel_columns], turn))
            pictures.append(_turned(lessons.picture[index, :, pixel_rows, pixel_columns], turn))
            features.append(self._features(int(index), top, left, patch))
        which = torch.from_numpy(chosen)
        return Batch(
            raw=torch.stack(raws).float(),
            gains=lessons.gains[which],
            ccm=lessons.ccm[which],
            noise=lessons.noise[which],
            truth=torch.stack(truths).float(),
            teaching=Teaching(
                picture=torch.stack(pictures).float(),
                weight=self._weights[which],
                features=torch.stack(features).float(),
                lesson=torch.ones(count, dtype=torch.bool),
            ),
        )

    def _offset(self, choices: np.random.Generator, patch: int) -> int:
        step = _FEATURE_STEP if self._lessons.channels else 1
        return step * int(choices.integers((self._lessons.edge - patch) // step + 1))

    def _features(self, index: int, top: int, left: int, patch: int) -> Tensor:
        features = self._lessons.features
        scale = features.shape[-1] / self._lessons.edge
        size = max(1, round(scale * patch))
        row, column = round(scale * top), round(scale * left)
        return features[index, :, row : row + size, column : column + size]

    def _nothing(self, truth: Tensor, patch: int) -> Teaching:
        count, features = len(truth), self._features(0, 0, 0, patch)
        return Teaching(
            picture=torch.zeros_like(truth),
            weight=torch.zeros(count),
            features=torch.zeros(count, *features.shape),
            lesson=torch.zeros(count, dtype=torch.bool),
        )


def _turned_raw(raw: Tensor, turn: bool) -> Tensor:
    return raw[:, [0, 2, 1, 3]].transpose(-2, -1) if turn else raw


def _turned(picture: Tensor, turn: bool) -> Tensor:
    return picture.transpose(-2, -1) if turn else picture


def _joined(parts: list[Batch]) -> Batch:
    if len(parts) == 1:
        return parts[0]
    return Batch(
        **{name: torch.cat([getattr(part, name) for part in parts]) for name in Batch.PLAIN},
        teaching=Teaching.joined([part.teaching for part in parts if part.teaching is not None]),
    )

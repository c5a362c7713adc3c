"""Training batches of which a part are a prototype's lessons."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import numpy as np
import torch
from autoisp_core.errors import InvalidArgumentError
from torch import Tensor

from autoisp_isp.augment.choices import Choices
from autoisp_isp.lessons import Lessons, require_frames
from autoisp_isp.seeds import seed_of
from autoisp_isp.training_set import Batch, Teaching

SHARE = 0.25
"""Of a batch: lessons are few and come again and again, footage gives new patches for ever."""
_FEATURE_STEP = 8
"""Raw pixels between the places where a patch with features may begin: each feature then lies over whole raw
pixels of it."""


class Batches(Protocol):
    """Gives training batches; see :class:`autoisp_isp.training_set.TrainingSet`."""

    def operations(self, frames: int) -> tuple[str, ...]:
        """Names of the camera operations that can change patches of this many frames."""

    def batch(
        self,
        step: int,
        *,
        seed: int,
        size: int,
        patch: int,
        frames: int,
        part: slice = ...,
        choices: Choices | None = None,
    ) -> Batch:
        """The batch of one step: a pure function of the arguments."""


class TaughtSet:
    """Batches of footage in which lessons take the last places.

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

    def operations(self, frames: int) -> tuple[str, ...]:
        """Of the footage: lessons are never augmented, since nobody asked the prototype about that."""
        return self._footage.operations(frames)

    def batch(self, step: int, *, seed: int, size: int, patch: int, frames: int, **options: Any) -> Batch:
        """The batch of one step; arguments as of :meth:`autoisp_isp.training_set.TrainingSet.batch`.

        Args:
            options: for the footage, which is asked for a whole batch. `part`: which places of it are wanted.

        Raises:
            InvalidArgumentError: the lessons have fewer frames or are smaller.
        """
        require_frames(self._lessons, frames, patch)
        plain = self._footage.batch(step, seed=seed, size=size, patch=patch, frames=frames, **options)
        choices = np.random.default_rng(seed_of(f"{seed}/{step}/lessons"))
        # Rounded up or down by chance: so the share holds for any size of a batch.
        first = size - int(self._share * size + choices.random())
        cuts = [self._cut(choices, patch) for _ in range(first, size)]
        places = range(size)[options.get("part", slice(None))]
        wanted = [cuts[place - first] for place in places if place >= first]
        return self._mixed(plain, wanted, len(cuts), patch, frames)

    def _cut(self, choices: np.random.Generator, patch: int) -> _Cut:
        lessons = self._lessons
        step = _FEATURE_STEP if lessons.channels else 1
        places = (lessons.edge - patch) // step + 1
        return _Cut(
            index=int(choices.integers(len(lessons))),
            top=step * int(choices.integers(places)),
            left=step * int(choices.integers(places)),
            # Features are not those of the transposed raw, so with features it stays as it is.
            turned=bool(choices.random() < 0.5) and not lessons.channels,
        )

    def _mixed(self, plain: Batch, cuts: Sequence[_Cut], total: int, patch: int, frames: int) -> Batch:
        """The batch, or a part of it, with lessons in its last places; the whole has `total` of them."""
        lessons, kept, device = self._lessons, len(plain.raw) - len(cuts), plain.raw.device
        rows = [cut.index for cut in cuts]

        def last(value: Tensor, new: Sequence[Tensor] | Tensor) -> Tensor:
            stacked = torch.stack(list(new)) if len(new) else value[:0]
            return torch.cat((value[:kept], stacked.to(device, value.dtype)))

        pictures = torch.zeros_like(plain.truth)
        features = torch.zeros(len(plain.raw), *self._features(None, patch).shape, device=device)
        nothing = torch.zeros(len(plain.raw), device=device)
        return replace(
            plain,
            raw=last(plain.raw, [cut.raw(lessons.raw, patch, frames) for cut in cuts]),
            gains=last(plain.gains, lessons.gains[rows]),
            ccm=last(plain.ccm, lessons.ccm[rows]),
            noise=last(plain.noise, lessons.noise[rows]),
            truth=last(plain.truth, [cut.picture(lessons.truth, patch) for cut in cuts]),
            teaching=Teaching(
                picture=last(pictures, [cut.picture(lessons.picture, patch) for cut in cuts]),
                weight=last(nothing, self._weights[rows]),
                features=last(features, [self._features(cut, patch) for cut in cuts]),
                lesson=torch.arange(len(plain.raw), device=device) >= kept,
                total=total,
            ),
        )

    def _features(self, cut: _Cut | None, patch: int) -> Tensor:
        """(C, f, f) over a patch; of no lesson, only the shape counts."""
        features = self._lessons.features
        index, top, left = (cut.index, cut.top, cut.left) if cut else (0, 0, 0)
        if not self._lessons.channels:
            # There is no place in nothing: every patch has all of it.
            return features[index]
        scale = features.shape[-1] / self._lessons.edge
        size = max(1, round(scale * patch))
        row, column = round(scale * top), round(scale * left)
        return features[index, :, row : row + size, column : column + size]


@dataclass(frozen=True, slots=True)
class _Cut:
    """A patch of a lesson: from which raw row and column on, and whether rows and columns change places."""

    index: int
    top: int
    left: int
    turned: bool

    def raw(self, raw: Tensor, patch: int, frames: int) -> Tensor:
        """Of (L, T, 4, e, e) the newest frames (frames, 4, patch, patch)."""
        window = raw[self.index, -frames:, :, self.top : self.top + patch, self.left : self.left + patch]
        # Transposed, a mosaic of RGGB is one again, with G1 and G2 exchanged.
        return window[:, [0, 2, 1, 3]].transpose(-2, -1) if self.turned else window

    def picture(self, pictures: Tensor, patch: int) -> Tensor:
        """Of (L, 3, 2e, 2e) the same pixels (3, 2 patch, 2 patch)."""
        top, left, edge = 2 * self.top, 2 * self.left, 2 * patch
        window = pictures[self.index, :, top : top + edge, left : left + edge]
        return window.transpose(-2, -1) if self.turned else window

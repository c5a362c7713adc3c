"""What a prototype made of patches of raw, for networks to learn from, as one safetensors file."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import safetensors.torch
import torch
from autoisp_core.errors import DataLossError, InvalidArgumentError
from safetensors import SafetensorError
from torch import Tensor

_TENSORS = ("raw", "gains", "ccm", "noise", "picture", "truth", "real", "features")
_RAW_DIMENSIONS = 5


@dataclass(frozen=True)
class Lesson:
    """One patch of raw and what the prototype made of it.

    Attributes:
        raw: (T, 4, e, e) noisy packed RGGB, oldest frame first.
        gains: (3,); ccm: (3, 3); noise: (2,).
        picture: (3, 2e, 2e) sRGB in [0, 1]: the prototype's, of the newest frame.
        truth: the same shape; None: real raw, which has none.
        features: (C, f, f) of the prototype, over the same pixels; None: not asked for.
    """

    raw: Tensor
    gains: Tensor
    ccm: Tensor
    noise: Tensor
    picture: Tensor
    truth: Tensor | None
    features: Tensor | None = None


@dataclass(frozen=True)
class Lessons:
    """L lessons of equal size; what :class:`Lesson` has, with a dimension more.

    Attributes:
        raw: (L, T, 4, e, e) float16, like all that is large: its step is far below any sensor's noise.
        gains: (L, 3); ccm: (L, 3, 3); noise: (L, 2).
        picture: (L, 3, 2e, 2e) float16.
        truth: the same; zeros where there is none.
        real: (L,) bool: real raw, without truth.
        features: (L, C, f, f) float16 of mean 0 and deviation 1 in each channel; C is 0 without any.
    """

    raw: Tensor
    gains: Tensor
    ccm: Tensor
    noise: Tensor
    picture: Tensor
    truth: Tensor
    real: Tensor
    features: Tensor

    def __len__(self) -> int:
        return len(self.raw)

    @property
    def frames(self) -> int:
        """Raw frames of a lesson."""
        return self.raw.shape[1]

    @property
    def edge(self) -> int:
        """Edge of a lesson's raw planes."""
        return self.raw.shape[-1]

    @property
    def channels(self) -> int:
        """Of the prototype's features; 0 without any."""
        return self.features.shape[1]

    @classmethod
    def of(cls, lessons: Sequence[Lesson]) -> Lessons:
        """All of them together; their features are brought to mean 0 and deviation 1."""
        absent = torch.zeros(0, 1, 1)
        return cls(
            raw=torch.stack([lesson.raw for lesson in lessons]).half(),
            gains=torch.stack([lesson.gains for lesson in lessons]),
            ccm=torch.stack([lesson.ccm for lesson in lessons]),
            noise=torch.stack([lesson.noise for lesson in lessons]),
            picture=torch.stack([lesson.picture for lesson in lessons]).half(),
            truth=torch.stack(
                [torch.zeros_like(each.picture) if each.truth is None else each.truth for each in lessons]
            ).half(),
            real=torch.tensor([lesson.truth is None for lesson in lessons]),
            features=_standardised(
                torch.stack([absent if each.features is None else each.features for each in lessons])
            ).half(),
        )


def save_lessons(lessons: Lessons) -> bytes:
    """The lessons as bytes of one safetensors file."""
    return safetensors.torch.save({name: getattr(lessons, name).contiguous() for name in _TENSORS})


def load_lessons(data: bytes) -> Lessons:
    """Reads what :func:`save_lessons` wrote.

    Raises:
        DataLossError: the bytes are no lessons.
    """
    try:
        lessons = Lessons(**safetensors.torch.load(data))
    except (SafetensorError, TypeError, ValueError) as error:
        raise DataLossError(f"these {len(data)} bytes are no lessons: {error}") from error
    if lessons.raw.dim() != _RAW_DIMENSIONS or len({len(getattr(lessons, name)) for name in _TENSORS}) != 1:
        raise DataLossError(f"these {len(data)} bytes are lessons of unequal numbers")
    return lessons


def require_frames(lessons: Lessons, frames: int, patch: int) -> None:
    """Check that patches of so many frames and such an edge can be cut from the lessons.

    Raises:
        InvalidArgumentError: they are too small.
    """
    if lessons.frames < frames or lessons.edge < patch:
        raise InvalidArgumentError(
            "lessons",
            f"lessons of {lessons.frames} frames and {lessons.edge} raw pixels can't teach a network that is "
            f"trained on {frames} frames and {patch}; make lessons for this space anew",
        )


def _standardised(features: Tensor) -> Tensor:
    """Each channel of (L, C, f, f) with mean 0 and deviation 1, so that a weight means the same for all."""
    if not features.numel():
        return features
    mean = features.mean(dim=(0, 2, 3), keepdim=True)
    deviation = features.std(dim=(0, 2, 3), keepdim=True, unbiased=False)
    return (features - mean) / deviation.clamp_min(1e-6)

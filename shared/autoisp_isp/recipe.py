"""How a network is trained: every number of it in one place, with why."""

import math
from dataclasses import dataclass, field

import torch
from autoisp_core.errors import InvalidArgumentError
from torch import Tensor

from autoisp_isp.augment.settings import AugmentationSettings

# Mean squared error of about 37 dB.
_GOOD_ENOUGH = 2e-4


@dataclass(frozen=True, slots=True)
class TrainBudget:
    """How long to train: steps, seconds, or until the first of both is spent.

    Only a budget without seconds is repeatable: with seconds the learning rate follows the clock.

    Raises:
        InvalidArgumentError: when neither is given, or one is not positive.
    """

    steps: int | None = None
    seconds: float | None = None

    def __post_init__(self) -> None:
        if self.steps is None and self.seconds is None:
            raise InvalidArgumentError("budget", "the training budget is empty: give steps or seconds")
        for key, value in (("steps", self.steps), ("seconds", self.seconds)):
            if value is not None and value <= 0:
                raise InvalidArgumentError(f"budget.{key}", f"budget.{key} is {value}: give more than 0")

    def progress(self, step: int, elapsed: float) -> float:
        """The share of the budget that is spent, 0 to 1 and beyond."""
        shares = [0.0]
        if self.steps is not None:
            shares.append(step / self.steps)
        if self.seconds is not None:
            shares.append(elapsed / self.seconds)
        return max(shares)


@dataclass(frozen=True, slots=True)
class Recipe:
    """Hyper-parameters of a training.

    Attributes:
        batch: patches per step.
        patch: edge of a raw patch.
        unroll: frames that a recurrent network develops one after the other in a patch, its loss being on the
            last. Fewer make a step cheaper, and streams that begin are trained better; see decision 0031.
        learning_rate: its peak; it rises linearly over `warm_up` of the budget and falls as a cosine to zero.
        momentum: decay of the gradients' mean, for convolutions.
        adam_decays: decays of the gradients' mean and mean square, for all else.
        clip_norm: longest gradient.
        ema: decay of the averaged weights, which are the result.
        augmentation: who chooses what is done to the patches beyond the draws that all have.
    """

    batch: int = 8
    patch: int = 24
    unroll: int = 3
    learning_rate: float = 1e-2
    warm_up: float = 0.03
    momentum: float = 0.9
    adam_decays: tuple[float, float] = (0.9, 0.99)
    clip_norm: float = 1.0
    ema: float = 0.995
    augmentation: AugmentationSettings = field(default_factory=AugmentationSettings)

    def learning_rate_at(self, progress: float) -> float:
        """The learning rate after `progress` of the budget."""
        if progress < self.warm_up:
            return self.learning_rate * (progress / self.warm_up + 0.01)
        fall = min(1.0, (progress - self.warm_up) / (1.0 - self.warm_up))
        return self.learning_rate * 0.5 * (1.0 + math.cos(math.pi * fall))

    def ema_at(self, step: int) -> float:
        """The averages' decay at a step: it starts low, so that the first weights are soon forgotten."""
        return min(self.ema, (1.0 + step) / (10.0 + step))


def losses_of(picture: Tensor, truth: Tensor) -> Tensor:
    """The logarithm of each patch's mean squared error, (N,): what PSNR measures. Their mean is the loss.

    A plain mean squared error would be ruled by the few patches with hard edges; the logarithm weighs a dB in
    a flat patch like a dB in a busy one, as a mean of PSNR does. Patches that are better than about 37 dB
    count less, since what is left in them is the footage's own compression.

    Args:
        picture: (N, 3, H, W) sRGB.
        truth: the same shape.
    """
    mse = (picture - truth).square().flatten(1).mean(1)
    return 0.5 * torch.log(mse + _GOOD_ENOUGH)

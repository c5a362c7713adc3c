"""The loss of a training as it goes: its running mean, and the step at which it is no number any more."""

import math

import torch
from autoisp_core.errors import InvalidArgumentError
from torch import Tensor

from autoisp_isp.training_set import batch_seed

# Weight of the newest step in the mean.
_SHARE = 0.02


class TrainingDivergedError(InvalidArgumentError):
    """The loss is no longer a number; trying the same spec with the same seed again will not help."""

    default_reason = "TRAINING_DIVERGED"

    def __init__(self, step: int, seed: int) -> None:
        batch = batch_seed(seed, step)
        super().__init__(
            "trial.spec",
            f"the loss is not finite at step {step} with seed {seed}, whose batch has the seed {batch}: "
            "use another seed or another spec",
            metadata={"step": str(step), "seed": str(seed), "batch_seed": str(batch)},
        )


class LossWatch:
    """Takes the loss of every step.

    Args:
        seed: of the training, for the error's text.
        every: so many steps are looked at together.

    Attributes:
        mean: running mean of the losses up to the last `check`; NaN before the first.
    """

    def __init__(self, seed: int, every: int = 1) -> None:
        self._seed, self._every = seed, every
        self._unread: list[Tensor] = []
        self._first = 0
        self.mean = math.nan

    def add(self, step: int, loss: Tensor) -> None:
        """The loss of a step, a scalar.

        Raises:
            TrainingDivergedError: this or an earlier loss is not finite.
        """
        if not self._unread:
            self._first = step
        self._unread.append(loss.detach())
        if len(self._unread) >= self._every:
            self.check()

    def check(self) -> None:
        """Reads all losses so far.

        Raises:
            TrainingDivergedError: one is not finite; it says the first.
        """
        if not self._unread:
            return
        values = torch.stack(self._unread).tolist()
        self._unread.clear()
        for step, value in enumerate(values, start=self._first):
            if not math.isfinite(value):
                raise TrainingDivergedError(step, self._seed)
            self.mean = value if math.isnan(self.mean) else self.mean + _SHARE * (value - self.mean)

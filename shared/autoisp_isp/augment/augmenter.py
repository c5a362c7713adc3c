"""Who chooses what is done to the patches of a training: nobody, chance, or an adversary."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import ClassVar, Protocol

import numpy as np
import torch
from autoisp_core.errors import InvalidArgumentError
from torch import Tensor

from autoisp_isp.augment.choices import Choices, draw_choices, word_of
from autoisp_isp.augment.settings import MAGNITUDES, SLOTS, SUBPOLICIES, AugmentationSettings


@dataclass(frozen=True, slots=True)
class PolicyReport:
    """How the policy is after an update.

    Attributes:
        step: of the training, after which it was updated.
        entropy: mean of its decisions', in [0, 1] of a uniform choice's.
        ratio: root mean square error of augmented patches over that of the others; NaN where all or none are
            augmented.
        operations: share of each in the newest policies, by name.
        rollbacks: how often it has collapsed so far and was set back.
        collapsed: why it was set back just now; None: it was not.
    """

    step: int
    entropy: float
    ratio: float
    operations: Mapping[str, float]
    rollbacks: int
    collapsed: str | None = None

    def to_tensor(self) -> Tensor:
        """As bytes, for a checkpoint, which has tensors only."""
        return torch.tensor(list(json.dumps(asdict(self)).encode()), dtype=torch.uint8)

    @classmethod
    def from_tensor(cls, data: Tensor) -> PolicyReport:
        """Reads what `to_tensor` gave."""
        return cls(**json.loads(bytes(data.tolist())))


class Augmenter(Protocol):
    """Chooses, and may learn from what came of it.

    Attributes:
        learns: whether it does; one that does not need not be told.
    """

    learns: ClassVar[bool]

    @property
    def report(self) -> PolicyReport | None:
        """The newest one, also after `restore`; None before there is one."""

    def choices(self, step: int, size: int) -> Choices:
        """What is done to the `size` patches of a step.

        The same however often it is asked; it may be asked so many steps ahead of `learn` as the settings'
        `every` says.
        """

    def learn(self, step: int, losses: Tensor, choices: Choices, content: Tensor) -> PolicyReport | None:
        """Takes note of a step, in order.

        Args:
            step: which one.
            losses: (N,) of its patches, logarithms of an error; on any device.
            choices: what was done to them.
            content: (N, F) features of them that no choice had a hand in.

        Returns:
            A report if the policy was updated.
        """

    def state(self) -> dict[str, Tensor]:
        """Copies of everything that later choices depend on, by name, on the CPU."""

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Goes on from what `state` gave.

        Raises:
            InvalidArgumentError: it is of another augmenter.
        """


class RandomAugmenter:
    """All operations and magnitudes alike, with no memory: what the adversary has to beat.

    Args:
        operations: names of what there is to choose from.
        settings: share, severity, and how long policies serve.
        seed: of the training.
    """

    learns: ClassVar[bool] = False
    report: PolicyReport | None = None

    def __init__(self, operations: Sequence[str], settings: AugmentationSettings, seed: int) -> None:
        self._count, self._settings, self._seed = len(operations), settings, seed

    def choices(self, step: int, size: int) -> Choices:
        """See :class:`Augmenter`."""
        settings = self._settings
        source = np.random.default_rng(word_of(self._seed, step // settings.every, "random"))
        shape = (settings.policies, SUBPOLICIES, SLOTS)
        drawn = [source.integers(most, size=shape) for most in (self._count, MAGNITUDES)]
        decisions = torch.from_numpy(np.stack(drawn, -1))
        return draw_choices(decisions, settings, self._seed, step, size)

    def learn(self, step: int, losses: Tensor, choices: Choices, content: Tensor) -> None:
        """Chance learns nothing."""

    def state(self) -> dict[str, Tensor]:
        """Nothing."""
        return {}

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """See :class:`Augmenter`."""
        if state:
            raise of_another_augmentation("it holds a policy, and chance needs none")


def of_another_augmentation(why: str) -> InvalidArgumentError:
    """The refusal of a checkpoint that was made with other settings."""
    return InvalidArgumentError("resume_from", f"the checkpoint is of another augmentation: {why}")

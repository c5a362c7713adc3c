"""Which augmentation a training has, and every number of it, with why."""

from __future__ import annotations

import math
from dataclasses import dataclass

from autoisp_core.errors import InvalidArgumentError
from autoisp_core.training import Augmentation

SUBPOLICIES = 5
"""Sub-policies of a policy; a patch gets one of them."""
SLOTS = 2
"""Operations of a sub-policy, one after the other."""
MAGNITUDES = 10
"""Steps of an operation's severity: 0 does nothing (where it has a severity at all), 9 most."""


@dataclass(frozen=True, slots=True)
class AugmentationSettings:
    """How training patches are augmented. The paper's numbers where it gives them (arXiv 1912.11188).

    Attributes:
        mode: who chooses; a text will do.
        share: of the patches that get a sub-policy; the others keep the network good where it will mostly be.
            Below 1 with a policy, which is found to have collapsed by comparison with them.
        severity: the top of every operation's range, in [0, 1] of the whole.
        policies: sampled at a time (M).
        every: steps that a set of policies serves before the next; the policy is updated as often.
        learning_rate: of the policy's Adam.
        entropy_weight: of the policy's entropy in what it maximises.
        least_entropy: mean entropy of a decision, in [0, 1] of a uniform one's, below which the policy has
            collapsed: it knows one trick only.
        worst_ratio: root mean square error of augmented patches over that of the others, above which it has
            collapsed too: it destroys what there is to learn.

    Raises:
        InvalidArgumentError: names the field that is out of its range.
    """

    mode: Augmentation = Augmentation.OFF
    share: float = 0.5
    severity: float = 1.0
    policies: int = 8
    every: int = 16
    learning_rate: float = 3.5e-4
    entropy_weight: float = 1e-5
    least_entropy: float = 0.25
    worst_ratio: float = 4.0

    def __post_init__(self) -> None:
        try:
            object.__setattr__(self, "mode", Augmentation(self.mode))
        except ValueError:
            modes = ", ".join(Augmentation)
            raise InvalidArgumentError(
                "augmentation.mode", f"'{self.mode}' is no augmentation: use one of {modes}"
            ) from None
        for key, low, high in (
            ("share", 0.0, 1.0),
            ("severity", 0.0, 1.0),
            ("policies", 2, 64),
            ("every", 1, 10_000),
            ("learning_rate", 0.0, 1.0),
            ("entropy_weight", 0.0, 10.0),
            ("least_entropy", 0.0, 1.0),
            ("worst_ratio", 1.0, math.inf),
        ):
            value = getattr(self, key)
            if not low <= value <= high:
                raise InvalidArgumentError(f"augmentation.{key}", f"{key} is {value}: give {low} to {high}")
        if self.mode is Augmentation.ADVERSARIAL and self.share == 1.0:
            raise InvalidArgumentError(
                "augmentation.share",
                "share is 1: a policy is measured against patches that are left alone, so give less",
            )

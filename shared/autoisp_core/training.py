"""How the networks of a search are trained, beyond how long: what a user may choose."""

from __future__ import annotations

import math
from dataclasses import dataclass
from enum import StrEnum

from autoisp_core.errors import InvalidArgumentError

_LONGEST_TENSOR = 500
_HEAVIEST = 100.0


class Augmentation(StrEnum):
    """What training adds to the footage's own variety."""

    OFF = "off"
    """Nothing but the sensor's own ranges, other light and motion."""
    RANDOM = "random"
    """Camera operations, drawn evenly."""
    ADVERSARIAL = "adversarial"
    """Camera operations, chosen by a policy that learns what is hard."""


@dataclass(frozen=True, slots=True)
class FeatureDistillation:
    """A part of the loss that makes features predict those of an ONNX prototype.

    Attributes:
        tensor: name of a float tensor (N, C, h, w) inside of the prototype's graph.
        weight: of this part, above 0.

    Raises:
        InvalidArgumentError: names the key that is wrong (``training.feature_distillation.weight``).
    """

    tensor: str
    weight: float

    def __post_init__(self) -> None:
        field = "training.feature_distillation"
        if not 0 < len(self.tensor) <= _LONGEST_TENSOR:
            raise InvalidArgumentError(
                f"{field}.tensor",
                f"name a tensor of the prototype's graph, in 1 to {_LONGEST_TENSOR} characters",
            )
        if not 0 < self.weight <= _HEAVIEST:
            raise InvalidArgumentError(
                f"{field}.weight",
                f"a weight of {self.weight:g}: give a number above 0, at most {_HEAVIEST:g}",
            )


@dataclass(frozen=True, slots=True)
class Training:
    """How networks are trained.

    Attributes:
        augmentation: what is added to the footage's own variety.
        distillation: how much the prototype's picture counts against the truth, 0 to 1. Real raw has no
            truth; there it counts alone, unless this is 0. None: it counts there and nowhere else.
        feature_distillation: None: without.
        inherit_weights: whether a trial of the first rung starts from the nearest trained spec's weights.

    Raises:
        InvalidArgumentError: names the key that is wrong (``training.distillation``).
    """

    augmentation: Augmentation = Augmentation.OFF
    distillation: float | None = None
    feature_distillation: FeatureDistillation | None = None
    inherit_weights: bool = False

    def __post_init__(self) -> None:
        weight = self.distillation
        if weight is not None and not (math.isfinite(weight) and 0.0 <= weight <= 1.0):
            raise InvalidArgumentError(
                "training.distillation", f"a weight of {weight:g}: give a number from 0 (none) to 1"
            )

    @property
    def taught_on_truth(self) -> bool:
        """Whether the prototype teaches on clips that have truth."""
        return bool(self.distillation) or self.feature_distillation is not None

    @property
    def taught_on_real_raw(self) -> bool:
        """Whether it teaches on clips of real raw, if there are any."""
        return self.distillation != 0.0

"""What is done to each patch of a batch: one sub-policy each, drawn from the policies of the moment."""

from __future__ import annotations

from dataclasses import dataclass, fields

import numpy as np
import numpy.typing as npt
from torch import Tensor

from autoisp_isp.augment.settings import MAGNITUDES, SLOTS, SUBPOLICIES, AugmentationSettings
from autoisp_isp.seeds import seed_of

NOBODY = -1
"""In place of a policy's number: the patch is left alone."""


@dataclass(frozen=True)
class Choices:
    """Operations of N patches. All arrays are NumPy's.

    Attributes:
        policies: (N,) which policy chose for the patch, or `NOBODY`.
        operations: (N, 2) numbers of the operations, in the order they are done.
        severities: (N, 2) how much of each, in [0, 1]; 0 for patches left alone.
        signs: (N, 2) -1 or 1: the way, for operations that have two.
        places: (N, 2, 2) where or which way, in [0, 1), for operations that need it.
        seeds: (N,) of whatever else the operations draw for a patch.
    """

    policies: npt.NDArray[np.int64]
    operations: npt.NDArray[np.int64]
    severities: npt.NDArray[np.float32]
    signs: npt.NDArray[np.float32]
    places: npt.NDArray[np.float32]
    seeds: npt.NDArray[np.int64]

    def part(self, chosen: slice | npt.NDArray[np.bool_]) -> Choices:
        """The choices of some of the patches: what is done to each does not depend on the others."""
        return Choices(**{field.name: getattr(self, field.name)[chosen] for field in fields(self)})

    def __len__(self) -> int:
        return len(self.policies)

    def patches(self, slot: int, operation: int) -> npt.NDArray[np.int64]:
        """Numbers of the patches that have `operation` in `slot`."""
        return np.flatnonzero((self.operations[:, slot] == operation) & (self.policies != NOBODY))


def draw_choices(
    decisions: Tensor, settings: AugmentationSettings, seed: int, step: int, size: int
) -> Choices:
    """The choices of one step: a function of nothing but its arguments.

    Every policy gets equally many patches over the steps, as near as `share` allows.

    Args:
        decisions: (M, 5, 2, 2) operation and magnitude of each slot, sub-policy and policy.
        settings: share and severity.
        seed: of the training.
        step: which one.
        size: N, patches of the batch.
    """
    source = np.random.default_rng(word_of(seed, step, "choices"))
    first, last = int(step * size * settings.share), int((step + 1) * size * settings.share)
    touched = source.permutation(size)[: last - first]
    policies = np.full(size, NOBODY, np.int64)
    policies[touched] = np.arange(first, last) % len(decisions)
    taken = decisions.numpy()[policies, source.integers(SUBPOLICIES, size=size)]
    severities = taken[..., 1] * (settings.severity / (MAGNITUDES - 1))
    severities[policies == NOBODY] = 0.0
    return Choices(
        policies,
        operations=taken[..., 0],
        severities=severities.astype(np.float32),
        signs=np.where(source.random((size, SLOTS)) < 0.5, -1.0, 1.0).astype(np.float32),
        places=source.random((size, SLOTS, 2), np.float32),
        seeds=source.integers(2**62, size=size),
    )


def word_of(seed: int, number: int, use: str) -> int:
    """A 63-bit seed for one use in one step or one round of policies."""
    return seed_of(f"{seed}/{number}/augmentation/{use}")

"""Where the predictor looks for its next proposal: everywhere in a small space, else around what is good."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import combinations
from math import prod

import numpy as np
import numpy.typing as npt
from autoisp_core.spec import SearchSpace, Spec, canonical_hash
from autoisp_core.spec.blocks import is_unary
from autoisp_core.spec.enumeration import members

from autoisp_search.strategies.predictor_features import PARTS, features

Array = npt.NDArray[np.float64]

_MOST_BLOCKS, _MOST_MEMBERS = 2_000, 8_000
"""Codes of blocks that are gone through, and specs that are kept: a tenth of a second, and some megabytes."""


@dataclass(frozen=True)
class Candidates:
    """Specs that may be proposed, with what the predictor sees of them.

    Attributes:
        specs: n of them.
        hashes: their canonical hashes.
        parts: one (n, length) array for each part of the features.
    """

    specs: tuple[Spec, ...]
    hashes: tuple[str, ...]
    parts: tuple[Array, ...]

    @classmethod
    def of(cls, specs: Sequence[Spec]) -> Candidates:
        """The distinct ones of at least one spec."""
        distinct: dict[str, Spec] = {}
        for spec in specs:
            distinct.setdefault(canonical_hash(spec), spec)
        seen = [features(spec) for spec in distinct.values()]
        parts = tuple(np.stack([parts[index] for parts in seen]) for index in range(len(PARTS)))
        return cls(tuple(distinct.values()), tuple(distinct), parts)

    @property
    def log_macs(self) -> Array:
        """(n,) logarithms of the multiply-accumulates per output pixel."""
        return self.parts[0][:, 0]

    def only(self, indices: Sequence[int]) -> Candidates:
        """Those at the indices."""
        return Candidates(
            tuple(self.specs[index] for index in indices),
            tuple(self.hashes[index] for index in indices),
            tuple(part[indices] for part in self.parts),
        )


@lru_cache(maxsize=2)
def all_of(space: SearchSpace) -> Candidates | None:
    """Every member of a small space, whatever it costs; None for any other space."""
    if _codes(space) > _MOST_BLOCKS:
        return None
    specs = list(members(space, np.inf))
    return Candidates.of(specs) if len(specs) <= _MOST_MEMBERS else None


def _codes(space: SearchSpace) -> int:
    """How many blocks can be written, isomorphic ones counted apart."""
    choices = space.choices()
    unary = sum(is_unary(kind) for kind, _ in choices)
    binary = len(choices) - unary
    per_layer = [
        unary * index + binary * len(list(combinations(range(index), 2)))
        for index in range(1, space.max_layers + 1)
    ]
    return sum(prod(per_layer[:length]) for length in range(1, space.max_layers + 1))

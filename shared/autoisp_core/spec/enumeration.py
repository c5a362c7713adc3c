"""All members of a small space, each network once: what a table of trained networks is made of."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import combinations, permutations, product

from autoisp_core.spec.blocks import Choice, is_unary
from autoisp_core.spec.canonical import canonical_hash
from autoisp_core.spec.cost import cost
from autoisp_core.spec.layers import COMMUTATIVE, Layer, LayerType
from autoisp_core.spec.model import Spec
from autoisp_core.spec.space import SearchSpace


def distinct_blocks(space: SearchSpace) -> tuple[tuple[Layer, ...], ...]:
    """Every block of the space, one for each set of isomorphic ones, shortest first.

    Their number grows faster than exponentially with ``space.max_layers``: 163 blocks of at most three layers
    out of four choices are 8,000 of at most five.
    """
    width = space.widths[0]
    found: dict[str, tuple[Layer, ...]] = {}
    for length in range(1, space.max_layers + 1):
        for block in _sequences(space.choices(), length):
            found.setdefault(canonical_hash(Spec(block, width)), block)
    return tuple(found.values())


def members(space: SearchSpace, max_macs: float) -> Iterator[Spec]:
    """Every network of the space of at most ``max_macs`` MAC per output pixel, once each."""
    for block in distinct_blocks(space):
        for spec in space.sizes(block):
            if cost(spec).macs_per_pixel <= max_macs:
                yield spec


def _sequences(choices: Sequence[Choice], length: int) -> Iterator[tuple[Layer, ...]]:
    per_layer = [list(_layers(choices, index)) for index in range(1, length + 1)]
    terminal = Layer(length + 1, LayerType.TERMINAL)
    for layers in product(*per_layer):
        yield (*layers, terminal)


def _layers(choices: Sequence[Choice], index: int) -> Iterator[Layer]:
    for kind, kernel in choices:
        if is_unary(kind):
            for pred in range(index):
                yield Layer(index, kind, kernel, pred)
        else:
            pairs = combinations(range(index), 2) if kind in COMMUTATIVE else permutations(range(index), 2)
            for first, second in pairs:
                yield Layer(index, kind, kernel, first, second)

"""Plain convolution stacks with which every search begins, so that it never ends below them."""

from __future__ import annotations

from collections.abc import Iterator
from functools import lru_cache
from itertools import product

from autoisp_core.spec import blocks
from autoisp_core.spec.cost import cost
from autoisp_core.spec.layers import Layer, LayerType
from autoisp_core.spec.model import Spec
from autoisp_core.spec.space import SearchSpace

RESIDUAL_PAIR = blocks.chain([(LayerType.CONV, 3)] * 2)
"""Two dense 3×3 convolutions per residual: 1 dB above as many residuals of one convolution."""

RESIDUAL_SINGLE = blocks.chain([(LayerType.CONV, 3)])


def anchor_specs(max_macs: float, space: SearchSpace | None = None) -> tuple[Spec, ...]:
    """The costliest plain stack within the budget for each packing and number of frames, best bet first.

    Args:
        max_macs: MAC per output pixel that no anchor exceeds.
        space: where the anchors must lie; the default space if None.

    Returns:
        At most one spec per :func:`anchor_kind`; empty if no plain stack of the space fits.
    """
    best: dict[tuple[int, int, int], Spec] = {}
    for block in (RESIDUAL_PAIR, RESIDUAL_SINGLE):
        fitting: dict[tuple[int, int, int], Spec] = {}
        for spec in plain_stacks(space or SearchSpace(), block):  # cheapest first: the last that fits stays
            if cost(spec).macs_per_pixel <= max_macs:
                fitting[anchor_kind(spec)] = spec
        best = fitting | best
    return tuple(sorted(best.values(), key=anchor_preference))


@lru_cache(maxsize=16)
def plain_stacks(space: SearchSpace, block: tuple[Layer, ...] = RESIDUAL_PAIR) -> tuple[Spec, ...]:
    """All specs of the space with this block, fewest MAC first, among equals the fewest repeats."""
    specs = filter(space.contains, _with_every_number(space, block))
    return tuple(sorted(specs, key=lambda spec: (cost(spec).macs_per_pixel, spec.repeats)))


def anchor_kind(spec: Spec) -> tuple[int, int, int]:
    """What anchors differ in: of two that agree in it, the costlier is the better."""
    return (spec.recurrent, spec.frames, spec.packing)


def anchor_preference(spec: Spec) -> tuple[int, int]:
    """Sorting key for anchors, the best bet first.

    A state averages the noise of many frames away for the arithmetic of one; without it, three frames take
    most of it and move little. Features at half resolution keep up with motion better than those at a
    quarter, which in turn are faster for the same arithmetic.
    """
    return (_BEST_MEMORIES.index((spec.recurrent, spec.frames)), spec.packing)


_BEST_MEMORIES = ((1, 1), (0, 3), (1, 3), (0, 5), (1, 5), (0, 1))
"""Recurrence and frames."""


def _with_every_number(space: SearchSpace, block: tuple[Layer, ...]) -> Iterator[Spec]:
    for recurrent in space.recurrent:
        for numbers in product(
            space.widths, space.repeats, space.packings, space.frames, space.stem_kernels, space.head_kernels
        ):
            yield Spec(
                block, *numbers, recurrent=recurrent, residual=min(space.residual), head=min(space.heads)
            )

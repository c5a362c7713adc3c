"""Networks that are known to be good, with which every search begins, so that it never ends below them."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from functools import lru_cache
from itertools import product

from autoisp_core.spec import blocks
from autoisp_core.spec.cost import cost
from autoisp_core.spec.layers import Layer, LayerType
from autoisp_core.spec.model import Spec
from autoisp_core.spec.rules import PACKINGS
from autoisp_core.spec.space import SearchSpace

TWO_SCALES = Spec.code((1, 1, 3, 0, 0), (2, 12, 3, 0, 0), (3, 5, 0, 1, 2), (4, 1, 1, 3, 0), (5, 7, 0, 0, 0))
"""Dense 3×3 convolutions at full and at half resolution, summed and mixed: for detail and for flat areas."""

GATED = Spec.code(
    (1, 1, 1, 0, 0), (2, 8, 3, 1, 0), (3, 1, 1, 0, 0), (4, 11, 0, 2, 3), (5, 1, 1, 4, 0), (6, 7, 0, 0, 0)
)
"""A depthwise 3×3 convolution between two mixing ones, its result multiplied by a gate, after NAFNet's block
(Chen, Chu, Zhang, Sun: "Simple Baselines for Image Restoration", ECCV 2022, arXiv 2204.04676)."""

RESIDUAL_PAIR = blocks.chain([(LayerType.CONV, 3)] * 2)
"""Two dense 3×3 convolutions per residual: 1 dB above as many residuals of one convolution."""

RESIDUAL_SINGLE = blocks.chain([(LayerType.CONV, 3)])

ANCHOR_BLOCKS = (GATED, TWO_SCALES, RESIDUAL_PAIR, RESIDUAL_SINGLE)
"""The single stands in for the pair only where that is too dear."""


_NEARLY, _USUAL_REPEATS, _GATED_PACKING = 0.93, 2, 4


def anchor_specs(max_macs: float, space: SearchSpace | None = None) -> tuple[Spec, ...]:
    """A stack of each known block that nearly spends the budget, for each packing and memory.

    Args:
        max_macs: MAC per output pixel that no anchor exceeds.
        space: where the anchors must lie; the default space if None.

    Returns:
        At most one spec of each, best bet first; empty if no stack of the space fits.
    """
    stacks = anchor_stacks(space or SearchSpace())
    return best_anchors(spec for spec in stacks if cost(spec).macs_per_pixel <= max_macs)


def best_anchors(fitting: Iterable[Spec]) -> tuple[Spec, ...]:
    """Of those of a kind that nearly spend the budget the one nearest to two repeats, best bet first.

    A wide network of few blocks learns in fewer steps, and takes each step faster, than a thin one of many;
    and a stem that sees neighbours begins with a better demosaic.

    Args:
        fitting: stacks of :func:`anchor_stacks` within a budget, in their order: cheapest first.
    """
    kinds: dict[tuple[object, ...], list[Spec]] = {}
    for spec in fitting:
        kinds.setdefault(_kind(spec), []).append(spec)
    best = {kind: _usual(specs) for kind, specs in kinds.items()}
    pairs = {kind[1:] for kind in best if kind[0] == RESIDUAL_PAIR}
    return tuple(
        sorted(
            (spec for kind, spec in best.items() if kind[0] != RESIDUAL_SINGLE or kind[1:] not in pairs),
            key=_preference,
        )
    )


@lru_cache(maxsize=16)
def anchor_stacks(space: SearchSpace) -> tuple[Spec, ...]:
    """All specs of the space with an anchor's block, fewest MAC first, among equals the fewest repeats."""
    specs = (spec for block in ANCHOR_BLOCKS for spec in _with_every_number(space, block))
    return tuple(
        sorted(filter(space.contains, specs), key=lambda spec: (cost(spec).macs_per_pixel, spec.repeats))
    )


def is_anchor(spec: Spec) -> bool:
    """Whether the spec is made of an anchor's block, whatever its numbers are."""
    return spec.block in ANCHOR_BLOCKS


def _kind(spec: Spec) -> tuple[tuple[Layer, ...], int, int, int]:
    """What anchors differ in."""
    return (spec.block, spec.recurrent, spec.frames, spec.packing)


def _preference(spec: Spec) -> tuple[int, ...]:
    """Sorting key for anchors, the best bet first.

    A state averages the noise of many frames away for the arithmetic of one; without it, three frames take
    most of it and move little. A gate wants many channels, for which features at a quarter of the resolution
    leave the arithmetic; dense convolutions want the detail of half resolution. In three of five
    searches of six minutes (2 cores, a hundredth of a learned prototype's arithmetic) the gated network at a
    quarter was trained to the end, and ended 0.6 to 0.8 dB above the other finalist on validation frames.
    """
    memory = _BEST_MEMORIES.index((spec.recurrent, spec.frames))
    best = spec.packing == (_GATED_PACKING if spec.block == GATED else min(PACKINGS))
    return (memory, not best, ANCHOR_BLOCKS.index(spec.block), spec.packing)


def _usual(specs: list[Spec]) -> Spec:
    least = _NEARLY * cost(specs[-1]).macs_per_pixel
    near = [spec for spec in reversed(specs) if cost(spec).macs_per_pixel >= least]
    return min(near, key=lambda spec: (-spec.stem_kernel, abs(spec.repeats - _USUAL_REPEATS)))


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

"""Plain convolution stacks with which every search begins, so that it never ends below them."""

from __future__ import annotations

from itertools import product

from autoisp_core.spec import blocks
from autoisp_core.spec.cost import cost
from autoisp_core.spec.layers import LayerType
from autoisp_core.spec.model import Spec
from autoisp_core.spec.space import SearchSpace

_PLAIN = blocks.chain([(LayerType.CONV, 3)])


def anchor_specs(max_macs: float, space: SearchSpace | None = None) -> tuple[Spec, ...]:
    """The costliest plain stack within the budget for each packing and number of frames, best bet first.

    Args:
        max_macs: MAC per output pixel that no anchor exceeds.
        space: where the anchors must lie; the default space if None.

    Returns:
        At most one spec per (frames, packing); empty if no plain stack of the space fits.
    """
    space = space or SearchSpace()
    best: dict[tuple[int, int], Spec] = {}
    numbers = product(
        space.widths, space.repeats, space.packings, space.frames, space.stem_kernels, space.head_kernels
    )
    for values in numbers:
        spec = Spec(_PLAIN, *values)
        if not space.contains(spec) or cost(spec).macs_per_pixel > max_macs:
            continue
        kept = best.get((spec.frames, spec.packing))
        if kept is None or _spending(spec) > _spending(kept):
            best[spec.frames, spec.packing] = spec
    return tuple(sorted(best.values(), key=_preference))


def _spending(spec: Spec) -> tuple[float, int]:
    return (cost(spec).macs_per_pixel, spec.repeats)


def _preference(spec: Spec) -> tuple[int, int]:
    # Three frames average most of the noise away and move little; a quarter of the resolution sees furthest.
    return ((3, 5, 1).index(spec.frames), -spec.packing)

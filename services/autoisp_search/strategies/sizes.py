"""The same block in other sizes."""

from __future__ import annotations

from dataclasses import replace
from functools import lru_cache
from itertools import product

from autoisp_core.spec import LayerType, SearchSpace, Spec, cost

PLAIN_BLOCK = Spec.code((1, int(LayerType.CONV), 3, 0, 0), (2, int(LayerType.TERMINAL), 0, 0, 0))
"""One dense 3×3 convolution, as the anchors have it."""


def sizes_of(spec: Spec, space: SearchSpace) -> list[Spec]:
    """The spec with every width and number of repeats of the space."""
    return [
        replace(spec, width=width, repeats=repeats) for width in space.widths for repeats in space.repeats
    ]


@lru_cache(maxsize=16)
def plain_stacks(space: SearchSpace) -> tuple[Spec, ...]:
    """All plain stacks of the space, fewest MAC first."""
    numbers = product(
        space.widths, space.repeats, space.packings, space.frames, space.stem_kernels, space.head_kernels
    )
    specs = (Spec(PLAIN_BLOCK, *values) for values in numbers)
    return tuple(sorted(filter(space.contains, specs), key=lambda spec: cost(spec).macs_per_pixel))

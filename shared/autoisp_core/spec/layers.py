"""BlockQNN's Network Structure Code: a layer as the 5-tuple (index, type, kernel, pred1, pred2)."""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum
from math import gcd


class LayerType(IntEnum):
    """What a layer computes. 1–7 are BlockQNN's own codes; pixel extensions follow from 8, never renumbered.

    Every layer keeps height, width and (after its own fusion, for ``CONCAT``) the block's channel width.
    """

    CONV = 1
    """Dense convolution, kernel 1, 3 or 5, then ReLU."""
    MAX_POOL = 2
    """Maximum over kernel × kernel, stride 1, same size."""
    AVG_POOL = 3
    """Mean over kernel × kernel (borders count only real pixels), stride 1, same size."""
    IDENTITY = 4
    """The predecessor itself."""
    ADD = 5
    """Elementwise sum of both predecessors."""
    CONCAT = 6
    """Both predecessors side by side, then a 1×1 convolution back to the block's width and ReLU."""
    TERMINAL = 7
    """End of the block; always the last tuple."""
    DEPTHWISE = 8
    """One kernel × kernel filter per channel, no activation; pair it with a ``CONV`` of kernel 1."""
    GROUPED = 9
    """Convolution in four groups of channels that don't see each other, kernel 3 or 5, then ReLU. A quarter
    of ``CONV``'s arithmetic; see :func:`groups_of` for widths that four doesn't divide."""
    DYNAMIC = 10
    """Dense convolution whose kernels are mixed for each frame from a learned bank, kernel 1 or 3, then ReLU:
    DyNet (arXiv 2004.10694). One predictor makes the coefficients of all of a block's dynamic layers, from
    the mean of the block's input."""
    GATE = 11
    """pred1 multiplied by sigmoid(pred2), elementwise."""
    COARSE = 12
    """Convolution at half the features' resolution: mean over 2 × 2, kernel × kernel, ReLU, nearest neighbour
    back. A quarter of ``CONV``'s arithmetic with twice its reach, as heavy noise in flat areas asks for."""


BINARY = frozenset({LayerType.ADD, LayerType.CONCAT, LayerType.GATE})
"""Types that need two predecessors."""

COMMUTATIVE = frozenset({LayerType.ADD, LayerType.CONCAT})
"""Binary types whose predecessors may change places (``CONCAT`` up to a permutation of its weights)."""

KERNELS: dict[LayerType, tuple[int, ...]] = {
    LayerType.CONV: (1, 3, 5),
    LayerType.MAX_POOL: (1, 3),
    LayerType.AVG_POOL: (1, 3),
    LayerType.DEPTHWISE: (3, 5, 7),
    LayerType.GROUPED: (3, 5),
    LayerType.DYNAMIC: (1, 3),
    LayerType.COARSE: (1, 3, 5),
}
"""Kernel sizes that a type allows; types not listed take kernel 0."""


BANK = 6
"""Kernels that each output channel of a ``DYNAMIC`` layer mixes: the paper's group size."""

_GROUPS = 4


def groups_of(width: int) -> int:
    """Groups of a ``GROUPED`` convolution: 4, or for widths that four doesn't divide 2 or, of odd ones, 1."""
    return gcd(_GROUPS, width)


@dataclass(frozen=True, slots=True)
class Layer:
    """One tuple of the Network Structure Code.

    Attributes:
        index: 1, 2, 3, … in the order of the block.
        type: what the layer computes.
        kernel: side of the kernel in feature pixels; 0 where the type has none.
        pred1: index of the first predecessor, smaller than ``index``; 0 is the block's input.
        pred2: index of the second predecessor for binary types, else 0.
    """

    index: int
    type: LayerType
    kernel: int = 0
    pred1: int = 0
    pred2: int = 0

    @property
    def predecessors(self) -> tuple[int, ...]:
        """Indices this layer reads: two for binary types, none for ``TERMINAL``, else one."""
        if self.type == LayerType.TERMINAL:
            return ()
        return (self.pred1, self.pred2) if self.type in BINARY else (self.pred1,)

    def as_tuple(self) -> tuple[int, int, int, int, int]:
        """The layer as plain integers."""
        return (self.index, int(self.type), self.kernel, self.pred1, self.pred2)

    def __str__(self) -> str:
        return f"({self.index}, {self.type.name}={int(self.type)}, {self.kernel}, {self.pred1}, {self.pred2})"

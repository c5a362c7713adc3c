"""What a block is worth to BlockQNN."""

from __future__ import annotations

import math

from autoisp_core.spec import Layer, LayerType

MU, RHO = 1.0, 8.0
"""Weights of the logarithms of cost and density, as in the paper."""

REFERENCE_DB = 28.0
"""What the prototype's quality is taken for where it is not known."""

_REFERENCE_PERCENT, _PERCENT_PER_DB = 50.0, 5.0


def percent(psnr_db: float, reference_db: float | None) -> float:
    """Quality in place of the paper's accuracy, 0 … 100: 50 at the prototype's, 5 more for each dB above it.

    So twice the arithmetic must bring 0.14 dB, and a block with a quarter more edges than layers 0.36 dB.
    """
    above = psnr_db - (REFERENCE_DB if reference_db is None else reference_db)
    return min(100.0, max(0.0, _REFERENCE_PERCENT + _PERCENT_PER_DB * above))


def density(block: tuple[Layer, ...]) -> float:
    """Edges per layer, the terminal and what it gathers not counted: 1 for a chain."""
    layers = [layer for layer in block if layer.type != LayerType.TERMINAL]
    return sum(len(layer.predecessors) for layer in layers) / len(layers)


def reward(accuracy: float, macs_per_pixel: float, block_density: float) -> float:
    """r = ACC − μ·ln(cost) − ρ·ln(density), with MAC per output pixel in place of FLOPs.

    Args:
        accuracy: in percent, see :func:`percent`.
        macs_per_pixel: above 0.
        block_density: see :func:`density`.
    """
    return accuracy - MU * math.log(macs_per_pixel) - RHO * math.log(block_density)

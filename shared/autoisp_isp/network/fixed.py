"""The fixed maths of every network: a noise-aware square root before it, its inverse and a curve after.

The network works on ``z = k · sqrt(x + offset)`` of the white-balanced raw x. The square root makes shot
noise equally strong in shadows and highlights and looks much like the display curve that the error is
measured behind; ``k`` makes that strength about the same at every ISO, so the network needs no noise input
of its own. ``offset`` lies two standard deviations of read noise above black, where clipping no longer eats
the noise. Both are the same for all planes: grey stays grey.
"""

from __future__ import annotations

import torch
from torch import Tensor

OFFSET_FLOOR = 0.002
"""Smallest offset: bounds the square root's slope at black where the noise is zero."""
OFFSET_PER_READ_SIGMA = 2.0
STRENGTH_FLOOR = 1e-4
"""Smallest noise strength: bounds ``k`` where the noise is zero."""
STRENGTH_PER_READ_SIGMA = 0.5
STRENGTH_REFERENCE = 0.02
"""Noise strength at which ``k`` is 1, about that of shot 0.01, read 0.0005."""

TONE_OFFSET = 0.001
TONE = (-0.04828003, 1.45476887, -0.71874942, 0.31525854)
"""Cubic in s = sqrt(x + TONE_OFFSET), lowest power first: the sRGB curve within 0.0035, which is less than
one step of 8 bits. ``x ** (1 / 2.4)`` would take three times as long in ONNX Runtime, whose power and
logarithm are scalar."""

PLANE_TO_COLOUR = (0, 1, 1, 2)
"""Colour (R, G, B = 0, 1, 2) of each packed Bayer plane."""


def stabiliser(noise: Tensor) -> tuple[Tensor, Tensor]:
    """(k², offset), each (N, 1), from shot and read variance (N, 2); finite for zero noise."""
    shot, read_sigma = noise[:, 0:1], noise[:, 1:2].sqrt()
    offset = read_sigma * OFFSET_PER_READ_SIGMA + OFFSET_FLOOR
    strength = shot + read_sigma * STRENGTH_PER_READ_SIGMA + STRENGTH_FLOOR
    return STRENGTH_REFERENCE / strength, offset


def stabilise(planes: Tensor, gains: Tensor, scale: Tensor, offset: Tensor) -> Tensor:
    """Raw planes (N, 4·T, h, w), black at 0, possibly negative, to z ≥ 0 of the same shape."""
    frames = planes.shape[1] // len(PLANE_TO_COLOUR)
    per_plane = gains[:, list(PLANE_TO_COLOUR) * frames] * scale
    shifted = planes * per_plane[:, :, None, None] + (offset * scale)[:, :, None, None]
    # The square root's slope is infinite at 0, but nothing before it is learned, so no gradient asks for it.
    return shifted.relu().sqrt()


def develop(stabilised: Tensor, ccm: Tensor, scale: Tensor, offset: Tensor) -> Tensor:
    """Stabilised colours (N, 3, P) of P pixels to sRGB in [0, 1]: inverse, clip, colour matrix, curve.

    The curve's offset is added before the matrix, which keeps it: its rows sum to 1.
    """
    linear = stabilised * stabilised * (1 / scale)[:, :, None] + (TONE_OFFSET - offset)[:, :, None]
    low, high = TONE_OFFSET, 1 + TONE_OFFSET
    # Autocast would round the colours to the convolutions' precision.
    with torch.autocast(ccm.device.type, enabled=False):
        mixed = torch.matmul(ccm, linear.clamp(low, high)).clamp(low, high)
    root = mixed.sqrt()
    curve = ((root * TONE[3] + TONE[2]) * root + TONE[1]) * root + TONE[0]
    return curve.clamp(0.0, 1.0)

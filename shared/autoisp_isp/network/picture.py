"""From the head's output to the stabilised picture, for networks that build upon a demosaic."""

from __future__ import annotations

import torch
from torch import Tensor, nn

TAPS = 3
"""Side of the kernels that a kernel-predicting head gives each pixel."""


def filtered(picture: Tensor, kernels: Tensor) -> Tensor:
    """Applies a kernel of its own to each pixel, the same for all colours.

    Kernel-predicting denoising (arXiv 1712.02327) with slices instead of an unfold, which few accelerators
    have. Beyond the border the picture goes on as at it.

    Args:
        picture: (N, 3, H, W).
        kernels: (N, 9, H, W), the taps row by row.
    """
    height, width = picture.shape[-2:]
    padded = nn.functional.pad(picture, (1, 1, 1, 1), "replicate")
    result = torch.zeros_like(picture)
    for tap in range(TAPS * TAPS):
        row, column = divmod(tap, TAPS)
        shifted = padded[..., row : row + height, column : column + width]
        result = result + shifted * kernels[:, tap : tap + 1]
    return result


def start_from_demosaic(head: nn.Conv2d, packing: int, *, kernels: bool, residual: bool) -> None:
    """Sets the head so that the network starts as the fixed demosaic, whatever the features are.

    Args:
        head: convolution to planes as depth-to-space wants them.
        packing: output pixels per feature pixel along one axis.
        kernels: whether the planes are kernels, which then start as those that change nothing.
        residual: whether the demosaic is added anyhow, so that the head adds nothing at first.
    """
    assert head.bias is not None
    with torch.no_grad():
        head.weight.zero_()
        head.bias.zero_()
        if kernels and not residual:
            middle = TAPS * TAPS // 2
            head.bias[middle * packing**2 : (middle + 1) * packing**2] = 1.0

"""How hard a patch is by what is on it, whatever is done to it: control variates of the policy's reward."""

from __future__ import annotations

import torch
from torch import Tensor

_FLOOR = 1e-3


def content_of(truth: Tensor, noise: Tensor) -> Tensor:
    """Features (N, 4) of clean patches: detail, unevenness, brightness, noise.

    Args:
        truth: (N, 3, H, W) sRGB, before any operation.
        noise: (N, 2) shot and read variance as drawn for the patch, before any operation.

    Returns:
        On the CPU.
    """
    grey = truth[:, 1, ::2, ::2]  # green is most of what is seen, and every other pixel says as much
    down, across = (grey.diff(dim=axis).abs().mean((1, 2)) for axis in (1, 2))
    detail = (down + across + _FLOOR).log()
    spread = (grey.std((1, 2)) + _FLOOR).log()
    strength = (noise[:, 0] + noise[:, 1].sqrt() + _FLOOR).log()
    return torch.stack([detail, spread, grey.mean((1, 2)), strength], 1).cpu()

"""Scenes that the footage does not show: other light, other exposure, other colours of the same things."""

import numpy as np
import torch
from torch import Tensor

# Share of patches whose colours are changed. What is left as filmed keeps the network good at what there is.
_SHARE = 0.8
# Natural logarithms between which the exposure is drawn: about a third and one and a half times the light.
_EXPOSURES = (-1.2, 0.4)
# The same for saturation: half as far from grey, up to 2.7 times as far.
_SATURATIONS = (-0.7, 1.0)
# Linear light's share in luminance (BT.709).
_LUMINANCE = np.array([0.2126, 0.7152, 0.0722], np.float32)


def draw_scenes(choices: np.random.Generator, size: int) -> Tensor:
    """Matrices (size, 3, 3) from the linear sRGB that was filmed to that of another scene.

    Each exchanges the primaries, moves colours from or to grey, and scales the light. A few clips show few
    colours, and what a network has never seen it gets wrong: grass came out yellow after grey streets. With
    this, a network that had been trained on three such clips for a minute ended 11 dB higher on a fourth,
    green one, and no lower on clips like those three.
    """
    changed, exposure, saturation = choices.random((3, size), dtype=np.float32)
    exposure, saturation = (
        np.exp(low + share * (high - low))[:, None, None]
        for share, (low, high) in ((exposure, _EXPOSURES), (saturation, _SATURATIONS))
    )
    primaries = np.eye(3, dtype=np.float32)[choices.random((size, 3)).argsort(1)]
    grey = np.ones((3, 1), np.float32) * _LUMINANCE
    scenes = exposure * (saturation * primaries + (1.0 - saturation) * (grey @ primaries))
    filmed = changed[:, None, None] >= _SHARE
    return torch.from_numpy(np.where(filmed, np.eye(3, dtype=np.float32), scenes))


def in_other_light(linear: Tensor, scenes: Tensor) -> Tensor:
    """Linear sRGB (N, T, 3, H, W) in [0, 1] as the scenes (N, 3, 3) show it, clipped to that range."""
    count, frames, colours, height, width = linear.shape
    pixels = linear.transpose(1, 2).reshape(count, colours, -1)
    changed = torch.bmm(scenes, pixels).clamp_(0.0, 1.0)
    return changed.view(count, colours, frames, height, width).transpose(1, 2)

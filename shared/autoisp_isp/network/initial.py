"""The weights a network starts from: already a demosaic of the current frame, before any training.

Some channels carry the current frame's planes from the stem to the head, whose first weights interpolate
them. What the network learns is then only what is better than that. The other channels start random.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from autoisp_isp.network.fixed import PLANE_TO_COLOUR

_COLOURS = 3


def start_as_demosaic(stem: nn.Conv2d, head: nn.Conv2d, packing: int) -> None:
    """Sets the first channels of the stem and the head in place.

    Args:
        stem: convolution from 4·T Bayer planes, oldest frame first, with stride ``packing`` / 2.
        head: convolution to 3 · packing² planes as depth-to-space wants them.
        packing: output pixels per feature pixel along one axis.
    """
    width = stem.out_channels
    with torch.no_grad():
        sites = _carry(stem, packing) if width >= packing**2 else _carry_means(stem, packing)
        head.weight.zero_()
        for plane, weights in enumerate(_interpolation(sites, head.kernel_size[0], packing)):
            head.weight[plane, : len(sites)] = weights
        if head.bias is not None:
            head.bias.zero_()


Site = tuple[int, float, float]
"""Colour, row and column of what a channel carries, in output pixels from the cell's corner."""


def _carry(stem: nn.Conv2d, packing: int) -> list[Site]:
    """One channel for each mosaic pixel of a cell of packing × packing."""
    sites: list[Site] = []
    first_tap, newest = _cell_corner(stem), stem.in_channels - len(PLANE_TO_COLOUR)
    for row in range(packing):
        for column in range(packing):
            plane = 2 * (row % 2) + column % 2
            tap = stem.weight[len(sites)].zero_()
            tap[newest + plane, first_tap + row // 2, first_tap + column // 2] = 1.0
            _zero_bias(stem, len(sites))
            sites.append((PLANE_TO_COLOUR[plane], float(row), float(column)))
    return sites


def _carry_means(stem: nn.Conv2d, packing: int) -> list[Site]:
    """One channel for each Bayer plane's mean over the cell, for networks too thin for every pixel."""
    sites: list[Site] = []
    first_tap, newest = _cell_corner(stem), stem.in_channels - len(PLANE_TO_COLOUR)
    cell = slice(first_tap, first_tap + packing // 2)
    for plane, colour in enumerate(PLANE_TO_COLOUR):
        stem.weight[plane].zero_()[newest + plane, cell, cell] = 1.0 / (packing // 2) ** 2
        _zero_bias(stem, plane)
        middle = packing / 2 - 1
        sites.append((colour, middle + plane // 2, middle + plane % 2))
    return sites


def _cell_corner(stem: nn.Conv2d) -> int:
    stride = stem.stride[0]
    return (stem.kernel_size[0] // stride) // 2 * stride


def _zero_bias(stem: nn.Conv2d, channel: int) -> None:
    if stem.bias is not None:
        stem.bias[channel] = 0.0


def _interpolation(sites: list[Site], kernel: int, packing: int) -> list[Tensor]:
    """For each output plane the weights (len(sites), kernel, kernel) of the carried pixels of its colour."""
    taps = torch.arange(kernel, dtype=torch.float32) - kernel // 2
    rows = torch.tensor([site[1] for site in sites])[:, None] + taps[None] * packing
    columns = torch.tensor([site[2] for site in sites])[:, None] + taps[None] * packing
    colours = torch.tensor([site[0] for site in sites])
    planes = []
    for colour in range(_COLOURS):
        for row in range(packing):
            for column in range(packing):
                down, across = (rows - row)[:, :, None], (columns - column)[:, None, :]
                # A soft kernel: already a little denoising, and never empty within a cell.
                weights = torch.exp(-(down**2 + across**2) / 2) * (colours == colour)[:, None, None]
                planes.append(weights / weights.sum())
    return planes

"""The weights a network starts from: already a demosaic of the current frame, before any training.

Some channels carry the current frame's planes from the stem to the head, whose first weights interpolate
them. What the network learns is then only what is better than that. The other channels start random.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from autoisp_isp.network.fixed import PLANE_TO_COLOUR

_COLOURS = 3


def carry_newest(stem: nn.Conv2d, packing: int) -> int:
    """Lets the first channels of a stem pass the newest frame's planes on, in place.

    Whatever corrects or filters a demosaic needs to see them. Arguments and result as of
    :func:`start_as_demosaic`.
    """
    with torch.no_grad():
        return len(_carry(stem, packing))


def start_as_demosaic(stem: nn.Conv2d, head: nn.Conv2d, packing: int) -> int:
    """Sets the first channels of the stem and the head in place.

    Args:
        stem: convolution from 4·T Bayer planes, oldest frame first, with stride ``packing`` / 2.
        head: convolution to 3 · packing² planes as depth-to-space wants them.
        packing: output pixels per feature pixel along one axis.

    Returns:
        How many channels carry the newest frame.
    """
    with torch.no_grad():
        sites = _carry(stem, packing)
        head.weight.zero_()
        for plane, weights in enumerate(_interpolation(sites, head.kernel_size[0], packing)):
            head.weight[plane, : len(sites)] = weights
        if head.bias is not None:
            head.bias.zero_()
    return len(sites)


Site = tuple[int, float, float]
"""Colour, row and column of what a channel carries, in output pixels from the cell's corner."""


def _carry(stem: nn.Conv2d, packing: int) -> list[Site]:
    """One channel for each mosaic pixel of a cell of packing × packing; networks too thin for that carry the
    means of squares of each Bayer plane, as small as they can."""
    side = packing // 2
    squares = next(
        count for count in range(side, 0, -1) if side % count == 0 and 4 * count**2 <= stem.out_channels
    )
    square = side // squares
    sites: list[Site] = []
    first_tap, newest = _cell_corner(stem), stem.in_channels - len(PLANE_TO_COLOUR)
    for row in range(2 * squares):
        for column in range(2 * squares):
            plane = 2 * (row % 2) + column % 2
            down, across = row // 2 * square, column // 2 * square
            tap = stem.weight[len(sites)].zero_()[newest + plane, first_tap:, first_tap:]
            tap[down : down + square, across : across + square] = 1.0 / square**2
            if stem.bias is not None:
                stem.bias[len(sites)] = 0.0
            middle = square - 1
            sites.append(
                (PLANE_TO_COLOUR[plane], 2.0 * down + middle + row % 2, 2.0 * across + middle + column % 2)
            )
    return sites


def _cell_corner(stem: nn.Conv2d) -> int:
    stride = stem.stride[0]
    return (stem.kernel_size[0] // stride) // 2 * stride


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

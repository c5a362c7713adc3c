"""ShuffleNetV2 (Ma et al., ECCV 2018, arXiv 1807.11164) and Dy-shuffle (arXiv 2004.10694, section 3.3).

DyNet's paper describes the unit that keeps the size only. Ours that halves it does what its arithmetic asks
for: the right branch is dynamic at full width, the left one carries the input on by a depthwise convolution.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from autoisp_isp.dynamic.convolution import BANK
from autoisp_isp.dynamic.units import Chain, Classifier, Unit

_STEM, _LAST = 24, 1024
_STAGES = ((116, 4), (232, 8), (464, 4))
"""Channels and units of width 1.0."""
_SHARE, _GROUP = 4, 2
"""Dy-shuffle's right branch has a quarter of the channels; its depthwise convolutions have groups of two,
which is as much arithmetic as half of the channels without."""


def shufflenet_v2(classes: int = 1000) -> Classifier:
    """ShuffleNetV2 of width 1.0."""
    return _network(classes, None)


def dy_shuffle(classes: int = 1000, *, bank: int = BANK) -> Classifier:
    """Dy-shuffle of width 1.0."""
    return _network(classes, bank)


class ShuffleUnit(nn.Module):
    """The left channels pass, the right ones go through the chain, and both are shuffled.

    Args:
        left: channels that pass.
        right: the chain for the others.
    """

    def __init__(self, left: int, right: Chain) -> None:
        super().__init__()
        self.left, self.right = left, right

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to the same shape."""
        return shuffled(torch.cat((x[:, : self.left], self.right(x[:, self.left :])), 1))


class HalvingUnit(nn.Module):
    """Both branches get all channels; their results are shuffled.

    Args:
        left, right: chains of stride 2.
    """

    def __init__(self, left: Chain, right: Chain) -> None:
        super().__init__()
        self.left, self.right = left, right

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to (N, C', H / 2, W / 2)."""
        return shuffled(torch.cat((self.left(x), self.right(x)), 1))


def shuffled(x: Tensor) -> Tensor:
    """Channels of the first half and of the second in turns."""
    return torch.unflatten(x, 1, (2, -1)).transpose(1, 2).flatten(1, 2)


def shuffle_unit(channels: int, *, bank: int | None = None) -> ShuffleUnit:
    """ShuffleNetV2's unit, half of the channels on the right; with a bank Dy-shuffle's, a quarter."""
    if bank is None:
        return ShuffleUnit(channels // 2, _right(channels // 2, channels // 2, channels // 2, 1, 1, None))
    right = -(-channels // (_SHARE * _GROUP)) * _GROUP
    return ShuffleUnit(channels - right, _right(right, right, right, 1, _GROUP, bank))


def halving_unit(in_channels: int, out_channels: int, *, bank: int | None = None) -> HalvingUnit:
    """The unit that halves height and width; its left branch keeps its channels."""
    left = [Unit(in_channels, in_channels, 3, None, stride=2, groups=in_channels)]
    if bank is None:
        left.append(Unit(in_channels, in_channels, 1, nn.ReLU()))
    right = _right(in_channels, out_channels // 2, out_channels - in_channels, 2, 1, bank)
    return HalvingUnit(Chain(left), right)


def _right(
    in_channels: int, middle: int, out_channels: int, stride: int, group: int, bank: int | None
) -> Chain:
    units = [
        Unit(in_channels, middle, 1, nn.ReLU(), bank=bank),
        Unit(middle, middle, 3, None, stride=stride, groups=middle // group, bank=bank),
        Unit(middle, out_channels, 1, nn.ReLU(), bank=bank),
    ]
    return Chain(units, bank=bank)


def _network(classes: int, bank: int | None) -> Classifier:
    layers: list[nn.Module] = [Unit(3, _STEM, 3, nn.ReLU(), stride=2), nn.MaxPool2d(3, 2, 1)]
    channels = _STEM
    for out, units in _STAGES:
        layers.append(halving_unit(channels, out, bank=bank))
        layers += [shuffle_unit(out, bank=bank) for _ in range(units - 1)]
        channels = out
    layers.append(Unit(channels, _LAST, 1, nn.ReLU()))
    return Classifier(nn.Sequential(*layers), _LAST, classes)

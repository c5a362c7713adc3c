"""ResNet-18 and -50 (He et al., CVPR 2016, arXiv 1512.03385) and their dynamic twins (arXiv 2004.10694,
section 3.3)."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial

from torch import nn

from autoisp_isp.dynamic.convolution import BANK
from autoisp_isp.dynamic.units import Chain, Classifier, Residual, Unit

_STEM = 64
_WIDTHS = (64, 128, 256, 512)
_BLOCKS_18, _BLOCKS_50 = (2, 2, 2, 2), (3, 4, 6, 3)
_EXPANSION = 4
_HALF = 2
"""The dynamic networks have half the output channels in every block."""
_SQUEEZE = 4
"""Channels of a block's input for each hidden channel of the predictor."""

Block = Callable[[int, int, int], Residual]
"""A block of given input channels, output channels and stride."""


def resnet18(classes: int = 1000) -> Classifier:
    """ResNet-18."""
    return _network(basic_block, _BLOCKS_18, _WIDTHS, classes)


def resnet50(classes: int = 1000) -> Classifier:
    """ResNet-50 as published: the stride is in the first 1×1 convolution of a block."""
    return _network(bottleneck, _BLOCKS_50, [_EXPANSION * width for width in _WIDTHS], classes)


def dy_resnet18(classes: int = 1000, *, bank: int = BANK) -> Classifier:
    """Dy-ResNet18."""
    return _network(
        partial(basic_block, bank=bank), _BLOCKS_18, [width // _HALF for width in _WIDTHS], classes
    )


def dy_resnet50(classes: int = 1000, *, bank: int = BANK) -> Classifier:
    """Dy-ResNet50."""
    widths = [_EXPANSION * width // _HALF for width in _WIDTHS]
    return _network(partial(bottleneck, bank=bank), _BLOCKS_50, widths, classes)


def basic_block(in_channels: int, out_channels: int, stride: int, *, bank: int | None = None) -> Residual:
    """Two 3×3 convolutions; dynamic with a bank."""
    units = [
        Unit(in_channels, out_channels, 3, nn.ReLU(), stride=stride, bank=bank),
        Unit(out_channels, out_channels, 3, None, bank=bank),
    ]
    return _residual(units, stride, bank)


def bottleneck(in_channels: int, out_channels: int, stride: int, *, bank: int | None = None) -> Residual:
    """1×1 to a quarter of the output channels, 3×3, 1×1 back; dynamic with a bank."""
    thin = out_channels // _EXPANSION
    units = [
        Unit(in_channels, thin, 1, nn.ReLU(), stride=stride, bank=bank),
        Unit(thin, thin, 3, nn.ReLU(), bank=bank),
        Unit(thin, out_channels, 1, None, bank=bank),
    ]
    return _residual(units, stride, bank)


def _residual(units: Sequence[Unit], stride: int, bank: int | None) -> Residual:
    in_channels, out_channels = units[0].in_channels, units[-1].out_channels
    same = stride == 1 and in_channels == out_channels
    shortcut = None if same else Unit(in_channels, out_channels, 1, None, stride=stride)
    return Residual(Chain(units, bank=bank, squeeze=_SQUEEZE), shortcut, nn.ReLU())


def _network(block: Block, blocks: Sequence[int], widths: Sequence[int], classes: int) -> Classifier:
    layers: list[nn.Module] = [Unit(3, _STEM, 7, nn.ReLU(), stride=2), nn.MaxPool2d(3, 2, 1)]
    channels = _STEM
    for stage, (count, width) in enumerate(zip(blocks, widths, strict=True)):
        for index in range(count):
            layers.append(block(channels, width, 2 if stage > 0 and index == 0 else 1))
            channels = width
    return Classifier(nn.Sequential(*layers), channels, classes)

"""MobileNetV2 (Sandler et al., CVPR 2018, arXiv 1801.04381) and Dy-mobile (arXiv 2004.10694, section 3.3)."""

from __future__ import annotations

from torch import nn

from autoisp_isp.dynamic.convolution import BANK
from autoisp_isp.dynamic.units import Chain, Classifier, Residual, Unit

_STEM, _LAST = 32, 1280
_STAGES = (
    (1, 16, 1, 1),
    (6, 24, 2, 2),
    (6, 32, 3, 2),
    (6, 64, 4, 2),
    (6, 96, 3, 1),
    (6, 160, 3, 2),
    (6, 320, 1, 1),
)
"""Expansion, output channels, blocks, stride of the first: Table 2 of the paper."""
_GROUP = 6
"""Channels of a group in Dy-mobile's depthwise convolutions: as much arithmetic as six times the channels."""


def mobilenet_v2(classes: int = 1000) -> Classifier:
    """MobileNetV2 of width 1.0."""
    return _network(classes, None)


def dy_mobile(classes: int = 1000, *, bank: int = BANK) -> Classifier:
    """Dy-mobile of width 1.0: no expansion, output channels rounded up to multiples of 6."""
    return _network(classes, bank)


def mobile_block(in_channels: int, out_channels: int, stride: int, expansion: int) -> nn.Module:
    """MobileNetV2's inverted residual: widen, depthwise 3×3, narrow; no widening where `expansion` is 1."""
    wide = in_channels * expansion
    units = [
        Unit(wide, wide, 3, nn.ReLU6(), stride=stride, groups=wide),
        Unit(wide, out_channels, 1, None),
    ]
    if expansion > 1:
        units.insert(0, Unit(in_channels, wide, 1, nn.ReLU6()))
    return _around(Chain(units), in_channels, out_channels, stride)


def dy_mobile_block(in_channels: int, out_channels: int, stride: int, *, bank: int = BANK) -> nn.Module:
    """Dy-mobile's block: three dynamic convolutions of `out_channels`, a multiple of 6, in groups of 6."""
    units = [
        Unit(in_channels, out_channels, 1, nn.ReLU6(), bank=bank),
        Unit(
            out_channels,
            out_channels,
            3,
            nn.ReLU6(),
            stride=stride,
            groups=out_channels // _GROUP,
            bank=bank,
        ),
        Unit(out_channels, out_channels, 1, None, bank=bank),
    ]
    return _around(Chain(units, bank=bank), in_channels, out_channels, stride)


def _around(chain: Chain, in_channels: int, out_channels: int, stride: int) -> nn.Module:
    return Residual(chain) if stride == 1 and in_channels == out_channels else chain


def _network(classes: int, bank: int | None) -> Classifier:
    layers: list[nn.Module] = [Unit(3, _STEM, 3, nn.ReLU6(), stride=2)]
    channels = _STEM
    for expansion, width, blocks, first_stride in _STAGES:
        out = width if bank is None else -(-width // _GROUP) * _GROUP
        for stride in [first_stride] + [1] * (blocks - 1):
            if bank is None:
                layers.append(mobile_block(channels, out, stride, expansion))
            else:
                layers.append(dy_mobile_block(channels, out, stride, bank=bank))
            channels = out
    layers.append(Unit(channels, _LAST, 1, nn.ReLU6()))
    return Classifier(nn.Sequential(*layers), _LAST, classes)

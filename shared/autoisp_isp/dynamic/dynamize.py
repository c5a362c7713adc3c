"""Dynamic convolutions for a torch network of one's own: its blocks and what runs them stay as they are."""

from __future__ import annotations

import copy
from collections.abc import Collection

import torch
from torch import nn

from autoisp_isp.dynamic.convolution import BANK
from autoisp_isp.dynamic.handing import BlockCoefficients, BlockConvolution, hand_over
from autoisp_isp.dynamic.survey import Inputs, Plan, survey


def dynamize(
    model: nn.Module,
    example: Inputs,
    *,
    bank: int = BANK,
    squeeze: int | None = None,
    blocks: Collection[str] | None = None,
    keep: Collection[str] = (),
) -> nn.Module:
    """A copy of a network whose 2-D convolutions are dynamic, after DyNet (arXiv 2004.10694).

    Coefficients are made once for each block, from what the block gets. A block is the smallest module around
    a convolution that has a `forward` of its own, so no `Sequential`; convolutions that lie in none but the
    whole network, such as a stem and a head, stay static unless that is all there is, as in the paper.

    The copy computes what the network did before, whatever that was trained to; training makes it dynamic.
    It is no cheaper by itself: the method lets a *thinner* network keep its quality, so make yours thinner
    first (the paper halves the channels, or drops MobileNetV2's expansion).

    Args:
        model: any module; it stays as it is.
        example: one input of it, or a tuple of all; it is run once to learn what the blocks get.
        bank: kernels that each output channel mixes.
        squeeze: channels of a block's input for each hidden channel of its predictor, which then has two
            fully connected layers (4 in the paper's residual networks); None: one layer.
        blocks: names of the modules that are the blocks, if the rule above doesn't tell.
        keep: names of layers, or of modules with all that is in them, to leave as they are.

    Raises:
        InvalidArgumentError: names the layer that can't be converted, why, and what to do about it.

    Example:
        >>> model = nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 4, 1))
        >>> x = torch.rand(2, 3, 16, 16)
        >>> bool(torch.allclose(dynamize(model, x).eval()(x), model(x), atol=1e-5))
        True
    """
    plan = survey(model, example, blocks=blocks, keep=keep)
    result = copy.deepcopy(model)
    for name, block in plan.items():
        _convert(result.get_submodule(name), block, bank, squeeze)
    return result


def _convert(block: nn.Module, plan: Plan, bank: int, squeeze: int | None) -> None:
    statics = {path: block.get_submodule(path) for path in plan.convolutions}
    dynamics = {path: _dynamic(static, bank) for path, static in statics.items()}
    for path, dynamic in dynamics.items():
        block.set_submodule(path, dynamic)
    outputs = [dynamic.out_channels for dynamic in dynamics.values()]
    hidden = None if squeeze is None else max(1, plan.channels // squeeze)
    made = BlockCoefficients(plan.channels, outputs, bank=bank, hidden=hidden)
    made.to(next(iter(dynamics.values())).weight)
    hand_over(block, made, plan.convolutions)


def _dynamic(static: nn.Module, bank: int) -> BlockConvolution:
    assert isinstance(static, nn.Conv2d)
    made = BlockConvolution(
        static.in_channels,
        static.out_channels,
        (static.kernel_size[0], static.kernel_size[1]),
        stride=(static.stride[0], static.stride[1]),
        padding=static.padding if isinstance(static.padding, str) else (static.padding[0], static.padding[1]),
        dilation=(static.dilation[0], static.dilation[1]),
        groups=static.groups,
        bias=static.bias is not None,
        padding_mode=static.padding_mode,
        bank=bank,
    )
    made.start_from(static.weight)
    if made.bias is not None and static.bias is not None:
        with torch.no_grad():
            made.bias.copy_(static.bias)
    return made.to(static.weight).train(static.training)

"""Dynamic convolutions for a torch network of one's own: its blocks and what runs them stay as they are."""

from __future__ import annotations

import copy
from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Any

import torch
from autoisp_core.errors import InvalidArgumentError
from torch import Tensor, nn
from torch.utils.hooks import RemovableHandle

from autoisp_isp.dynamic.coefficients import Coefficients
from autoisp_isp.dynamic.convolution import BANK, DynamicConv2d
from autoisp_isp.dynamic.survey import Inputs, Plan, called, resting, survey

MODULE = "dynamic_coefficients"
"""Name under which a block gets the predictor of its coefficients."""


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


def freeze(model: nn.Module, pictures: Iterable[Inputs]) -> nn.Module:
    """A copy of a dynamized network with plain convolutions, mixed by the mean of the coefficients.

    For accelerators that refuse kernels that are made at run time. What that loses is to be measured.

    Args:
        model: what :func:`dynamize` gave, trained; it stays as it is.
        pictures: inputs as the network will get them; the coefficients are averaged over all.

    Raises:
        InvalidArgumentError: no picture was given.
    """
    result = copy.deepcopy(model)
    made = {name: module for name, module in result.named_modules() if isinstance(module, BlockCoefficients)}
    means = mean_coefficients(result, made, pictures)
    for name, module in made.items():
        block = result.get_submodule(name.rpartition(".")[0])
        for path, coefficients in zip(module.convolutions, means[name], strict=True):
            convolution = block.get_submodule(path)
            assert isinstance(convolution, DynamicConv2d)
            block.set_submodule(path, plain(convolution, coefficients))
        for handle in module.handles:
            handle.remove()
        delattr(block, MODULE)
    return result


def mean_coefficients(
    model: nn.Module, predictors: Mapping[str, nn.Module], pictures: Iterable[Inputs]
) -> dict[str, tuple[Tensor, ...]]:
    """What each predictor of a network gives in the mean over pictures: (outputs[j], bank) for convolution j.

    Args:
        model: is run in evaluation mode, and left in the mode it is in.
        predictors: those of its modules that are :class:`Coefficients`, by name.
        pictures: inputs of the model.

    Raises:
        InvalidArgumentError: no picture was given.
    """
    sums: dict[str, list[Tensor]] = {}
    counts = dict.fromkeys(predictors, 0)

    def add(name: str, values: Sequence[Tensor]) -> None:
        totals = sums.setdefault(name, [torch.zeros_like(value[0]) for value in values])
        for total, value in zip(totals, values, strict=True):
            total += value.sum(0)
        counts[name] += len(values[0])

    handles = [
        module.register_forward_hook(lambda _, __, values, name=name: add(name, values))
        for name, module in predictors.items()
    ]
    try:
        with resting(model):
            for inputs in pictures:
                called(model, inputs)
    finally:
        for handle in handles:
            handle.remove()
    if not sums:
        raise InvalidArgumentError("pictures", "there is no picture to average over; give at least one")
    return {name: tuple(total / counts[name] for total in totals) for name, totals in sums.items()}


def plain(convolution: DynamicConv2d, coefficients: Tensor) -> nn.Conv2d:
    """The plain convolution that a dynamic one is with the coefficients (out_channels, bank)."""
    result = nn.Conv2d(
        convolution.in_channels,
        convolution.out_channels,
        convolution.kernel_size,
        stride=convolution.stride,
        padding=convolution.padding,
        dilation=convolution.dilation,
        groups=convolution.groups,
        bias=convolution.bias is not None,
        padding_mode=convolution.padding_mode,
    ).to(convolution.weight)
    with torch.no_grad():
        result.weight.copy_(convolution.kernels(coefficients[None])[0])
        if convolution.bias is not None and result.bias is not None:
            result.bias.copy_(convolution.bias)
    return result.train(convolution.training)


class BlockConvolution(DynamicConv2d):
    """A dynamic convolution in a block whose code knows nothing of coefficients: they are handed to it before
    the block runs, and taken back after."""

    given: Tensor | None = None

    def forward(self, x: Tensor, coefficients: Tensor | None = None) -> Tensor:
        """Convolves each picture of (N, in_channels, H, W) with its own kernels."""
        coefficients = self.given if coefficients is None else coefficients
        if coefficients is None:
            raise RuntimeError(f"{self} runs outside of its block, which gets its coefficients; see `keep`")
        return super().forward(x, coefficients)


class BlockCoefficients(Coefficients):
    """Coefficients for a block that hands them to its convolutions.

    Attributes:
        convolutions: names of the convolutions within the block.
        handles: of the hooks that hand out and take back.
    """

    convolutions: tuple[str, ...]
    handles: list[RemovableHandle]


def _convert(block: nn.Module, plan: Plan, bank: int, squeeze: int | None) -> None:
    statics = {path: block.get_submodule(path) for path in plan.convolutions}
    dynamics = {path: _dynamic(static, bank) for path, static in statics.items()}
    for path, dynamic in dynamics.items():
        block.set_submodule(path, dynamic)
    outputs = [dynamic.out_channels for dynamic in dynamics.values()]
    hidden = None if squeeze is None else max(1, plan.channels // squeeze)
    made = BlockCoefficients(plan.channels, outputs, bank=bank, hidden=hidden)
    made.to(next(iter(dynamics.values())).weight)
    made.convolutions = plan.convolutions
    made.handles = [
        block.register_forward_pre_hook(_hand_out, with_kwargs=True),
        block.register_forward_hook(_take_back, always_call=True),
    ]
    block.add_module(MODULE, made.train(block.training))


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


# Neither hook knows its block but from its argument: so a copied network's hooks are its own.
def _hand_out(block: nn.Module, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
    made = block.get_submodule(MODULE)
    assert isinstance(made, BlockCoefficients)
    values = made(args[0] if args else next(iter(kwargs.values())))
    for path, coefficients in zip(made.convolutions, values, strict=True):
        block.get_submodule(path).given = coefficients  # type: ignore[assignment]


def _take_back(block: nn.Module, args: tuple[Any, ...], output: Any) -> None:
    made = block.get_submodule(MODULE)
    assert isinstance(made, BlockCoefficients)
    for path in made.convolutions:
        block.get_submodule(path).given = None

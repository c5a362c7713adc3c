"""Plain convolutions in place of dynamic ones, with coefficients averaged over pictures."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping, Sequence

import torch
from autoisp_core.errors import InvalidArgumentError
from torch import Tensor, nn

from autoisp_isp.dynamic.convolution import DynamicConv2d
from autoisp_isp.dynamic.handing import BlockCoefficients, release
from autoisp_isp.dynamic.survey import Inputs, called, resting


def freeze(model: nn.Module, pictures: Iterable[Inputs]) -> nn.Module:
    """A copy of a dynamized network with plain convolutions, mixed by the mean of the coefficients.

    For accelerators that refuse kernels that are made at run time. What that loses is to be measured.

    Args:
        model: what :func:`~autoisp_isp.dynamic.dynamize.dynamize` gave, trained; it stays as it is.
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
        release(block)
    return result


def mean_coefficients(
    model: nn.Module, predictors: Mapping[str, nn.Module], pictures: Iterable[Inputs]
) -> dict[str, tuple[Tensor, ...]]:
    """What each predictor of a network gives in the mean over pictures: (outputs[j], bank) for convolution j.

    Args:
        model: is run in evaluation mode, and left in the mode it is in.
        predictors: those of its modules that are
            :class:`~autoisp_isp.dynamic.coefficients.Coefficients`, by name.
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

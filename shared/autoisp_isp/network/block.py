"""One block of a spec as a torch module."""

from __future__ import annotations

import torch
from autoisp_core.spec import BANK, Layer, LayerType, Spec, groups_of, loose_ends
from torch import Tensor, nn

from autoisp_isp.dynamic.coefficients import Coefficients
from autoisp_isp.dynamic.convolution import DynamicConv2d

FUSE = "fuse"
"""Name of the 1×1 convolution that joins several loose ends."""
COEFFICIENTS = "coefficients"
"""Name of what predicts the coefficients of all the block's dynamic convolutions, if it has any."""


def layer_name(layer: Layer) -> str:
    """Name of a layer's convolution among the block's parameters."""
    return f"layer{layer.index}"


def has_activation(layer: Layer, ends: tuple[int, ...]) -> bool:
    """Whether ReLU follows the layer at once.

    The only loose end stays linear, so that the block can subtract from what it gets; the ReLU after the
    residual sum comes behind it, which ONNX Runtime fuses with the convolution and the sum.
    """
    return layer.type in _ACTIVATED and ends != (layer.index,)


_ACTIVATED = frozenset(
    {LayerType.CONV, LayerType.CONCAT, LayerType.COARSE, LayerType.GROUPED, LayerType.DYNAMIC}
)


def dynamic_layers(spec: Spec) -> tuple[Layer, ...]:
    """The layers of a block whose kernels are made from the frame, in the order of their coefficients."""
    return tuple(layer for layer in spec.block if layer.type == LayerType.DYNAMIC)


class Block(nn.Module):
    """relu(x + f(x)) on features (N, width, H, W), f being the spec's layers and their joined ends."""

    def __init__(self, spec: Spec) -> None:
        super().__init__()
        self._layers = spec.block[:-1]
        self._ends = loose_ends(spec.block)
        for layer in self._layers:
            convolution = _convolution(layer, spec.width)
            if convolution is not None:
                self.add_module(layer_name(layer), convolution)
        if len(self._ends) > 1:
            self.add_module(FUSE, nn.Conv2d(len(self._ends) * spec.width, spec.width, 1))
        self._dynamic = dynamic_layers(spec)
        if self._dynamic:
            self.add_module(
                COEFFICIENTS, Coefficients(spec.width, [spec.width] * len(self._dynamic), bank=BANK)
            )
        self._start_near_identity()

    def forward(self, x: Tensor) -> Tensor:
        """Features (N, width, H, W) to features of the same shape; even H and W where a layer is coarse."""
        values, coefficients = {0: x}, self._coefficients(x)
        for layer in self._layers:
            inputs = [values[pred] for pred in layer.predecessors]
            if layer.index in coefficients:
                inputs.append(coefficients[layer.index])
            values[layer.index] = self._evaluate(layer, inputs)
        ends = [values[index] for index in self._ends]
        joined = ends[0] if len(ends) == 1 else self._convolve(FUSE, torch.cat(ends, 1))
        return (x + joined).relu()

    def _coefficients(self, x: Tensor) -> dict[int, Tensor]:
        """Of each dynamic layer, by its index."""
        if not self._dynamic:
            return {}
        made = self.get_submodule(COEFFICIENTS)(x)
        return {layer.index: values for layer, values in zip(self._dynamic, made, strict=True)}

    def _evaluate(self, layer: Layer, inputs: list[Tensor]) -> Tensor:
        first, kernel = inputs[0], layer.kernel
        match layer.type:
            case LayerType.CONV | LayerType.DEPTHWISE | LayerType.GROUPED:
                result = self._convolve(layer_name(layer), first)
            case LayerType.DYNAMIC:
                result = self._convolve(layer_name(layer), *inputs)
            case LayerType.CONCAT:
                result = self._convolve(layer_name(layer), torch.cat(inputs, 1))
            case LayerType.COARSE:
                result = self._convolve(layer_name(layer), nn.functional.avg_pool2d(first, 2))
                result = nn.functional.interpolate(result, scale_factor=2.0, mode="nearest")
            case LayerType.MAX_POOL:
                result = nn.functional.max_pool2d(first, kernel, 1, kernel // 2)
            case LayerType.AVG_POOL:
                result = nn.functional.avg_pool2d(first, kernel, 1, kernel // 2, count_include_pad=False)
            case LayerType.ADD:
                result = first + inputs[1]
            case LayerType.GATE:
                result = first * inputs[1].sigmoid()
            case _:
                result = first
        return result.relu() if has_activation(layer, self._ends) else result

    def _convolve(self, name: str, *inputs: Tensor) -> Tensor:
        result: Tensor = self.get_submodule(name)(*inputs)
        return result

    def _start_near_identity(self) -> None:
        """Zeroes the last convolution, if the block ends in one: training starts from what the stem gives."""
        last = FUSE if len(self._ends) > 1 else layer_name(self._layers[self._ends[0] - 1])
        convolution = getattr(self, last, None)
        if isinstance(convolution, nn.Conv2d):
            nn.init.zeros_(convolution.weight)
        elif isinstance(convolution, DynamicConv2d):
            width = convolution.out_channels
            convolution.start_from(torch.zeros(width, width, *convolution.kernel_size))
        else:
            return
        if convolution.bias is not None:
            nn.init.zeros_(convolution.bias)


def _convolution(layer: Layer, width: int) -> nn.Conv2d | DynamicConv2d | None:
    match layer.type:
        case LayerType.CONV | LayerType.COARSE:
            return nn.Conv2d(width, width, layer.kernel, padding=layer.kernel // 2)
        case LayerType.DYNAMIC:
            return DynamicConv2d(
                width, width, layer.kernel, padding=layer.kernel // 2, bank=BANK, train_by="kernels"
            )
        case LayerType.DEPTHWISE:
            return nn.Conv2d(width, width, layer.kernel, padding=layer.kernel // 2, groups=width)
        case LayerType.GROUPED:
            return nn.Conv2d(width, width, layer.kernel, padding=layer.kernel // 2, groups=groups_of(width))
        case LayerType.CONCAT:
            return nn.Conv2d(2 * width, width, 1)
        case _:
            return None

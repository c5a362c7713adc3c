"""Dynamic convolutions in the exported graph: kernels are mixed at run time, once per frame.

The twin of :class:`~autoisp_isp.dynamic.convolution.DynamicConv2d` in evaluation mode. ONNX has no
convolution that gives each picture of a batch its own kernels, so such a graph takes one frame at a time
(N = 1). The mixed kernels leave the matrix product as single columns: nothing that looks like a feature map
(:mod:`autoisp_isp.cost_traffic`).
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
from autoisp_core.spec import Layer, Spec
from torch import Tensor, nn

from autoisp_isp.dynamic.coefficients import Coefficients
from autoisp_isp.dynamic.convolution import DynamicConv2d
from autoisp_isp.export_graph import Dimensions, GraphWriter
from autoisp_isp.network.block import COEFFICIENTS, Block, dynamic_layers


class CoefficientSource:
    """Where a block's kernels take their coefficients from: as in the paper, from the very frame.

    Attributes:
        inputs, outputs: what the graph gets for it, dimensions by name.
    """

    def __init__(self) -> None:
        self.inputs: Dimensions = {}
        self.outputs: Dimensions = {}

    def take(self, graph: GraphWriter, fresh: str, block: int) -> str:
        """The coefficients (1, C) to use in a block.

        Args:
            graph: where nodes go.
            fresh: those that this frame gives, (1, C).
            block: its place in the network.
        """
        return fresh


def coefficients(
    graph: GraphWriter, spec: Spec, block: Block, index: int, x: str, source: CoefficientSource
) -> dict[int, str]:
    """η of the dynamic layers of a block, (1, width · bank) each, by the layers' indices."""
    layers = dynamic_layers(spec)
    if not layers:
        return {}
    module = block.get_submodule(COEFFICIENTS)
    assert isinstance(module, Coefficients)
    mean = graph.node("Flatten", [graph.node("GlobalAveragePool", [x])])
    name = f"blocks.{index}.{COEFFICIENTS}.mix"
    weight = graph.tensor(f"{name}.weight", module.mix.weight.detach().cpu().numpy())
    bias = graph.tensor(f"{name}.bias", module.mix.bias.detach().cpu().numpy())
    fresh = graph.node("Sigmoid", [graph.node("Gemm", [mean, weight, bias], transB=1)])
    used = source.take(graph, fresh, index)
    parts = [used] if len(layers) == 1 else _split(graph, used, layers)
    return {layer.index: part for layer, part in zip(layers, parts, strict=True)}


def dynamic_convolution(graph: GraphWriter, module: nn.Module, inputs: Sequence[str], name: str) -> str:
    """A convolution of the first input with kernels mixed by the second, which is (1, width · bank)."""
    assert isinstance(module, DynamicConv2d)
    assert module.bias is not None
    x, eta = inputs
    banks = graph.tensor(f"{name}.weight", _columns(module.weight.detach().cpu(), module.bank).numpy())
    columns = graph.node("Reshape", [eta, graph.integers(module.out_channels, module.bank, 1)])
    mixed = graph.node("MatMul", [banks, columns])
    kernels = graph.node("Reshape", [mixed, graph.integers(module.out_channels, *module.weight.shape[1:])])
    bias = graph.tensor(f"{name}.bias", module.bias.detach().cpu().numpy())
    pads = [side // 2 for side in module.kernel_size] * 2
    return graph.node("Conv", [x, kernels, bias], kernel_shape=list(module.kernel_size), pads=pads)


def banks_of(columns: Tensor, shape: Sequence[int]) -> Tensor:
    """The weight of a dynamic convolution, of the given shape, from how graphs hold it."""
    return columns.transpose(1, 2).reshape(*shape)


def _columns(weight: Tensor, bank: int) -> Tensor:
    """(out · bank, in, height, width) to (out, in · height · width, bank): what a product mixes."""
    return torch.unflatten(weight, 0, (-1, bank)).flatten(2).transpose(1, 2)


def one_frame(values: Dimensions) -> Dimensions:
    """The dimensions of inputs or outputs for a graph that takes one frame at a time."""
    return {name: [1, *dimensions[1:]] for name, dimensions in values.items()}


def _split(graph: GraphWriter, values: str, layers: Sequence[Layer]) -> list[str]:
    return graph.nodes("Split", [values], len(layers), axis=1, num_outputs=len(layers))

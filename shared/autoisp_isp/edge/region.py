"""Which nodes of a graph are the learned network, and which the fixed maths around it."""

from __future__ import annotations

from collections.abc import Iterable

import onnx

from autoisp_isp.cost_graph import computed_kernels, kernel_makers

WEIGHTED = frozenset({"Conv", "ConvTranspose", "Gemm", "MatMul"})
_BETWEEN = frozenset(
    {"Abs", "Add", "AveragePool", "Clip", "Concat", "LeakyRelu", "MaxPool", "Mul", "Pad", "Relu", "Resize"}
    | {"Sigmoid", "Split", "Sub"}
)
"""Operators that accelerators have in 8 bits, where they stand between convolutions."""
_FIXED_WEIGHTS = "demosaic."
"""Prefix of the weights that no training touches: the bilinear demosaicing of a residual network."""


def learned_nodes(model: onnx.ModelProto) -> tuple[int, ...]:
    """Places of the learned convolutions and of what stands between them, in the graph's order.

    What comes before the first and after the last learned convolution is fixed maths: gains, the square root
    that evens out noise, the colour matrix, the tone curve. Convolutions with kernels made at run time, and
    what makes the kernels, are left out too.
    """
    nodes = model.graph.node
    convolutions = _learned_convolutions(model)
    behind = _reached(nodes, convolutions, forwards=True)
    before = _reached(nodes, convolutions, forwards=False)
    making = kernel_makers(model)
    between = {
        place
        for place in behind & before
        if nodes[place].op_type in _BETWEEN and place not in making and place not in convolutions
    }
    return tuple(sorted(convolutions | between))


def learned_weights(model: onnx.ModelProto) -> tuple[int, ...]:
    """Places of the learned convolutions alone."""
    return tuple(sorted(_learned_convolutions(model)))


def _learned_convolutions(model: onnx.ModelProto) -> set[int]:
    constants = {
        tensor.name
        for tensor in model.graph.initializer
        if tensor.data_type == onnx.TensorProto.FLOAT and len(tensor.dims) >= 2
    }
    left_out, mixed = kernel_makers(model), set(computed_kernels(model))
    return {
        place
        for place, node in enumerate(model.graph.node)
        if node.op_type in WEIGHTED
        and place not in left_out
        and node.name not in mixed
        and node.input[1] in constants
        and not node.input[1].startswith(_FIXED_WEIGHTS)
    }


def _reached(nodes: Iterable[onnx.NodeProto], start: set[int], *, forwards: bool) -> set[int]:
    """Places of the nodes behind (or before) some others."""
    order = list(enumerate(nodes))
    found: set[int] = set()
    values: set[str] = set()
    for place, node in order if forwards else reversed(order):
        near, far = (node.input, node.output) if forwards else (node.output, node.input)
        if values.intersection(near):
            found.add(place)
        if place in found or place in start:
            values.update(name for name in far if name)
    return found

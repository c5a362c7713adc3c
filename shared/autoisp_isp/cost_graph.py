"""Multiply-accumulates of any ONNX graph, whatever it is for: of pictures of the size that it is given."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import onnx
import onnx.inliner
from autoisp_core.errors import InvalidArgumentError

from autoisp_isp.contract import parse_onnx
from autoisp_isp.cost_operators import check_countable, multiply_accumulates
from autoisp_isp.cost_shapes import extents

_CONVOLUTIONS = frozenset({"Conv", "ConvInteger", "ConvTranspose"})
_MEANS = frozenset({"GlobalAveragePool", "ReduceMean"})
"""What ends the way back from a kernel: before it lies the network itself."""


@dataclass(frozen=True, slots=True)
class GraphMacs:
    """Multiply-accumulates of one run.

    Attributes:
        network: of everything that works on the picture.
        kernels: of predicting coefficients and mixing kernels, where a graph makes its kernels at run time.
    """

    network: int
    kernels: int

    @property
    def total(self) -> int:
        """All of them."""
        return self.network + self.kernels


def count_macs(
    model: bytes, sizes: Mapping[str, Sequence[int]] | None = None, *, field: str = "model"
) -> GraphMacs:
    """Counts all multiply-accumulates of a graph by running it once, unoptimised, on zeros.

    The rules for operators are those of :func:`autoisp_isp.cost.count_cost`, which counts per pixel and wants
    the model contract; this takes any graph with float32 inputs.

    Args:
        model: serialised ONNX.
        sizes: dimensions of the inputs; those not named must be fixed in the graph.
        field: name of the argument that errors speak of.

    Raises:
        InvalidArgumentError: no valid ONNX, an input without a fixed size, an operator whose arithmetic isn't
            countable, or a graph that doesn't run.
    """
    parsed = onnx.inliner.inline_local_functions(parse_onnx(model, field=field))
    check_countable(parsed.graph.node, field=field, fix="replace it by operators that can")
    constants = {initializer.name for initializer in parsed.graph.initializer}
    inputs = {
        value.name: np.zeros(_size(value, sizes or {}, field), np.float32)
        for value in parsed.graph.input
        if value.name not in constants
    }
    shapes = extents(parsed, inputs, field=field)
    making = kernel_makers(parsed)
    counts = {True: 0, False: 0}
    for index, node in enumerate(parsed.graph.node):
        counts[index in making] += multiply_accumulates(node, shapes)
    return GraphMacs(network=counts[False], kernels=counts[True])


def computed_kernels(model: onnx.ModelProto) -> tuple[str, ...]:
    """Names of the convolutions whose kernels are made at run time, which many accelerators refuse."""
    makers = _makers(model)
    return tuple(
        node.name for node in model.graph.node if node.op_type in _CONVOLUTIONS and node.input[1] in makers
    )


def kernel_makers(model: onnx.ModelProto) -> frozenset[int]:
    """Places of the nodes that make kernels: back from each kernel to the mean that it is made from."""
    makers, found = _makers(model), set[int]()
    waiting = [node.input[1] for node in model.graph.node if node.op_type in _CONVOLUTIONS]
    while waiting:
        index = makers.get(waiting.pop())
        if index is None or index in found:
            continue
        node = model.graph.node[index]
        if node.op_type not in _CONVOLUTIONS | _MEANS:
            found.add(index)
            waiting.extend(node.input)
    return frozenset(found)


def _makers(model: onnx.ModelProto) -> dict[str, int]:
    """Place of the node that makes a value, by the value's name; constants have none."""
    return {
        name: index
        for index, node in enumerate(model.graph.node)
        if node.op_type != "Constant"
        for name in node.output
    }


def _size(value: onnx.ValueInfoProto, sizes: Mapping[str, Sequence[int]], field: str) -> tuple[int, ...]:
    if value.name in sizes:
        return tuple(sizes[value.name])
    size = tuple(int(dim.dim_value) for dim in value.type.tensor_type.shape.dim)
    if 0 in size:
        raise InvalidArgumentError(
            field, f"input {value.name!r} has no fixed size {size}; give it in 'sizes'"
        )
    return size

"""What a graph of known shapes costs per output pixel, counted without running it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from math import prod

import onnx
from autoisp_core.lint import Tensor

from autoisp_isp.cost_operators import multiply_accumulates
from autoisp_isp.cost_shapes import Extent
from autoisp_isp.cost_traffic import is_map, written_bytes
from autoisp_isp.lint.quantisers import operator_of
from autoisp_isp.states import is_state

_FLOAT32_BYTES = 4
_QUANTISERS = frozenset({"QuantizeLinear", "DequantizeLinear"})


@dataclass(frozen=True, slots=True)
class PixelCounts:
    """Cost per output pixel as :class:`autoisp_isp.cost.OnnxCost` counts it, feature maps as float32."""

    macs_per_pixel: float
    bytes_per_pixel: float
    fusible_bytes_per_pixel: float
    state_bytes_per_pixel: float


def pixel_cost(
    graph: onnx.GraphProto, tensors: Mapping[str, Tensor], inputs: Collection[str]
) -> PixelCounts | None:
    """Counts a graph; None if it makes no picture `srgb`, or a size in it is unknown.

    Operators that nobody can count are left out: then it is the least that it can be.

    Args:
        graph: with every size bound.
        tensors: its values by name.
        inputs: names of what it is given.
    """
    nodes = list(_working(graph.node, tensors))
    picture = tensors.get("srgb")
    names = {name for node in nodes for name in (*node.input, *node.output) if name}
    shapes = {name: tensors[name].shape for name in names if name in tensors}
    if picture is None or not picture.shape or len(shapes) < len(names) or None in shapes.values():
        return None
    values = {
        name: Extent(shape, 0 if tensors[name].constant else Extent(shape, 0).size * _FLOAT32_BYTES)
        for name, shape in shapes.items()
        if shape is not None
    }
    area = prod(picture.shape[-2:])
    try:
        macs = sum(multiply_accumulates(node, values) for node in nodes)
        written, fusible = written_bytes(nodes, values, inputs)
    except (LookupError, ValueError, StopIteration):  # shapes that the operator doesn't take
        return None
    if area <= 0:
        return None
    return PixelCounts(
        macs_per_pixel=macs / area,
        bytes_per_pixel=written / area,
        fusible_bytes_per_pixel=fusible / area,
        state_bytes_per_pixel=_state_bytes(graph, tensors) / area,
    )


def _state_bytes(graph: onnx.GraphProto, tensors: Mapping[str, Tensor]) -> int:
    shapes = [tensors[output.name].shape for output in graph.output if is_state(output.name)]
    states = [Extent(shape, prod(shape) * _FLOAT32_BYTES) for shape in shapes if shape is not None]
    return sum(state.nbytes for state in states if is_map(state))


def _working(nodes: Iterable[onnx.NodeProto], tensors: Mapping[str, Tensor]) -> Iterable[onnx.NodeProto]:
    """The nodes that do the work: who reads what was brought into another type reads the value itself."""
    sources: dict[str, str] = {}
    for node in nodes:
        if _is_seam(node, tensors):
            sources[node.output[0]] = sources.get(node.input[0], node.input[0])
            continue
        if any(name in sources for name in node.input):
            copy = onnx.NodeProto()
            copy.CopyFrom(node)
            copy.input[:] = [sources.get(name, name) for name in node.input]
            yield copy
        else:
            yield node


def _is_seam(node: onnx.NodeProto, tensors: Mapping[str, Tensor]) -> bool:
    if operator_of(node) == "Cast":
        return all(name in tensors and "float" in tensors[name].dtype for name in (*node.input, *node.output))
    return operator_of(node) in _QUANTISERS

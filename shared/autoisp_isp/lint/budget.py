"""What a graph of known shapes costs per output pixel, counted without running it."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

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

    Args:
        graph: with every size bound.
        tensors: its values by name.
        inputs: names of what it is given.
    """
    nodes = list(_unquantised(graph.node))
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
    area = picture.shape[-1] * picture.shape[-2]
    written, fusible = written_bytes(nodes, values, inputs)
    return PixelCounts(
        macs_per_pixel=_macs(nodes, values) / area,
        bytes_per_pixel=written / area,
        fusible_bytes_per_pixel=fusible / area,
        state_bytes_per_pixel=_state_bytes(graph, values) / area,
    )


def _macs(nodes: Sequence[onnx.NodeProto], values: Mapping[str, Extent]) -> int:
    """Operators that nobody can count are left out: the sum is the least that it can be."""
    return sum(multiply_accumulates(node, values) for node in nodes)


def _state_bytes(graph: onnx.GraphProto, values: Mapping[str, Extent]) -> int:
    states = (values.get(output.name) for output in graph.output if is_state(output.name))
    return sum(state.nbytes for state in states if state is not None and is_map(state))


def _unquantised(nodes: Iterable[onnx.NodeProto]) -> Iterable[onnx.NodeProto]:
    """The nodes that do the work: who reads what was quantised reads the value itself."""
    sources: dict[str, str] = {}
    for node in nodes:
        if operator_of(node) in _QUANTISERS:
            sources[node.output[0]] = sources.get(node.input[0], node.input[0])
            continue
        if any(name in sources for name in node.input):
            copy = onnx.NodeProto()
            copy.CopyFrom(node)
            copy.input[:] = [sources.get(name, name) for name in node.input]
            yield copy
        else:
            yield node

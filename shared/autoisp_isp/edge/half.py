"""Half precision: weights and feature maps in float16, what is told of a frame in float32.

ONNX Runtime's own converter casts back to half between any two nodes that it is told to leave alone, which
rounds the noise's variance (1e-6 and less) to nothing. And on CPUs ONNX Runtime computes half graphs in
single precision, without rounding anything in between: what it says of such a graph's quality is too good.
So this writes two graphs: the one that ships, and its twin in single precision that rounds every value where
the device would, for measuring.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from onnx import TensorProto, helper, numpy_helper

from autoisp_isp.contract import check_contract
from autoisp_isp.cost import grey_inputs
from autoisp_isp.cost_shapes import extents
from autoisp_isp.cost_traffic import is_map

_HALF, _ROUNDED, _EXACT = ".half", ".rounded", ".exact"
_SIZE = (64, 64)
_SETTINGS = {"Pad": (1, 3), "Reshape": (1,), "Resize": (1, 2, 3), "Slice": (1, 2, 3, 4), "Unsqueeze": (1,)}
"""Inputs that stay what they are: sizes, places, and a resize's factors."""


_OWN_KIND = frozenset({"Cast", "Constant", "ConstantOfShape", "Shape"})
"""Operators that say themselves of which type their results are."""


def map_nodes(model: onnx.ModelProto) -> tuple[int, ...]:
    """Places of the nodes that make feature maps; the others work on what is told of a frame."""
    contract = check_contract(model)
    shapes = extents(model, grey_inputs(contract, *_SIZE), field="model")
    kinds = _kinds(model)
    return tuple(
        place
        for place, node in enumerate(model.graph.node)
        if node.op_type not in _OWN_KIND
        and all(kinds.get(name) == TensorProto.FLOAT for name in node.output if name)
        and any(is_map(shapes[name]) for name in node.output if name)
    )


def halved(model: onnx.ModelProto, places: Collection[int]) -> onnx.ModelProto:
    """The graph with some of its nodes in half precision; inputs and outputs stay float32."""
    return _Halving(model, places).written()


def rounding_twin(model: onnx.ModelProto, places: Collection[int]) -> onnx.ModelProto:
    """A float32 graph that rounds to half what those nodes take and make."""
    twin = onnx.ModelProto()
    twin.CopyFrom(model)
    del twin.graph.node[:]
    nodes, kinds = twin.graph.node, _kinds(model)
    constants = {tensor.name: tensor for tensor in model.graph.initializer}
    rounded: dict[str, str] = {}

    def round_to_half(name: str, result: str) -> str:
        half = result + _HALF
        nodes.append(helper.make_node("Cast", [name], [half], name=f"cast.{half}", to=TensorProto.FLOAT16))
        nodes.append(helper.make_node("Cast", [half], [result], name=f"cast.{result}", to=TensorProto.FLOAT))
        return result

    for place, node in enumerate(model.graph.node):
        copy = onnx.NodeProto()
        copy.CopyFrom(node)
        if place in places:
            for index, name in _real_inputs(node, kinds):
                if name not in rounded and name in constants:
                    values = numpy_helper.to_array(constants[name]).astype(np.float16).astype(np.float32)
                    rounded[name] = _add_constant(twin, values, name + _ROUNDED)
                elif name not in rounded:
                    rounded[name] = round_to_half(name, name + _ROUNDED)
                copy.input[index] = rounded[name]
            copy.output[:] = [name and name + _EXACT for name in node.output]
        nodes.append(copy)
        for name in node.output if place in places else ():
            if name:
                rounded[name] = round_to_half(name + _EXACT, name)
    _drop_unused(twin)
    return twin


class _Halving:
    def __init__(self, model: onnx.ModelProto, places: Collection[int]) -> None:
        self._model, self._places = model, places
        self._result = onnx.ModelProto()
        self._result.CopyFrom(model)
        del self._result.graph.node[:], self._result.graph.value_info[:]
        self._constants = {tensor.name: tensor for tensor in model.graph.initializer}
        self._kinds = _kinds(model)
        self._names: dict[tuple[str, bool], str] = {}
        """Name of a value in half (True) or single precision, where it has another than in the graph."""
        self._halves: set[str] = set()
        """Values that nodes make in half precision."""

    def written(self) -> onnx.ModelProto:
        outputs = {value.name for value in self._model.graph.output}
        for place, node in enumerate(self._model.graph.node):
            half = place in self._places
            copy = onnx.NodeProto()
            copy.CopyFrom(node)
            for index, name in _real_inputs(node, self._kinds):
                copy.input[index] = self._value(name, half)
            for index, name in enumerate(node.output):
                if name and half:
                    copy.output[index] = name + _HALF
                    self._names[name, True] = name + _HALF
                    self._halves.add(name)
            self._result.graph.node.append(copy)
            for name in outputs.intersection(node.output):
                self._value(name, False)
        _drop_unused(self._result)
        return self._result

    def _value(self, name: str, half: bool) -> str:
        """The value in that precision, cast where it only exists in the other."""
        if (name, half) in self._names:
            return self._names[name, half]
        if not half and name not in self._halves:
            return name
        if half and name in self._constants:
            values = numpy_helper.to_array(self._constants[name]).astype(np.float16)
            result = _add_constant(self._result, values, name + _HALF)
        else:
            result = name + _HALF if half else name
            source = name if half else name + _HALF
            kind = TensorProto.FLOAT16 if half else TensorProto.FLOAT
            self._result.graph.node.append(
                helper.make_node("Cast", [source], [result], name=f"cast.{result}", to=kind)
            )
        self._names[name, half] = result
        return result


def _kinds(model: onnx.ModelProto) -> dict[str, int]:
    """The element type of every value."""
    inferred = onnx.shape_inference.infer_shapes(model)
    graph = inferred.graph
    kinds = {
        value.name: value.type.tensor_type.elem_type
        for value in [*graph.input, *graph.value_info, *graph.output]
    }
    return kinds | {tensor.name: tensor.data_type for tensor in graph.initializer}


def _real_inputs(node: onnx.NodeProto, kinds: Mapping[str, int]) -> list[tuple[int, str]]:
    """Place and name of the inputs that have a precision to choose."""
    fixed = _SETTINGS.get(node.op_type, ())
    return [
        (index, name)
        for index, name in enumerate(node.input)
        if name and index not in fixed and kinds.get(name) == TensorProto.FLOAT
    ]


def _add_constant(model: onnx.ModelProto, values: npt.NDArray[Any], name: str) -> str:
    model.graph.initializer.append(numpy_helper.from_array(values, name))
    return name


def _drop_unused(model: onnx.ModelProto) -> None:
    used = {name for node in model.graph.node for name in node.input}
    kept = [tensor for tensor in model.graph.initializer if tensor.name in used]
    del model.graph.initializer[:], model.graph.value_info[:]
    model.graph.initializer.extend(kept)

"""A graph at one picture size: every open dimension bound, and what follows from sizes alone computed."""

from __future__ import annotations

import re
from collections.abc import Mapping
from math import prod
from typing import Any

import numpy as np
import onnx
from autoisp_core.errors import InvalidArgumentError
from onnx import numpy_helper
from onnx.reference import ReferenceEvaluator

HEIGHT, WIDTH = 2160, 3840
"""Of the output picture."""

_DIVIDED = re.compile(r"([hw])/([1-9][0-9]{0,3})")
_PASSES = 20
_MOST_VALUES = 64
"""Of a tensor that counts as arithmetic on sizes."""
_MOST_NODES = 5000
"""That are computed here; each takes less than a millisecond."""
_ARITHMETIC = frozenset(
    {"Add", "Cast", "Ceil", "Concat", "ConstantOfShape", "Div", "Equal", "Floor", "Gather", "Identity", "Max"}
    | {"Min", "Mod", "Mul", "Neg", "Reshape", "Slice", "Split", "Squeeze", "Sub", "Unsqueeze", "Where"}
)
"""Operators that graphs compute sizes with."""


def bind(model: onnx.ModelProto) -> tuple[str, ...]:
    """Gives every input a fixed size, in place; returns the names of those that had none.

    The contract's names of dimensions say what they are. Of other graphs, the last two of three or more
    dimensions are taken as raw height and width, and all else as 1.
    """
    stored = {tensor.name for tensor in model.graph.initializer}
    free = []
    for value in model.graph.input:
        dimensions = value.type.tensor_type.shape.dim
        open_ones = [place for place, dim in enumerate(dimensions) if not dim.HasField("dim_value")]
        if value.name in stored or not open_ones:
            continue
        free.append(value.name)
        for place in open_ones:
            spatial = place - len(dimensions) if len(dimensions) > 2 else 0
            dimensions[place].dim_value = _size(dimensions[place].dim_param, spatial)
    for value in model.graph.output:
        value.type.tensor_type.ClearField("shape")
    del model.graph.value_info[:]
    return tuple(free)


def _size(name: str, place: int) -> int:
    sizes = {"h": HEIGHT // 2, "w": WIDTH // 2}
    if found := _DIVIDED.fullmatch(name):
        return -(-sizes[found[1]] // int(found[2]))
    return sizes.get(name) or {-2: sizes["h"], -1: sizes["w"]}.get(place, 1)


def fold(model: onnx.ModelProto, field: str) -> onnx.ModelProto:
    """The graph with shapes, and without the nodes that compute with nothing but sizes.

    Raises:
        InvalidArgumentError: sizes that contradict each other.
    """
    for _ in range(_PASSES):
        try:
            model = onnx.shape_inference.infer_shapes(model)
        except Exception as error:  # onnx raises its own and the standard library's
            reason = " ".join(str(error).split())[:200]
            raise InvalidArgumentError(
                field, f"the sizes of the model don't fit together: {reason}"
            ) from error
        if not _fold_once(model):
            break
    return model


def _fold_once(model: onnx.ModelProto) -> bool:
    """Replaces what can be computed by stored tensors, in place; whether there was any."""
    shapes = {
        value.name: value.type.tensor_type.shape
        for value in (*model.graph.input, *model.graph.value_info, *model.graph.output)
        if value.type.tensor_type.HasField("shape")
    }
    wanted = {value.name for value in model.graph.output}
    known = {tensor.name: tensor for tensor in model.graph.initializer if _is_small(tensor)}
    opset = opset_of(model)
    kept: list[onnx.NodeProto] = []
    made: list[onnx.TensorProto] = []
    for node in model.graph.node:
        values = _values(node, shapes, known, opset) if len(made) < _MOST_NODES else None
        if values is None or wanted.intersection(node.output):
            kept.append(node)
        else:
            made += values
            known |= {tensor.name: tensor for tensor in values if _is_small(tensor)}
    if not made:
        return False
    del model.graph.node[:]
    model.graph.node.extend(kept)
    model.graph.initializer.extend(made)
    return True


def opset_of(model: onnx.ModelProto) -> int:
    """The version of ONNX's own operators."""
    return max((entry.version for entry in model.opset_import if entry.domain in ("", "ai.onnx")), default=0)


def _is_small(tensor: onnx.TensorProto) -> bool:
    return 0 <= prod(tensor.dims) <= _MOST_VALUES


def _values(
    node: onnx.NodeProto,
    shapes: Mapping[str, onnx.TensorShapeProto],
    known: Mapping[str, onnx.TensorProto],
    opset: int,
) -> list[onnx.TensorProto] | None:
    """What the node makes, if that follows from sizes."""
    if node.domain not in ("", "ai.onnx") or node.doc_string:
        return None
    if node.op_type == "Constant":
        return _stored(node) or _computed(node, {}, opset)
    if node.op_type == "Shape":
        dimensions = shapes.get(node.input[0])
        if dimensions is None or not all(dim.HasField("dim_value") for dim in dimensions.dim):
            return None
        bounds = {attribute.name: attribute.i for attribute in node.attribute}
        sizes = [dim.dim_value for dim in dimensions.dim][bounds.get("start", 0) : bounds.get("end")]
        return [numpy_helper.from_array(np.array(sizes, np.int64), node.output[0])]
    names = [name for name in node.input if name]
    if node.op_type not in _ARITHMETIC or not names or not all(name in known for name in names):
        return None
    return _computed(node, {name: numpy_helper.to_array(known[name]) for name in names}, opset)


def _stored(node: onnx.NodeProto) -> list[onnx.TensorProto]:
    """The tensor of a constant, under the name that it has in the graph."""
    copies = []
    for attribute in node.attribute:
        if attribute.name == "value":
            copies.append(onnx.TensorProto())
            copies[0].CopyFrom(attribute.t)
            copies[0].name = node.output[0]
    return copies


def _computed(node: onnx.NodeProto, given: Mapping[str, Any], opset: int) -> list[onnx.TensorProto] | None:
    if node.op_type == "ConstantOfShape" and prod(map(int, *given.values())) > _MOST_VALUES:
        return None
    outputs = [onnx.ValueInfoProto(name=name) for name in node.output if name]
    inputs = [onnx.ValueInfoProto(name=name) for name in given]
    graph = onnx.helper.make_graph([node], "sizes", inputs, outputs)
    model = onnx.helper.make_model(graph, opset_imports=[onnx.helper.make_opsetid("", opset)])
    try:
        values = ReferenceEvaluator(model).run(None, dict(given))
        return [
            numpy_helper.from_array(np.asarray(value), output.name)
            for output, value in zip(outputs, values, strict=True)
        ]
    except Exception:  # whatever numpy says: then it is no arithmetic on sizes
        return None

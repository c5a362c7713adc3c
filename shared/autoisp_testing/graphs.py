"""ONNX graphs of the model contract that misbehave, each in one way, and one that doesn't."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import onnx
from onnx import TensorProto, helper, numpy_helper

_FOREVER = 2**62


def root_of(factor: float) -> bytes:
    """Nearest-neighbour demosaic times a factor: of NaN or infinity, a picture that is none."""
    return _model([helper.make_node("Mul", ["enlarged", "factor"], ["srgb"])], {"factor": np.float32(factor)})


def sized(scale: float) -> bytes:
    """The picture is `scale` times as large as a raw plane; 2 would be right."""
    return _model([helper.make_node("Identity", ["enlarged"], ["srgb"])], {}, scale)


def endless() -> bytes:
    """A loop that adds 1 for some million years; loading it takes no time."""
    body = helper.make_graph(
        [
            helper.make_node("Add", ["sum_in", "one"], ["sum_out"]),
            helper.make_node("Identity", ["go_on_in"], ["go_on_out"]),
        ],
        "body",
        [
            helper.make_tensor_value_info("turn", TensorProto.INT64, []),
            helper.make_tensor_value_info("go_on_in", TensorProto.BOOL, []),
            helper.make_tensor_value_info("sum_in", TensorProto.FLOAT, []),
        ],
        [
            helper.make_tensor_value_info("go_on_out", TensorProto.BOOL, []),
            helper.make_tensor_value_info("sum_out", TensorProto.FLOAT, []),
        ],
    )
    nodes = [
        helper.make_node("Loop", ["turns", "go_on", "one"], ["total"], body=body),
        helper.make_node("Add", ["enlarged", "total"], ["srgb"]),
    ]
    return _model(nodes, {"turns": np.int64(_FOREVER), "go_on": np.bool_(True), "one": np.float32(1)})


def allocating(size: int) -> bytes:
    """Makes a tensor of so many bytes when it runs; what it costs can't be counted."""
    body = helper.make_graph(
        [
            helper.make_node("Expand", ["one", "many"], ["large"]),
            helper.make_node("ReduceMax", ["large"], ["largest"], keepdims=0),
            helper.make_node("Identity", ["go_on_in"], ["go_on_out"]),
            helper.make_node("Mul", ["sum_in", "largest"], ["sum_out"]),
        ],
        "body",
        [
            helper.make_tensor_value_info("turn", TensorProto.INT64, []),
            helper.make_tensor_value_info("go_on_in", TensorProto.BOOL, []),
            helper.make_tensor_value_info("sum_in", TensorProto.FLOAT, []),
        ],
        [
            helper.make_tensor_value_info("go_on_out", TensorProto.BOOL, []),
            helper.make_tensor_value_info("sum_out", TensorProto.FLOAT, []),
        ],
    )
    constants = {
        "turns": np.int64(1),
        "go_on": np.bool_(True),
        "one": np.float32(1),
        "many": np.array([size // 4], np.int64),
    }
    nodes = [
        # How often it goes round depends on the frame, so that nothing is computed while it is loaded.
        helper.make_node("Size", ["raw"], ["values"]),
        helper.make_node("Min", ["values", "turns"], ["rounds"]),
        helper.make_node("Loop", ["rounds", "go_on", "one"], ["factor"], body=body),
        helper.make_node("Mul", ["enlarged", "factor"], ["srgb"]),
    ]
    return _model(nodes, constants)


def outside(location: str, inside: str) -> bytes:
    """A weight is in another file, and belongs to the `graph`, a `node`, a `loop` or a `function`."""
    weight = TensorProto(name="factor", data_type=TensorProto.FLOAT, data_location=TensorProto.EXTERNAL)
    weight.external_data.add(key="location", value=location)
    model = onnx.load_model_from_string(endless() if inside == "loop" else root_of(1.0))
    constant = helper.make_node("Constant", [], ["weight"])
    constant.attribute.add(name="value", type=onnx.AttributeProto.TENSOR, t=weight)
    if inside == "graph":
        model.graph.initializer.append(weight)
    elif inside == "node":
        model.graph.node.append(constant)
    elif inside == "loop":
        (loop,) = [node for node in model.graph.node if node.op_type == "Loop"]
        loop.attribute[0].g.node.append(constant)
    else:
        opsets = [helper.make_opsetid("", 18)]
        model.functions.append(helper.make_function("own", "Weight", [], ["weight"], [constant], opsets))
    return bytes(model.SerializeToString())


def _model(
    nodes: Sequence[onnx.NodeProto],
    constants: Mapping[str, object],
    scale: float = 2.0,
) -> bytes:
    """Three of the raw planes, enlarged, and what else the nodes make of them."""
    known = {"planes": np.array([0, 1, 3]), "scales": np.array([1, 1, scale, scale], np.float32)}
    graph = helper.make_graph(
        [
            helper.make_node("Gather", ["raw", "planes"], ["rgb"], axis=1),
            helper.make_node("Resize", ["rgb", "", "scales"], ["enlarged"], mode="nearest"),
            *nodes,
        ],
        "graph",
        [helper.make_tensor_value_info("raw", TensorProto.FLOAT, ["N", 4, "h", "w"])],
        [helper.make_tensor_value_info("srgb", TensorProto.FLOAT, ["N", 3, "H", "W"])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in {**known, **constants}.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9)
    return bytes(model.SerializeToString())

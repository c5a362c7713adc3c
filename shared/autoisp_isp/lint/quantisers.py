"""Quantisation with the operators of ONNX Runtime's own domain, which have no shapes for ONNX.

Files older than opset 21 hold 16-bit activations so. What they do to sizes and types is what Cast does.
"""

from __future__ import annotations

import onnx
from onnx import TensorProto

_DOMAIN = "com.microsoft"
_QUANTISERS = frozenset({"QuantizeLinear", "DequantizeLinear"})


def mark_quantisers(model: onnx.ModelProto) -> None:
    """Puts a Cast that remembers the operator in the place of each; changes the model itself."""
    stored = {tensor.name: tensor.data_type for tensor in model.graph.initializer}
    for node in model.graph.node:
        node.doc_string = ""
        if node.domain != _DOMAIN or node.op_type not in _QUANTISERS:
            continue
        if len(node.input) < 2 or len(node.output) != 1:
            continue
        held = stored.get(node.input[2], TensorProto.UINT8) if len(node.input) > 2 else TensorProto.UINT8
        node.doc_string, node.op_type, node.domain = node.op_type, "Cast", ""
        del node.input[1:]
        del node.attribute[:]
        kind = held if node.doc_string == "QuantizeLinear" else TensorProto.FLOAT
        node.attribute.append(onnx.helper.make_attribute("to", kind))


def operator_of(node: onnx.NodeProto) -> str:
    """What the file calls it; with its domain, if that is not ONNX's own."""
    own = node.domain in ("", "ai.onnx")
    return str(node.doc_string or (node.op_type if own else f"{node.domain}.{node.op_type}"))

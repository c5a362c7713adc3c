"""Bytes that a graph writes, from the shapes its values have when it runs."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Protocol

import onnx

FREE = frozenset(
    {"Clip", "Constant", "DequantizeLinear", "Dropout", "Flatten", "Identity", "LeakyRelu", "Relu", "Reshape"}
    | {"Shape", "Squeeze", "Unsqueeze"}
)
"""Operators that write nothing of their own: views, activations that run in place, and reading fewer bits."""

_ELEMENTWISE = frozenset(
    {
        "Abs",
        "Add",
        "Cast",
        "Div",
        "Erf",
        "Exp",
        "HardSigmoid",
        "HardSwish",
        "Log",
        "Max",
        "Min",
        "Mul",
        "Neg",
        "PRelu",
    }
    | {"Pow", "Reciprocal", "Sigmoid", "Softplus", "Sqrt", "Sub", "Sum", "Tanh"}
)


class Sized(Protocol):
    """Anything with a shape and a size."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Dimensions."""
        ...

    @property
    def nbytes(self) -> int:
        """Bytes."""
        ...


def written_bytes(
    nodes: Iterable[onnx.NodeProto], values: Mapping[str, Sized], inputs: Collection[str]
) -> tuple[int, int]:
    """Bytes of all feature maps that are written, and how many of them only elementwise operators write.

    A device's compiler fuses an elementwise operator into the one that made what it reads, unless nobody
    did: the graph's own inputs come from memory. What padding adds isn't there without the border, so it
    doesn't count. A value that is only read to be quantised is written in as many bits as it has afterwards.

    Args:
        nodes: of the graph, in order.
        values: every value by name; what has no shape here (an optional output) is not written.
        inputs: the graph's inputs.
    """
    written = fusible = 0
    given = set(inputs)
    nodes = list(nodes)
    unwritten = only_narrowed(nodes)
    for node in nodes:
        if node.op_type in FREE or (node.op_type == "Cast" and (widens(node) or node.input[0] in given)):
            given |= set(node.output) if node.input and node.input[0] in given else set()
            continue
        size = sum(
            _map_bytes(values, name)
            for name in (node.input[:1] if node.op_type == "Pad" else node.output)
            if name not in unwritten
        )
        made = any(_map_bytes(values, name) > 0 and name not in given for name in node.input)
        written += size
        fusible += size if node.op_type in _ELEMENTWISE and made else 0
    return written, fusible


def only_narrowed(nodes: Sequence[onnx.NodeProto]) -> frozenset[str]:
    """Values that nobody reads but who makes fewer bits of them: an operator writes those at once."""
    narrowed: set[str] = set()
    read: set[str] = set()
    for node in nodes:
        if node.op_type == "QuantizeLinear" or (node.op_type == "Cast" and not widens(node)):
            narrowed.add(node.input[0])
        else:
            read.update(node.input)
    return frozenset(narrowed - read)


def widens(node: onnx.NodeProto) -> bool:
    """Whether a node only reads fewer bits as more: an operator's own business."""
    to_float = any(
        attribute.i == onnx.TensorProto.FLOAT for attribute in node.attribute if attribute.name == "to"
    )
    return node.op_type == "DequantizeLinear" or (node.op_type == "Cast" and to_float)


def _map_bytes(values: Mapping[str, Sized], name: str) -> int:
    value = values.get(name)
    return value.nbytes if value is not None and is_map(value) else 0


def is_map(value: Sized) -> bool:
    """Whether the value has something for every pixel or cell, rather than for a frame."""
    return len(value.shape) > 2 and value.shape[-1] > 1

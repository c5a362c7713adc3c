"""Bytes that a graph writes, from the shapes its values have when it runs."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from typing import Protocol

import onnx

FREE = frozenset(
    {"Clip", "Constant", "Dropout", "Flatten", "Identity", "LeakyRelu", "Relu", "Reshape", "Shape"}
    | {"Squeeze", "Unsqueeze"}
)
"""Operators that write nothing of their own: views, and activations that run in place."""

_ELEMENTWISE = frozenset(
    {
        "Abs",
        "Add",
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
    doesn't count.

    Args:
        nodes: of the graph, in order.
        values: every value by name; what has no shape here (an optional output) is not written.
        inputs: the graph's inputs.
    """
    written = fusible = 0
    given = set(inputs)
    for node in nodes:
        if node.op_type in FREE:
            given |= set(node.output) if node.input and node.input[0] in given else set()
            continue
        size = sum(
            _map_bytes(values, name) for name in (node.input[:1] if node.op_type == "Pad" else node.output)
        )
        made = any(_map_bytes(values, name) > 0 and name not in given for name in node.input)
        written += size
        fusible += size if node.op_type in _ELEMENTWISE and made else 0
    return written, fusible


def _map_bytes(values: Mapping[str, Sized], name: str) -> int:
    value = values.get(name)
    return value.nbytes if value is not None and is_map(value) else 0


def is_map(value: Sized) -> bool:
    """Whether the value has something for every pixel or cell, rather than for a frame."""
    return len(value.shape) > 2 and value.shape[-1] > 1

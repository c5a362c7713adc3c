"""Multiply-accumulates of single ONNX operators."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from math import prod
from typing import Protocol

import onnx
from autoisp_core.errors import InvalidArgumentError
from onnx import helper

UNCOUNTED = frozenset({"Attention", "DeformConv", "GRU", "LSTM", "QLinearMatMul", "RNN"})
"""Operators with arithmetic that this module has no rule for: silence about them would be a false count."""

INNER_GRAPHS = frozenset({"If", "Loop", "Scan"})
"""Operators whose arithmetic depends on values."""


class Shaped(Protocol):
    """Anything with a shape."""

    @property
    def shape(self) -> tuple[int, ...]:
        """Dimensions."""
        ...


def check_countable(nodes: Iterable[onnx.NodeProto], *, field: str, fix: str) -> None:
    """Refuses operators whose arithmetic nobody here can count.

    Raises:
        InvalidArgumentError: names the first of them, and `fix`.
    """
    for node in nodes:
        if node.op_type in UNCOUNTED | INNER_GRAPHS:
            raise InvalidArgumentError(
                field, f"operator {node.op_type} ({node.name!r}) can't be counted; {fix}"
            )


def countable(model: onnx.ModelProto) -> bool:
    """Whether the arithmetic of a graph, and of its own functions, can be counted."""
    nodes = [*model.graph.node, *(node for function in model.functions for node in function.node)]
    return not any(node.op_type in UNCOUNTED | INNER_GRAPHS for node in nodes)


def multiply_accumulates(node: onnx.NodeProto, values: Mapping[str, Shaped]) -> int:
    """Multiply-accumulates of one node; borders count as if the kernel were whole there.

    Args:
        node: any node; all but convolutions, matrix products, Einsum and products with predicted kernels
            cost nothing.
        values: shapes of its inputs and outputs by name.
    """

    def shape(name: str) -> tuple[int, ...]:
        return tuple(values[name].shape)

    match node.op_type:
        case "Conv" | "ConvInteger":
            return prod(shape(node.output[0])) * prod(shape(node.input[1])[1:])
        case "QLinearConv":
            return prod(shape(node.output[0])) * prod(shape(node.input[3])[1:])
        case "ConvTranspose":
            return prod(shape(node.input[0])) * prod(shape(node.input[1])[1:])
        case "MatMul" | "MatMulInteger":
            return prod(shape(node.output[0])) * shape(node.input[0])[-1]
        case "Gemm":
            inner = 0 if _integer(node, "transA") else 1
            return prod(shape(node.output[0])) * shape(node.input[0])[inner]
        case "Einsum":
            return _einsum(node, [shape(name) for name in node.input])
        case "Mul" if _applies_kernels(*(shape(name) for name in node.input)):
            return prod(shape(node.output[0]))
        case _:
            return 0


def _applies_kernels(first: tuple[int, ...], second: tuple[int, ...]) -> bool:
    """Whether one factor weighs the other's channels pixel by pixel, as a tap of a predicted kernel does."""
    if len(first) != 4 or len(second) != 4 or first[2:] != second[2:] or prod(first[2:]) == 1:
        return False
    return first[1] != second[1] and 1 in (first[1], second[1])


def _integer(node: onnx.NodeProto, name: str) -> int:
    for attribute in node.attribute:
        if attribute.name == name:
            return int(attribute.i)
    return 0


def _einsum(node: onnx.NodeProto, shapes: list[tuple[int, ...]]) -> int:
    """The product of all index ranges: what a direct evaluation multiplies."""
    equation = next(
        helper.get_attribute_value(attribute).decode()
        for attribute in node.attribute
        if attribute.name == "equation"
    )
    ranges: dict[str, int] = {}
    terms = equation.replace(" ", "").split("->")[0].split(",")
    for term, shape in zip(terms, shapes, strict=True):
        letters = term.replace("...", "")
        broadcast = len(shape) - len(letters)
        start = term.find("...")
        names = list(letters)
        if start >= 0:
            names[start:start] = [f"...{broadcast - axis}" for axis in range(broadcast)]
        for name, size in zip(names, shape, strict=True):
            ranges[name] = max(size, ranges.get(name, 1))
    return prod(ranges.values())

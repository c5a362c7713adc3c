"""A graph as the lint sees it: at one picture size, what depends on shapes alone already computed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod

from autoisp_core.spec.device import PixelCost

Attribute = int | float | str | tuple[int, ...]

_COARSEST = 1024
"""Pixels of the picture that one place of a feature map stands for, at most."""


@dataclass(frozen=True, slots=True)
class Tensor:
    """A value of the graph.

    Attributes:
        shape: dimensions; None where they depend on what the pictures hold, or nobody knows.
        dtype: such as "float32", "float16", "int8", "uint16", "int64"; empty if unknown.
        constant: whether it is stored in the file.
    """

    shape: tuple[int, ...] | None
    dtype: str
    constant: bool = False

    @property
    def size(self) -> int | None:
        """Number of elements."""
        return None if self.shape is None else prod(self.shape)


UNKNOWN = Tensor(None, "")


@dataclass(frozen=True, slots=True)
class Node:
    """An operator at work.

    Attributes:
        name: unique in the graph.
        operator: ONNX's name of it; one of another domain with the domain before it: "com.microsoft.Gelu".
        inputs: names of tensors; empty for an optional one that is left out.
        outputs: names of tensors.
        attributes: numbers, texts and lists of whole numbers only.
        inner: whether it holds graphs of its own.
    """

    name: str
    operator: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    attributes: Mapping[str, Attribute] = field(default_factory=dict)
    inner: bool = False

    def integers(self, name: str) -> tuple[int, ...]:
        """A list attribute; empty if it is left out."""
        value = self.attributes.get(name, ())
        return value if isinstance(value, tuple) else ()

    def integer(self, name: str, default: int) -> int:
        """A whole number attribute."""
        value = self.attributes.get(name, default)
        return value if isinstance(value, int) else default

    def text(self, name: str, default: str) -> str:
        """A text attribute."""
        value = self.attributes.get(name, default)
        return value if isinstance(value, str) else default


@dataclass(frozen=True, slots=True)
class Graph:
    """Nodes in an order in which each comes after what it reads.

    Attributes:
        nodes: in order.
        tensors: by name; what is missing is unknown.
        inputs: names of what the graph is given.
        outputs: names of what it gives.
        free_inputs: those whose size the file leaves open.
        opset: version of ONNX's own operators.
        pixels: of the output picture.
        cost: what a picture costs, per pixel; None if it can't be known.
    """

    nodes: tuple[Node, ...]
    tensors: Mapping[str, Tensor]
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    pixels: int
    free_inputs: tuple[str, ...] = ()
    opset: int = 0
    cost: PixelCost | None = None

    def tensor(self, name: str) -> Tensor:
        """The tensor of that name."""
        return self.tensors.get(name, UNKNOWN)

    def is_map(self, name: str) -> bool:
        """Whether the tensor has a place for every few pixels, rather than a few values for a frame."""
        tensor = self.tensor(name)
        if not name or tensor.constant:
            return False
        if tensor.shape is None:
            return True
        if len(tensor.shape) < 3:
            return False
        last = tensor.shape[-3:]
        plane = max(last[1] * last[2], last[0] * last[1] if len(tensor.shape) > 3 else 0)
        return plane * _COARSEST >= self.pixels

"""A graph as the lint sees it: at one picture size, what depends on shapes alone already computed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod

from autoisp_core.spec.device import PixelCost

Attribute = int | float | str | tuple[int, ...]

_MAP_SHARE = 256
"""A feature map has at least one value for so many pixels of the picture."""


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
        operator: ONNX's name of it.
        domain: empty for ONNX's own operators.
        inputs: names of tensors; empty for an optional one that is left out.
        outputs: names of tensors.
        attributes: numbers, texts and lists of whole numbers only.
        inner: whether it holds graphs of its own.
    """

    name: str
    operator: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    domain: str = ""
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
        """Whether the tensor has values for pixels, rather than a few for a whole frame."""
        tensor = self.tensor(name)
        return (
            bool(name)
            and not tensor.constant
            and (tensor.size is None or tensor.size * _MAP_SHARE >= self.pixels)
        )

"""Parameters of a network side by side in one buffer, so that few operations step them all."""

from collections.abc import Sequence

import torch
from torch import Tensor

_SMALL = 32
"""Matrices up to this height share a stack: padding them costs less than the operations for another stack."""


class MatrixStack:
    """Room for the weights of convolutions as matrices, padded with zeros to one size, none higher than wide.

    Columns are in the order of channels last, which is how the weights and their gradients lie in memory;
    what is orthogonal does not depend on their order.

    Args:
        weights: (outputs, inputs, height, width) each, at least one.

    Attributes:
        shape: (matrices, rows, columns) of the stack.
        room: numbers in it.
        longest_edges: (matrices, 1, 1), rows or columns of each matrix, whichever are more.
    """

    def __init__(self, weights: Sequence[Tensor]) -> None:
        self._shapes = [weight.shape for weight in weights]
        edges = [(shape[0], shape[1:].numel()) for shape in self._shapes]
        rows, columns = max(min(pair) for pair in edges), max(max(pair) for pair in edges)
        self.shape = torch.Size((len(edges), rows, columns))
        self.room = self.shape.numel()
        longest = [[[float(max(pair))]] for pair in edges]
        self.longest_edges = torch.tensor(longest, device=weights[0].device)

    def of(self, buffer: Tensor) -> Tensor:
        """A flat buffer (room,) as the stack."""
        return buffer.view(self.shape)

    def views(self, buffer: Tensor) -> list[Tensor]:
        """A flat buffer (room,) as the weights it holds."""
        views = []
        for matrix, (outputs, inputs, height, width) in zip(self.of(buffer), self._shapes, strict=True):
            columns = inputs * height * width
            own = matrix[:columns, :outputs].T if outputs > columns else matrix[:outputs, :columns]
            views.append(own.unflatten(1, (height, width, inputs)).permute(0, 3, 1, 2))
        return views


class Row:
    """Room for parameters of any shape, one after the other.

    Attributes:
        room: numbers in it.
    """

    def __init__(self, values: Sequence[Tensor]) -> None:
        self._shapes = [value.shape for value in values]
        self._sizes = [value.numel() for value in values]
        self.room = sum(self._sizes)

    def views(self, buffer: Tensor) -> list[Tensor]:
        """A flat buffer (room,) as the parameters it holds."""
        parts = torch.split(buffer, self._sizes) if self._sizes else ()
        return [part.view(shape) for part, shape in zip(parts, self._shapes, strict=True)]


def height_class(weight: Tensor) -> int:
    """The same for weights of a convolution that had better share a stack."""
    height = min(weight.shape[0], weight.shape[1:].numel())
    return max(_SMALL, 1 << (height - 1).bit_length())

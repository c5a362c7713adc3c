"""The one way to write a block: equal for two blocks exactly if one is the other renumbered."""

from __future__ import annotations

from collections.abc import Mapping

from autoisp_core.spec.layers import COMMUTATIVE, Layer, LayerType

_Row = tuple[int, int, tuple[int, ...]]
"""Type, kernel and new numbers of the predecessors."""
_Numbers = dict[int, int]
"""New number of each layer that has one; the input has 0."""


def canonical_rows(block: tuple[Layer, ...], colours: Mapping[int, str]) -> tuple[_Row, ...]:
    """The block's layers in an order that doesn't depend on how they were numbered.

    Layer by layer, the smallest of those whose predecessors have numbers is next. Where several are equally
    small, each is tried: two that lead to the same rows are mirror images of each other, so that one of them
    stands for both; otherwise the smallest result counts.

    Args:
        block: a well-formed block.
        colours: for each layer's index something that renumbering doesn't change; the finer, the faster.
    """
    return _Ordering(block, colours).rows({0: 0}, ())


class _Ordering:
    def __init__(self, block: tuple[Layer, ...], colours: Mapping[int, str]) -> None:
        self._layers = [layer for layer in block if layer.type != LayerType.TERMINAL]
        self._colours = colours

    def rows(self, numbers: _Numbers, rows: tuple[_Row, ...]) -> tuple[_Row, ...]:
        """The smallest completion of what has numbers already."""
        while smallest := self._smallest(numbers):
            row = _row(smallest[0], numbers)
            choices = [{**numbers, layer.index: len(numbers)} for layer in smallest]
            if len(choices) > 1:
                choices = list({self._first_completion(choice): choice for choice in choices}.values())
            rows = (*rows, row)
            if len(choices) > 1:
                return min(self.rows(choice, rows) for choice in choices)
            numbers = choices[0]
        return rows

    def _smallest(self, numbers: _Numbers) -> list[Layer]:
        """The layers that are next: several if neither their rows nor their colours tell them apart."""
        ready = [
            (self._colours[layer.index], _row(layer, numbers), layer)
            for layer in self._layers
            if layer.index not in numbers and all(pred in numbers for pred in layer.predecessors)
        ]
        least = min(((colour, row) for colour, row, _ in ready), default=None)
        return [layer for colour, row, layer in ready if (colour, row) == least]

    def _first_completion(self, numbers: _Numbers) -> tuple[_Row, ...]:
        """The rest of the rows if ties go to whoever comes first."""
        rows: tuple[_Row, ...] = ()
        while smallest := self._smallest(numbers):
            rows = (*rows, _row(smallest[0], numbers))
            numbers = {**numbers, smallest[0].index: len(numbers)}
        return rows


def _row(layer: Layer, numbers: _Numbers) -> _Row:
    preds = [numbers[pred] for pred in layer.predecessors]
    ordered = sorted(preds) if layer.type in COMMUTATIVE else preds
    return int(layer.type), layer.kernel, tuple(ordered)

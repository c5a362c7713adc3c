"""The one way to write a block: equal for two blocks exactly if one is the other renumbered."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from autoisp_core.spec.layers import COMMUTATIVE, Layer, LayerType

_INPUT = 0
_Row = tuple[int, int, tuple[int, ...]]
"""Type, kernel and new numbers of the predecessors."""
_Numbers = dict[int, int]
"""New number of each layer that has one; the input has 0."""
_Colours = dict[int, int]
"""Rank of what is known of each layer, and of the input: equal where nothing tells two apart."""


def canonical_rows(block: tuple[Layer, ...], colours: Mapping[int, str]) -> tuple[_Row, ...]:
    """The block's layers in an order that doesn't depend on how they were numbered.

    Layer by layer, the smallest of those whose predecessors have numbers is next. Where several are equally
    small, each is tried, and what it tells of the layers around it is made use of: else rings of layers would
    take forever. Two that lead to the same rows are mirror images of each other, so that one of them stands
    for both; otherwise the smallest result counts.

    Args:
        block: a well-formed block.
        colours: for each layer's index something that renumbering doesn't change; the finer, the faster.
    """
    ordering = _Ordering(block)
    return ordering.rows({_INPUT: 0}, (), ordering.told_apart(colours))


class _Ordering:
    def __init__(self, block: tuple[Layer, ...]) -> None:
        self._layers = [layer for layer in block if layer.type != LayerType.TERMINAL]
        self._edges = [
            (pred, layer.index, 0 if layer.type in COMMUTATIVE else role)
            for layer in self._layers
            for role, pred in enumerate(layer.predecessors)
        ]

    def rows(self, numbers: _Numbers, rows: tuple[_Row, ...], colours: _Colours) -> tuple[_Row, ...]:
        """The smallest completion of what has numbers already."""
        while smallest := self._smallest(numbers, colours):
            rows = (*rows, _row(smallest[0], numbers))
            if len(smallest) > 1:
                choices = [self._chosen(layer, numbers, colours) for layer in smallest]
                distinct = {self._first_completion(*choice): choice for choice in choices}.values()
                return min(self.rows(numbers, rows, colours) for numbers, colours in distinct)
            numbers = {**numbers, smallest[0].index: len(numbers)}
        return rows

    def told_apart(self, colours: Mapping[int, str]) -> _Colours:
        """Layers by colour and by what lies around them, as far as that tells them apart."""
        return self._refined(
            {layer.index: (1, colours[layer.index]) for layer in self._layers} | {_INPUT: (0, "")}
        )

    def _chosen(self, layer: Layer, numbers: _Numbers, colours: _Colours) -> tuple[_Numbers, _Colours]:
        """The layer has the next number, and differs from all others thereby."""
        known = {index: (colour, index == layer.index) for index, colour in colours.items()}
        return {**numbers, layer.index: len(numbers)}, self._refined(known)

    def _refined(self, known: Mapping[int, Any]) -> _Colours:
        colours, count = _ranked(known), 0
        while len(set(colours.values())) > count:
            count = len(set(colours.values()))
            around: dict[int, list[tuple[int, int, int]]] = {index: [] for index in colours}
            for source, target, role in self._edges:
                around[target].append((0, role, colours[source]))
                around[source].append((1, role, colours[target]))
            colours = _ranked({index: (colour, sorted(around[index])) for index, colour in colours.items()})
        return colours

    def _smallest(self, numbers: _Numbers, colours: _Colours) -> list[Layer]:
        """The layers that are next: several if neither their rows nor their colours tell them apart."""
        ready = [
            (colours[layer.index], _row(layer, numbers), layer)
            for layer in self._layers
            if layer.index not in numbers and all(pred in numbers for pred in layer.predecessors)
        ]
        least = min(((colour, row) for colour, row, _ in ready), default=None)
        return [layer for colour, row, layer in ready if (colour, row) == least]

    def _first_completion(self, numbers: _Numbers, colours: _Colours) -> tuple[_Row, ...]:
        """The rest of the rows if ties go to whoever comes first."""
        rows: tuple[_Row, ...] = ()
        while smallest := self._smallest(numbers, colours):
            rows = (*rows, _row(smallest[0], numbers))
            if len(smallest) > 1:
                numbers, colours = self._chosen(smallest[0], numbers, colours)
            else:
                numbers = {**numbers, smallest[0].index: len(numbers)}
        return rows


def _ranked(known: Mapping[int, Any]) -> _Colours:
    ordered: list[Any] = []
    for value in sorted(known.values()):
        if not ordered or value != ordered[-1]:
            ordered.append(value)
    return {index: ordered.index(value) for index, value in known.items()}


def _row(layer: Layer, numbers: _Numbers) -> _Row:
    preds = [numbers[pred] for pred in layer.predecessors]
    ordered = sorted(preds) if layer.type in COMMUTATIVE else preds
    return int(layer.type), layer.kernel, tuple(ordered)

"""A spec as a chain of decisions: the Markov process in which BlockQNN's agent moves.

The paper designs the block alone: the state is the layer chosen last, an action the next layer's tuple or
the terminal one. Here the numbers around the block come first, one decision each, so that one table values
them by the same rule. A number that the space leaves no choice for takes no decision; a space that fixes them
all gives the paper's process exactly.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import lru_cache
from itertools import combinations, permutations
from typing import Any

from autoisp_core.spec import Layer, LayerType, SearchSpace, Spec
from autoisp_core.spec.blocks import is_unary
from autoisp_core.spec.layers import COMMUTATIVE

Action = tuple[str, int] | tuple[int, int, int, int, int]
"""A number's name and value, or a layer's tuple of the Network Structure Code."""

State = Action | tuple[()]
"""The action taken last; empty at the start."""

START: State = ()


class Decisions:
    """All decisions that lead to a member of the space.

    Args:
        space: whose members are designed.
    """

    def __init__(self, space: SearchSpace) -> None:
        self._choices = space.choices()
        self._max_layers = space.max_layers
        numbers = space.numbers()
        self._fixed = {name: values[0] for name, values in numbers.items()}
        # The width comes last, so that the first layer is chosen in its knowledge.
        self._free = [(name, values) for name, values in reversed(numbers.items()) if len(values) > 1]

    def after(self, state: State) -> tuple[Action, ...]:
        """The actions that a state allows; none after the terminal."""
        if not state:
            return self._number(0) if self._free else self._layers(1)
        if isinstance(state[0], str):
            position = [name for name, _ in self._free].index(state[0]) + 1
            return self._number(position) if position < len(self._free) else self._layers(1)
        return () if is_terminal(state) else self._layers(state[0] + 1)

    def taken(self, spec: Spec) -> tuple[Action, ...]:
        """The decisions that lead to a spec of the space; two orders of a sum's terms are one decision."""
        numbers: list[Action] = [(name, getattr(spec, name)) for name, _ in self._free]
        return (*numbers, *(_ordered(layer).as_tuple() for layer in spec.block))

    def spec(self, actions: Sequence[Action]) -> Spec:
        """What decisions lead to. A number still open has its first value; an open block is closed."""
        numbers: dict[str, Any] = dict(self._fixed)
        layers: list[Layer] = []
        for action in actions:
            if isinstance(action[0], str):
                numbers[action[0]] = action[1]
            else:
                layers += Spec.code(action)
        if layers and layers[-1].type != LayerType.TERMINAL:
            layers.append(Layer(len(layers) + 1, LayerType.TERMINAL))
        return Spec(block=tuple(layers), **numbers)

    def _number(self, position: int) -> tuple[Action, ...]:
        name, values = self._free[position]
        return tuple((name, value) for value in values)

    def _layers(self, index: int) -> tuple[Action, ...]:
        return layer_actions(self._choices, index, self._max_layers)


@lru_cache(maxsize=256)
def layer_actions(
    choices: tuple[tuple[LayerType, int], ...], index: int, max_layers: int
) -> tuple[Action, ...]:
    """The tuples that may stand at ``index``: every choice with every predecessor before it, or the end."""
    tuples: list[Action] = []
    if index <= max_layers:
        for kind, kernel in choices:
            tuples += [(index, int(kind), kernel, *preds) for preds in _predecessors(kind, index)]
    if index > 1:
        tuples.append((index, int(LayerType.TERMINAL), 0, 0, 0))
    return tuple(tuples)


def is_terminal(action: State) -> bool:
    """Whether the action ends the block."""
    return len(action) == 5 and action[1] == LayerType.TERMINAL


def _predecessors(kind: LayerType, index: int) -> Iterable[tuple[int, int]]:
    if is_unary(kind):
        return [(pred, 0) for pred in range(index)]
    return combinations(range(index), 2) if kind in COMMUTATIVE else permutations(range(index), 2)


def _ordered(layer: Layer) -> Layer:
    if layer.type in COMMUTATIVE and layer.pred1 > layer.pred2:
        return replace(layer, pred1=layer.pred2, pred2=layer.pred1)
    return layer

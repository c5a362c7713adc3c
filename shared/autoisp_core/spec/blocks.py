"""Random blocks and small changes to blocks, always well formed."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace

from autoisp_core.spec.layers import BINARY, Layer, LayerType

Choice = tuple[LayerType, int]
"""A layer's type and kernel."""

_SHARES: dict[Choice, int] = {(LayerType.CONV, 3): 6, (LayerType.CONV, 1): 2, (LayerType.COARSE, 3): 2}
"""Dense 3×3 convolutions carry the learning; other choices are drawn once for each of these times."""

_FROM_LAYER_BEFORE = 0.65
"""Depth pays: this share of first predecessors is simply the layer before."""


def is_unary(kind: LayerType) -> bool:
    """Whether the type reads exactly one predecessor."""
    return kind not in BINARY and kind != LayerType.TERMINAL


def chain(choices: Sequence[Choice]) -> tuple[Layer, ...]:
    """A block of unary layers, each reading the one before."""
    layers = [Layer(position, *choice, position - 1) for position, choice in enumerate(choices, start=1)]
    return _terminated(layers)


def random_block(choices: Sequence[Choice], max_layers: int, rng: random.Random) -> tuple[Layer, ...]:
    """A block of 1 … ``max_layers`` layers, more often a chain than not.

    Where two predecessors are needed, they differ; so the first layer, which has but one to read, is unary.
    """
    layers: list[Layer] = []
    for index in range(1, rng.randint(1, max_layers) + 1):
        kind, kernel = rng.choice(_weighted(choices if index > 1 else _unary(choices)))
        layers.append(_wired(Layer(index, kind, kernel), rng))
    return _terminated(layers)


def mutated(
    block: tuple[Layer, ...], choices: Sequence[Choice], max_layers: int, rng: random.Random
) -> tuple[Layer, ...]:
    """The block with one layer replaced, rewired, inserted or removed."""
    layers = list(block[:-1])
    position = rng.randrange(len(layers))
    actions = ["replace", "rewire"]
    actions += ["insert"] if len(layers) < max_layers else []
    actions += ["remove"] if len(layers) > 1 else []
    match rng.choice(actions):
        case "replace":
            kind, kernel = rng.choice(_weighted(choices))
            layers[position] = _retyped(layers[position], kind, kernel, rng)
        case "rewire":
            layers[position] = _wired(layers[position], rng)
        case "insert":
            layers = _inserted(layers, position, rng.choice(_weighted(choices)))
        case _:
            layers = _removed(layers, position)
    return _terminated(layers)


def _weighted(choices: Sequence[Choice]) -> list[Choice]:
    """Every choice as often as it deserves to be drawn."""
    return [choice for choice in choices for _ in range(_SHARES.get(choice, 1))]


def _unary(choices: Sequence[Choice]) -> list[Choice]:
    return [choice for choice in choices if is_unary(choice[0])]


def _terminated(layers: Sequence[Layer]) -> tuple[Layer, ...]:
    return (*layers, Layer(len(layers) + 1, LayerType.TERMINAL))


def _wired(layer: Layer, rng: random.Random) -> Layer:
    previous = layer.index - 1
    first = previous if rng.random() < _FROM_LAYER_BEFORE else rng.randint(0, previous)
    if is_unary(layer.type):
        return replace(layer, pred1=first, pred2=0)
    others = [index for index in range(layer.index) if index != first] or [first]
    return replace(layer, pred1=first, pred2=rng.choice(others))


def _retyped(layer: Layer, kind: LayerType, kernel: int, rng: random.Random) -> Layer:
    retyped = replace(layer, type=kind, kernel=kernel)
    if is_unary(kind):
        return replace(retyped, pred2=0)
    if not is_unary(layer.type):
        return retyped
    others = [index for index in range(layer.index) if index != layer.pred1] or [layer.pred1]
    return replace(retyped, pred2=rng.choice(others))


def _inserted(layers: list[Layer], position: int, choice: Choice) -> list[Layer]:
    """Puts a layer on the edge from the predecessor of ``layers[position]`` to it."""
    target = layers[position]
    kind, kernel = choice
    new = Layer(target.index, kind, kernel, target.pred1, 0 if is_unary(kind) else target.pred2)
    shifted = [_shift(layer, target.index, 1) for layer in layers[position:]]
    shifted[0] = replace(shifted[0], pred1=new.index)
    return [*layers[:position], new, *shifted]


def _removed(layers: list[Layer], position: int) -> list[Layer]:
    """Takes a layer out; its readers read its first predecessor."""
    gone = layers[position]

    def around(layer: Layer) -> Layer:
        first, second = (gone.pred1 if pred == gone.index else pred for pred in (layer.pred1, layer.pred2))
        return _shift(replace(layer, pred1=first, pred2=second), gone.index + 1, -1)

    return [*layers[:position], *(around(layer) for layer in layers[position + 1 :])]


def _shift(layer: Layer, start: int, offset: int) -> Layer:
    """Renumbers indices from ``start`` on by ``offset``."""

    def moved(index: int) -> int:
        return index + offset if index >= start else index

    return replace(layer, index=moved(layer.index), pred1=moved(layer.pred1), pred2=moved(layer.pred2))

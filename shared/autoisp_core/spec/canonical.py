"""The identity of a spec: one hash for all ways to write the same network."""

from __future__ import annotations

import hashlib

from autoisp_core.spec.isomorphism import canonical_rows
from autoisp_core.spec.layers import COMMUTATIVE, Layer, LayerType
from autoisp_core.spec.model import Spec
from autoisp_core.spec.rules import reads_twice

_INPUT = 0
_NEVER_CONFUSED = 5
"""Blocks of so many layers are told apart by their colours, if no layer reads another twice."""


def canonical_hash(spec: Spec) -> str:
    """SHA-256 (hex) of the network that a valid spec describes.

    Renumbering layers, swapping the predecessors of a commutative layer and reordering loose ends leave it as
    it is; anything else changes it. Colours are refined along both directions of the edges
    (Weisfeiler–Leman), once per layer. Blocks that such refinement may confuse add their canonical rows.
    """
    numbers = (spec.width, spec.repeats, spec.packing, spec.frames, spec.stem_kernel, spec.head_kernel)
    extensions = [f"{name}={value}" for name, value in spec.extensions.items()]
    colours = _colours(spec.block)
    parts = ["spec", *map(str, numbers), *extensions, *sorted(colours.values())]
    if _may_be_confused(spec.block, colours):
        parts.append(repr(canonical_rows(spec.block, colours)))
    return _digest(*parts)


def _may_be_confused(block: tuple[Layer, ...], colours: dict[int, str]) -> bool:
    """Whether another block might have the same colours.

    Where all layers differ, colours tell every edge. Layers of one colour lie equally deep, so there is no
    edge between them. Two colours are then joined in one way only, unless three or more layers share one or
    a layer reads the same one twice; and three colours of two layers each are at least six layers.
    """
    layers = len(block) - 1
    twice = any(reads_twice(layer) and layer.pred1 != _INPUT for layer in block)
    return len(set(colours.values())) < len(colours) and (layers > _NEVER_CONFUSED or twice)


def _colours(block: tuple[Layer, ...]) -> dict[int, str]:
    layers = [layer for layer in block if layer.type != LayerType.TERMINAL]
    edges = [
        (pred, layer.index, "0" if layer.type in COMMUTATIVE else str(role))
        for layer in layers
        for role, pred in enumerate(layer.predecessors)
    ]
    colours = {_INPUT: _digest("input")}
    colours |= {layer.index: _digest(layer.type.name, str(layer.kernel)) for layer in layers}
    for _ in range(len(layers) + 1):
        incoming: dict[int, list[str]] = {index: [] for index in colours}
        outgoing: dict[int, list[str]] = {index: [] for index in colours}
        for source, target, role in edges:
            incoming[target].append(role + colours[source])
            outgoing[source].append(role + colours[target])
        colours = {
            index: _digest(colour, "in", *sorted(incoming[index]), "out", *sorted(outgoing[index]))
            for index, colour in colours.items()
        }
    return colours


def _digest(*parts: str) -> str:
    return hashlib.sha256("|".join(parts).encode()).hexdigest()

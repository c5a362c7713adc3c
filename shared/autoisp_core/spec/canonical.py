"""The identity of a spec: one hash for all ways to write the same network."""

from __future__ import annotations

import hashlib

from autoisp_core.spec.layers import COMMUTATIVE, Layer, LayerType
from autoisp_core.spec.model import Spec

_INPUT = 0


def canonical_hash(spec: Spec) -> str:
    """SHA-256 (hex) of the network that a valid spec describes.

    Renumbering layers, swapping the predecessors of a commutative layer and reordering loose ends leave it as
    it is. Colours are refined along both directions of the edges (Weisfeiler–Leman), once per layer.
    Different networks get different hashes but for rare pairs that such refinement can't tell apart.
    """
    numbers = (spec.width, spec.repeats, spec.packing, spec.frames, spec.stem_kernel, spec.head_kernel)
    extensions = [f"{name}={value}" for name, value in spec.extensions.items()]
    return _digest("spec", *map(str, numbers), *extensions, *sorted(_colours(spec.block)))


def _colours(block: tuple[Layer, ...]) -> list[str]:
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
    return list(colours.values())


def _digest(*parts: str) -> str:
    return hashlib.sha256("|".join(parts).encode()).hexdigest()

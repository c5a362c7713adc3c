"""What the performance predictor sees of a spec: numbers that say how it computes, not how it is written.

The parts of a vector are kept apart, since the predictor weighs each as a whole: ``size`` (logarithms of the
exactly known costs), ``numbers`` (around the block), ``shape`` (of the block's graph), ``counts`` (of layers)
and ``words`` (who follows whom, and the paths from input to output, as counts in hashed buckets).
"""

from __future__ import annotations

import math
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, fields
from functools import lru_cache

import numpy as np
import numpy.typing as npt
from autoisp_core.spec import Layer, LayerType, Spec, cost, loose_ends
from autoisp_core.spec.layers import KERNELS

Vector = npt.NDArray[np.float64]

PARTS = ("size", "numbers", "shape", "counts", "words")
"""Names of the parts, in the order that :func:`features` gives them."""

_INPUT, _OUTPUT = 0, -1
_NUMBERS = tuple(field.name for field in fields(Spec) if field.name != "block")
_COUNTED = tuple(
    (kind, kernel)
    for kind in LayerType
    if kind is not LayerType.TERMINAL
    for kernel in KERNELS.get(kind, (0,))
)
_LEARNED = frozenset(
    {
        LayerType.CONV,
        LayerType.DEPTHWISE,
        LayerType.GROUPED,
        LayerType.DYNAMIC,
        LayerType.COARSE,
        LayerType.CONCAT,
    }
)
_ACTIVATED = _LEARNED - {LayerType.DEPTHWISE}
_BUCKETS = 96
_MOST_PATHS = 64
"""Ways through one layer that are spelt out: their number can double with each layer."""


def features(spec: Spec) -> tuple[Vector, ...]:
    """One vector for each of :data:`PARTS`, of lengths that are the same for all specs.

    Isomorphic blocks of up to some tens of paths have equal vectors.
    """
    priced, block = cost(spec), _seen(spec.block)
    reach = (spec.stem_kernel + spec.head_kernel) / 2 - 1 + spec.repeats * block.reach
    size = (priced.macs_per_pixel, priced.parameters, priced.bytes_per_pixel)
    around = (reach, reach * spec.packing, spec.repeats * block.depth)
    return (
        np.log(np.array(size, dtype=float)),
        np.log1p(np.array([getattr(spec, name) for name in _NUMBERS], dtype=float)),
        np.concatenate([block.shape, np.log1p(around), [spec.repeats * block.gain]]),
        block.counts,
        block.words,
    )


@dataclass(frozen=True, slots=True)
class _Seen:
    """What depends on the block alone."""

    depth: float
    reach: float
    gain: float
    shape: Vector
    counts: Vector
    words: Vector


@lru_cache(maxsize=4096)
def _seen(block: tuple[Layer, ...]) -> _Seen:
    layers = block[:-1]
    depth, activations, reach = {_INPUT: 0.0}, {_INPUT: 0.0}, {_INPUT: 0.0}
    shortest, gain = {_INPUT: 0.0}, {_INPUT: 1.0}
    for layer in layers:
        index, before, learned = layer.index, layer.predecessors, layer.type in _LEARNED
        depth[index] = max(depth[pred] for pred in before) + learned
        shortest[index] = min(shortest[pred] for pred in before) + learned
        activations[index] = max(activations[pred] for pred in before) + (layer.type in _ACTIVATED)
        reach[index] = max(reach[pred] for pred in before) + _radius(layer)
        gains = [gain[pred] for pred in before]
        gain[index] = sum(gains) if layer.type is LayerType.ADD else max(gains)
    ends = loose_ends(block)
    edges = sum(len(layer.predecessors) for layer in layers)
    # Sums grow the signal with every repeat; where that goes too far, training diverges.
    growth = math.log1p(max(gain[end] for end in ends))
    adds_input = any(layer.type is LayerType.ADD and _INPUT in layer.predecessors for layer in layers)
    shape = (
        len(layers),
        len(ends),
        edges / (len(layers) + 1),
        max(depth[end] for end in ends),
        max(activations[end] for end in ends),
        min(shortest[end] for end in ends),
        max(reach[end] for end in ends),
        growth,
        float(adds_input),
    )
    counted = Counter((layer.type, layer.kernel) for layer in layers)
    words = np.zeros(_BUCKETS)
    for word in _words(layers, ends):
        words[zlib.crc32(word.encode()) % _BUCKETS] += 1
    return _Seen(
        depth=max(depth[end] for end in ends),
        reach=max(reach[end] for end in ends),
        gain=growth,
        shape=np.array(shape, dtype=float),
        counts=np.array([counted[choice] for choice in _COUNTED], dtype=float),
        words=words,
    )


def _radius(layer: Layer) -> float:
    """How far a layer looks, in feature pixels; at half the resolution twice as far and a pixel more."""
    radius = max(0, layer.kernel - 1) / 2
    return 2 * radius + 1 if layer.type is LayerType.COARSE else radius


def _words(layers: tuple[Layer, ...], ends: tuple[int, ...]) -> Iterator[str]:
    """Edges, neighbourhoods to a distance of two (Weisfeiler–Leman), and paths; once for each occurrence."""
    names = {_INPUT: "in", _OUTPUT: "out"} | {
        layer.index: f"{layer.type.name}{layer.kernel}" for layer in layers
    }
    before: dict[int, tuple[int, ...]] = {_INPUT: (), _OUTPUT: ends}
    before |= {layer.index: layer.predecessors for layer in layers}
    after: dict[int, list[int]] = {index: [] for index in names}
    for index, preds in before.items():
        for pred in preds:
            after[pred].append(index)
            yield f"{names[pred]}>{names[index]}"
    labels = names
    for _ in range(2):
        labels = {
            index: f"{label}({_joined(labels, before[index])})[{_joined(labels, after[index])}]"
            for index, label in labels.items()
        }
        yield from labels.values()
    paths: dict[int, list[str]] = {_INPUT: ["in"]}
    for layer in layers:
        through = sorted(path for pred in layer.predecessors for path in paths[pred])
        paths[layer.index] = [f"{path}|{names[layer.index]}" for path in through[:_MOST_PATHS]]
    for end in ends:
        yield from paths[end]


def _joined(labels: dict[int, str], indices: tuple[int, ...] | list[int]) -> str:
    return ",".join(sorted(labels[index] for index in indices))

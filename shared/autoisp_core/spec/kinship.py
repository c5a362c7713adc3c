"""How much of a network's weights another one, trained already, could hand down to it.

Two blocks correspond layer by layer from their inputs on: a layer has its place in the other block where the
layers that it reads have theirs. Weights go from a layer to one of the same type in the same place; channels
and kernels overlap as far as both have them.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from autoisp_core.spec.layers import COMMUTATIVE, Layer, LayerType, groups_of
from autoisp_core.spec.model import Spec
from autoisp_core.spec.rules import loose_ends

_BAYER_PLANES, _COLOURS, _TAPS = 4, 3, 9
_FUSION_TAPS = 25
_INPUT = 0
_LEARNED = frozenset(
    {LayerType.CONV, LayerType.COARSE, LayerType.DEPTHWISE, LayerType.GROUPED, LayerType.CONCAT}
)
"""Types whose weights can be cut to another width; a bank of dynamic kernels begins anew."""


@dataclass(frozen=True, slots=True)
class Kinship:
    """What one network takes over from another.

    Attributes:
        share: of its weights, 0 to 1; 0 between networks whose features don't mean the same.
        places: index of each layer, and of the block's input, to that of the donor's in its place.
        layers: the part of it that weights are taken over in.
    """

    share: float
    places: Mapping[int, int]
    layers: Mapping[int, int]


NONE = Kinship(0.0, {}, {})


def kinship(spec: Spec, donor: Spec) -> Kinship:
    """What the network of ``spec`` can take over from that of ``donor``, both valid.

    Features mean the same only with the same packing and the same head, and a head that corrects a demosaic
    says something else than one that makes the whole picture.

    Example:
        >>> block = Spec.code((1, 1, 3, 0, 0), (2, 7, 0, 0, 0))
        >>> kinship(Spec(block, width=16), Spec(block, width=16)).share
        1.0
        >>> 0 < kinship(Spec(block, width=16, repeats=2), Spec(block, width=16)).share < 1
        True
    """
    if (spec.packing, spec.head, spec.residual) != (donor.packing, donor.head, donor.residual):
        return NONE
    places = _places(spec.block, donor.block)
    layers = _with_weights(spec, donor, places)
    taken = _taken(spec, donor, places, layers)
    everything = {index: index for index in range(len(spec.block))}
    whole = _taken(spec, spec, everything, _with_weights(spec, spec, everything))
    return Kinship(taken / whole, places, layers)


def _places(block: tuple[Layer, ...], donor: tuple[Layer, ...]) -> dict[int, int]:
    places, free = {_INPUT: _INPUT}, {layer.index: layer for layer in donor[:-1]}
    for layer in block[:-1]:
        if not all(pred in places for pred in layer.predecessors):
            continue
        preds = [places[pred] for pred in layer.predecessors]
        alike = [other for other in free.values() if _reads(other, preds, layer)]
        if alike:
            best = min(alike, key=lambda other: (*_unlikeness(layer, other), other.index))
            places[layer.index] = best.index
            del free[best.index]
    return places


def _reads(other: Layer, preds: list[int], layer: Layer) -> bool:
    found = list(other.predecessors)
    if layer.type in COMMUTATIVE and other.type == layer.type:
        return sorted(found) == sorted(preds)
    return found == preds


def _unlikeness(layer: Layer, other: Layer) -> tuple[bool, int]:
    return other.type != layer.type, abs(other.kernel - layer.kernel)


def _with_weights(spec: Spec, donor: Spec, places: Mapping[int, int]) -> dict[int, int]:
    """The learned layers whose weights fit; groups of channels do only where both have as many."""
    found = {}
    for layer in spec.block[:-1]:
        place = places.get(layer.index)
        if place is None or layer.type not in _LEARNED or donor.block[place - 1].type != layer.type:
            continue
        if layer.type == LayerType.GROUPED and spec.width != donor.width:
            continue
        found[layer.index] = place
    return found


def _taken(spec: Spec, donor: Spec, places: Mapping[int, int], layers: Mapping[int, int]) -> float:
    """Weights of ``spec`` that come from ``donor``; biases are too few to matter."""
    width, stride = min(spec.width, donor.width), spec.packing // 2
    stem_taps = (min(spec.stem_kernel, donor.stem_kernel) * stride) ** 2
    count: float = stem_taps * _BAYER_PLANES * min(spec.frames, donor.frames) * width
    planes = (_TAPS if spec.head else _COLOURS) * spec.packing**2
    count += min(spec.head_kernel, donor.head_kernel) ** 2 * width * planes
    if spec.recurrent and donor.recurrent:
        count += _FUSION_TAPS * width + width**2
    block: float = sum(
        _layer_weights(spec.block[index - 1], donor.block[place - 1], width)
        for index, place in layers.items()
    )
    ends, donor_ends = loose_ends(spec.block), loose_ends(donor.block)
    if len(ends) > 1 and len(donor_ends) > 1:
        block += width**2 * sum(places.get(end) in donor_ends for end in ends)
    return count + min(spec.repeats, donor.repeats) * block


def _layer_weights(layer: Layer, donor: Layer, width: int) -> int:
    taps = min(layer.kernel, donor.kernel) ** 2
    match layer.type:
        case LayerType.CONV | LayerType.COARSE:
            return taps * width * width
        case LayerType.DEPTHWISE:
            return taps * width
        case LayerType.GROUPED:
            return taps * width * width // groups_of(width)
        case LayerType.CONCAT:
            return 2 * width * width
        case _:
            return 0

"""First weights of a network, taken over from a trained one of another spec as far as they fit.

Where the network is wider than its donor, what is new is not read at first by what is old, and blocks that
the donor has not begin as the identity: the network starts out doing what its donor does (Chen, Goodfellow,
Shlens: "Net2Net", arXiv 1511.05641), as far as it can. All else keeps the weights it would have started from.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from autoisp_core.errors import InvalidArgumentError
from autoisp_core.spec import Kinship, LayerType, Spec, kinship, loose_ends
from torch import Tensor

from autoisp_isp.network import build
from autoisp_isp.network.block import FUSE, layer_name

_BAYER_PLANES = 4
_Columns = Sequence[tuple[int, int, int, int]]
"""Which input channels belong together: first one and number, of the network and of its donor."""


def inherited_weights(spec: Spec, donor: Spec, weights: Mapping[str, Tensor], seed: int) -> dict[str, Tensor]:
    """Weights that the network of ``spec`` starts from.

    Args:
        spec: of the network.
        donor: of the trained one.
        weights: the trained one's, by name.
        seed: of what is not inherited; the same as the training's.

    Returns:
        By name, all that the network has.

    Raises:
        InvalidArgumentError: the weights are not the donor's.
    """
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        fresh = {name: value.clone() for name, value in build(spec).state_dict().items()}
    common = kinship(spec, donor)
    if not common.share:
        return fresh
    try:
        _hand_down(fresh, weights, spec, donor, common)
    except (KeyError, RuntimeError) as error:
        raise InvalidArgumentError(
            "inheritance.checkpoint", f"these weights are not those of the spec they came with: {error}"
        ) from error
    return fresh


def _hand_down(
    fresh: dict[str, Tensor], weights: Mapping[str, Tensor], spec: Spec, donor: Spec, common: Kinship
) -> None:
    width, old = spec.width, donor.width
    features: _Columns = [(0, width, 0, old)]
    # The newest frame comes last in both.
    frames = min(spec.frames, donor.frames) * _BAYER_PLANES
    newest = [(_BAYER_PLANES * spec.frames - frames, frames, _BAYER_PLANES * donor.frames - frames, frames)]
    _take(fresh, weights, "stem", "stem", newest)
    _take(fresh, weights, "head", "head", features)
    if spec.recurrent and donor.recurrent:
        _take(fresh, weights, "fusion.around", "fusion.around", [(0, 1, 0, 1)])
        _take(fresh, weights, "fusion.gate", "fusion.gate", features)
    for block in range(min(spec.repeats, donor.repeats)):
        for index, place in common.layers.items():
            layer, origin = spec.block[index - 1], donor.block[place - 1]
            name, its = f"blocks.{block}.{layer_name(layer)}", f"blocks.{block}.{layer_name(origin)}"
            columns = features
            if layer.type == LayerType.CONCAT:
                columns = _side_by_side(layer.predecessors, origin.predecessors, common, width, old)
            elif layer.type == LayerType.DEPTHWISE:
                columns = [(0, 1, 0, 1)]
            elif layer.type == LayerType.GROUPED:
                columns = [(0, fresh[f"{name}.weight"].shape[1], 0, weights[f"{its}.weight"].shape[1])]
            _take(fresh, weights, name, its, columns)
        ends, donor_ends = loose_ends(spec.block), loose_ends(donor.block)
        if len(ends) > 1 and len(donor_ends) > 1:
            columns = _side_by_side(ends, donor_ends, common, width, old)
            _take(fresh, weights, f"blocks.{block}.{FUSE}", f"blocks.{block}.{FUSE}", columns)


def _side_by_side(
    layers: Sequence[int], donors: Sequence[int], common: Kinship, width: int, old: int
) -> _Columns:
    """Features of several layers, each of those that the donor has in its place."""
    found, free = [], list(range(len(donors)))
    for position, index in enumerate(layers):
        at = next((place for place in free if common.places.get(index) == donors[place]), None)
        if at is not None:
            free.remove(at)
            found.append((position * width, width, at * old, old))
    return found


def _take(
    fresh: dict[str, Tensor], weights: Mapping[str, Tensor], name: str, its: str, columns: _Columns
) -> None:
    """Overwrites the part of one convolution that its donor has too."""
    if not columns:
        return
    target, source = fresh[f"{name}.weight"], weights[f"{its}.weight"]
    rows = min(target.shape[0], source.shape[0])
    inner, outer = _centred(target.shape[-1], source.shape[-1])
    # What the donor reads nothing from is nothing to it; so is what a smaller kernel does not reach.
    target[:rows] = 0.0
    for first, count, its_first, its_count in columns:
        both = min(count, its_count)
        target[:rows, first : first + both, inner, inner] = source[
            :rows, its_first : its_first + both, outer, outer
        ]
    bias = fresh.get(f"{name}.bias")
    if bias is not None:
        bias[:rows] = weights[f"{its}.bias"][:rows]


def _centred(target: int, source: int) -> tuple[slice, slice]:
    """Where kernels of two sizes have the same taps."""
    both = min(target, source)
    first, its_first = (target - both) // 2, (source - both) // 2
    return slice(first, first + both), slice(its_first, its_first + both)

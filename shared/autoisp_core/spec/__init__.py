"""Architecture as data: the spec of a pixel-level network, its rules, its identity, its cost and its space.

A :class:`Spec` is one BlockQNN-style block (Network Structure Code tuples) plus the few numbers around it.
Nothing here knows torch or ONNX; ``autoisp_isp`` builds and exports what a spec says.
"""

from autoisp_core.spec.anchors import (
    ANCHOR_BLOCKS,
    RESIDUAL_PAIR,
    RESIDUAL_SINGLE,
    anchor_specs,
    anchor_stacks,
    best_anchors,
    is_anchor,
)
from autoisp_core.spec.canonical import canonical_hash
from autoisp_core.spec.cost import FRAME_PIXELS, Cost, cost
from autoisp_core.spec.device import DEVICES, Bound, DeviceProfile, Roofline, device_named, roofline
from autoisp_core.spec.kinship import Kinship, kinship
from autoisp_core.spec.layers import BANK, Layer, LayerType, groups_of
from autoisp_core.spec.model import Spec, SpecError
from autoisp_core.spec.rules import MAX_INDEX, has_coarse, has_dynamic, is_valid, loose_ends, validate
from autoisp_core.spec.space import SearchSpace

__all__ = [
    "ANCHOR_BLOCKS",
    "BANK",
    "DEVICES",
    "FRAME_PIXELS",
    "MAX_INDEX",
    "RESIDUAL_PAIR",
    "RESIDUAL_SINGLE",
    "Bound",
    "Cost",
    "DeviceProfile",
    "Kinship",
    "Layer",
    "LayerType",
    "Roofline",
    "SearchSpace",
    "Spec",
    "SpecError",
    "anchor_specs",
    "anchor_stacks",
    "best_anchors",
    "canonical_hash",
    "cost",
    "device_named",
    "groups_of",
    "has_coarse",
    "has_dynamic",
    "is_anchor",
    "is_valid",
    "kinship",
    "loose_ends",
    "roofline",
    "validate",
]

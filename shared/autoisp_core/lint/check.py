"""The lint: all rules over a graph, for one device."""

from __future__ import annotations

from autoisp_core.lint.accelerator import Accelerator
from autoisp_core.lint.finding import DeviceLint
from autoisp_core.lint.graph import Graph
from autoisp_core.lint.hit import findings
from autoisp_core.lint.reading import Reading
from autoisp_core.lint.rules.budget import opset_too_new, over_budget
from autoisp_core.lint.rules.channels import channels_not_aligned
from autoisp_core.lint.rules.operators import control_flow, unsupported_operators
from autoisp_core.lint.rules.precision import eight_bit_shadows, precision_not_supported
from autoisp_core.lint.rules.shapes import dynamic_shapes, rank_too_high
from autoisp_core.lint.rules.splits import cpu_fallback_splits
from autoisp_core.lint.rules.weights import runtime_weights, weights_too_large

_RULES = (
    unsupported_operators,
    runtime_weights,
    control_flow,
    dynamic_shapes,
    rank_too_high,
    precision_not_supported,
    opset_too_new,
    eight_bit_shadows,
    channels_not_aligned,
    weights_too_large,
    over_budget,
)


def lint_graph(graph: Graph, device: Accelerator) -> DeviceLint:
    """Whether a device's accelerator runs a graph, and what stands in the way."""
    reading = Reading(graph)
    hits = [hit for rule in _RULES for hit in rule(reading, device)]
    left = {node.name for hit in hits if hit.leaves for node in hit.nodes}
    return DeviceLint(device.name, findings([*hits, *cpu_fallback_splits(reading, device, left)]))

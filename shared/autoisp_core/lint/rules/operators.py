"""Operators that an accelerator lacks, or has under conditions only."""

from __future__ import annotations

from collections.abc import Iterator

from autoisp_core.lint.accelerator import Accelerator, Conditions, Groups
from autoisp_core.lint.advice import ADVICE, OTHERWISE, SHOWN
from autoisp_core.lint.finding import Rule, Severity
from autoisp_core.lint.graph import Node
from autoisp_core.lint.hit import Hit
from autoisp_core.lint.reading import CONVOLUTIONS, Reading

_CONTROL = frozenset({"If", "Loop", "Scan"})
_MODES = {"DepthToSpace": "DCR", "Pad": "constant", "Resize": "nearest"}
"""ONNX's own defaults of the attribute "mode"."""
_EARLY = (
    "it works on a few numbers of the frame and not on its pixels: let the driver compute it before the "
    "accelerator starts"
)


def unsupported_operators(reading: Reading, device: Accelerator) -> Iterator[Hit]:
    """Each node whose operator isn't there, or not as the node needs it."""
    for node in reading.working:
        if node.inner or node.operator in _CONTROL:
            continue
        conditions = device.operators.get(node.operator)
        if conditions is None:
            yield from _hits(reading, device, node, "the device has no such operator", _advice(node, device))
        elif unmet := _unmet(reading, node, conditions):
            yield from _hits(reading, device, node, *unmet)


def control_flow(reading: Reading, device: Accelerator) -> Iterator[Hit]:
    """Branches and loops: which nodes run depends on values."""
    for node in reading.working:
        if (node.inner or node.operator in _CONTROL) and not device.control_flow:
            yield Hit(
                Rule.CONTROL_FLOW,
                device.unsupported,
                "what runs depends on values, and the device runs fixed lists of operators",
                "unroll it: export the network for one fixed case",
                (node,),
                leaves=True,
            )


def _hits(reading: Reading, device: Accelerator, node: Node, reason: str, fix: str) -> Iterator[Hit]:
    if not reading.is_early(node):
        yield Hit(Rule.UNSUPPORTED_OPERATOR, device.unsupported, reason, fix, (node,), leaves=True)
    elif device.unsupported is Severity.ERROR:  # else the same processor does it, in no time
        yield Hit(Rule.UNSUPPORTED_OPERATOR, Severity.WARNING, reason, _EARLY, (node,))


def _advice(node: Node, device: Accelerator) -> str:
    shown = ", ".join(name for name in SHOWN if name in device.operators)
    return ADVICE.get(node.operator) or OTHERWISE.format(operators=f"{shown} and others")


def _unmet(reading: Reading, node: Node, conditions: Conditions) -> tuple[str, str] | None:
    """Reason and fix of the first condition that the node doesn't meet."""
    kernel = node.integers("kernel_shape") or _kernel(reading, node)
    for values, allowed, what in (
        (kernel, conditions.kernels, "kernel sides"),
        (node.integers("strides"), conditions.strides, "strides"),
        (node.integers("dilations"), conditions.dilations, "dilations"),
    ):
        if allowed is not None and not set(values) <= set(allowed):
            sides = "×".join(map(str, values))
            return f"{sides} is not among its {what}", f"use one of {', '.join(map(str, allowed))}"
    groups = _groups(reading, node)
    if groups is not None and conditions.groups is not None and groups not in conditions.groups:
        return (
            f"{groups} convolutions are not among what it has ({', '.join(conditions.groups)})",
            "use a depthwise convolution with a 1×1 convolution after it, or a dense one",
        )
    mode = node.text("mode", _MODES.get(node.operator, ""))
    if conditions.modes is not None and mode not in conditions.modes:
        return f"mode {mode} is not among its modes", _mode_fix(node, conditions.modes)
    coordinates = node.text("coordinate_transformation_mode", "half_pixel")
    if conditions.coordinates is not None and coordinates not in conditions.coordinates:
        return (
            f"coordinates {coordinates} are not among what it has",
            f"use one of {', '.join(conditions.coordinates)}",
        )
    return None


def _mode_fix(node: Node, modes: tuple[str, ...]) -> str:
    there = ", ".join(modes)
    if node.operator == "DepthToSpace":
        return (
            f"use {there}: put the channels of the convolution before it into the other order, the values "
            "stay the same"
        )
    return f"use {there}"


def _kernel(reading: Reading, node: Node) -> tuple[int, ...]:
    if node.operator not in CONVOLUTIONS or len(node.inputs) < 2:
        return ()
    return (reading.weight_shape(node) or ())[2:]


def _groups(reading: Reading, node: Node) -> Groups | None:
    if node.operator not in CONVOLUTIONS:
        return None
    groups = node.integer("group", 1)
    if groups == 1:
        return Groups.DENSE
    shape = reading.weight_shape(node)
    inside = shape[1] if shape and node.operator == "Conv" else None
    return Groups.DEPTHWISE if inside == 1 else Groups.GROUPED

"""Number types."""

from __future__ import annotations

from collections.abc import Iterator

from autoisp_core.lint.accelerator import Accelerator
from autoisp_core.lint.finding import Rule, Severity
from autoisp_core.lint.graph import Node
from autoisp_core.lint.hit import Hit
from autoisp_core.lint.reading import WEIGHTED, Reading

_BITS = {"int8": "8", "uint8": "8", "int16": "16", "uint16": "16", "int4": "4", "uint4": "4"}
_FIXES = {
    "w8a16": "deliver the form onnx-int8: 8-bit weights, with 16-bit activations where 8 bits lose shadows",
    "float16": "deliver the form onnx-fp16, whose loss is measured",
    "float32": "deliver the form onnx-fp32",
    "w8a8": "quantise weights and activations to 8 bits, and look at the loss in shadows",
}
_REST = (
    "the rest of the graph is quantised: quantise these too, with 16-bit activations, or take them out of "
    "the graph and compute them before or after it"
)
_HALVES = "look at the loss of the form onnx-fp16 too: there this is in 16 bits, as it is on the device"


def precision_not_supported(reading: Reading, device: Accelerator) -> Iterator[Hit]:
    """Each node that works on feature maps of a type that the device lacks."""
    quantised = any(reading.activation(node) in _BITS for node in reading.working)
    fix = _REST if quantised else next(fix for name, fix in _FIXES.items() if name in device.precisions)
    converted = False
    there = "; ".join(map(_words, device.precisions))
    for node in reading.working:
        precision = _precision(reading, node) if reading.on_pixels(node) else ""
        if not precision or _has(device, precision):
            continue
        if precision == "float32" and device.float32_as:
            converted = True
            continue
        yield Hit(
            Rule.PRECISION_NOT_SUPPORTED,
            device.unsupported,
            f"{_words(precision)} on feature maps: the device has {there}",
            fix,
            (node,),
            merges=False,
            leaves=True,
        )
    if converted:
        what, fix = "the graph works", _FIXES[device.float32_as]
        if quantised:
            what, fix = "what is not quantised works", _HALVES
        yield Hit(
            Rule.PRECISION_NOT_SUPPORTED,
            Severity.WARNING,
            f"{what} in float32, and the device computes that in {device.float32_as}",
            fix,
        )


def eight_bit_shadows(reading: Reading, device: Accelerator) -> Iterator[Hit]:
    """Nodes that work on feature maps of 8 bits."""
    if "w8a16" in device.precisions:
        fix = "use 8-bit weights with 16-bit activations, at least where the pictures' own values pass"
    elif "float16" in device.precisions:
        fix = "use 16-bit floats on this device, which has no 16-bit integers"
    else:
        fix = "look at the loss in the darkest quarter of the pixels before you ship it"
    for node in reading.working:
        if reading.on_pixels(node) and _BITS.get(reading.activation(node)) == "8":
            yield Hit(
                Rule.EIGHT_BIT_SHADOWS,
                Severity.WARNING,
                "feature maps of 8 bits: raw has 10 to 14 bits, and the shadows have the lowest of them",
                fix,
                (node,),
                merges=False,
            )


def _precision(reading: Reading, node: Node) -> str:
    activation = reading.activation(node)
    bits = _BITS.get(activation)
    if bits is None:
        return activation
    if node.operator in WEIGHTED and len(node.inputs) > 1 and node.inputs[1] in reading.fixed:
        return f"w{_BITS.get(reading.kind(node.inputs[1]), '32')}a{bits}"
    return f"a{bits}"


def _has(device: Accelerator, precision: str) -> bool:
    if precision.startswith("a"):
        return any(one.endswith(precision) for one in device.precisions)
    return precision in device.precisions or not precision.startswith(("float", "bfloat", "double", "w"))


def _words(precision: str) -> str:
    weights, _, activations = precision.removeprefix("w").partition("a")
    if precision.startswith("w"):
        return f"{weights}-bit weights with {activations}-bit activations"
    return f"{activations}-bit integers" if precision.startswith("a") else precision

"""Kernels that are made at run time, and weights that don't fit the chip."""

from __future__ import annotations

from collections.abc import Iterator

from autoisp_core.lint.accelerator import Accelerator
from autoisp_core.lint.finding import Rule, Severity
from autoisp_core.lint.hit import Hit
from autoisp_core.lint.reading import CONVOLUTIONS, Reading

_MEGABYTE = 1 << 20
_FROZEN = (
    "export the deploy variant with frozen coefficients: autoisp_isp.deploy.frozen(network, "
    "coefficients_over(network, samples)), a plain static network (guide: dynamic convolutions)"
)
_LAGGED = (
    "these kernels are known before the frame comes: let the driver mix them and load them as weights, if it "
    "can change weights between frames; else " + _FROZEN
)


def runtime_weights(reading: Reading, device: Accelerator) -> Iterator[Hit]:
    """Each convolution whose kernel is computed in the graph."""
    if device.runtime_weights:
        return
    for node in reading.working:
        if node.operator not in CONVOLUTIONS or len(node.inputs) < 2 or node.inputs[1] in reading.fixed:
            continue
        early = node.inputs[1] in reading.early
        yield Hit(
            Rule.RUNTIME_WEIGHTS,
            device.unsupported,
            "its kernel is computed in the graph, and the device wants weights that are constant",
            _LAGGED if early else _FROZEN,
            (node,),
            leaves=True,
        )


def weights_too_large(reading: Reading, device: Accelerator) -> Iterator[Hit]:
    """Weights beyond what the chip keeps."""
    if device.on_chip_weight_bytes is None:
        return
    size = reading.weight_bytes(integer_bytes=1, float_bytes=2)
    if size > device.on_chip_weight_bytes:
        yield Hit(
            Rule.WEIGHTS_TOO_LARGE,
            Severity.WARNING,
            f"the weights take {size / _MEGABYTE:.1f} MiB, and the chip keeps "
            f"{device.on_chip_weight_bytes / _MEGABYTE:.1f} MiB: the rest comes from memory for every frame",
            "use a smaller width or fewer repeats, or 8-bit weights",
        )

"""The operator lint of ONNX files: whether the accelerators of phones run them.

It looks at the file and never runs it.
"""

from __future__ import annotations

from collections.abc import Sequence

from autoisp_core.lint import Accelerator, DeviceLint, accelerator_named, lint_graph

from autoisp_isp.lint.describe import MAX_BYTES, described

__all__ = ["MAX_BYTES", "described", "lint"]


def lint(
    model: bytes, devices: Sequence[Accelerator | str], *, field: str = "model"
) -> tuple[DeviceLint, ...]:
    """Whether each of the devices runs a graph, and what stands in the way.

    Args:
        model: serialised ONNX, of any inputs and outputs; float or quantised.
        devices: profiles, or names of those that are shipped.
        field: name of the argument that errors speak of.

    Returns:
        One for each device, in order.

    Raises:
        InvalidArgumentError: no valid ONNX, one too large to look at, or no such device.
    """
    accelerators = [accelerator_named(one) if isinstance(one, str) else one for one in devices]
    graph = described(model, field=field)
    return tuple(lint_graph(graph, accelerator) for accelerator in accelerators)

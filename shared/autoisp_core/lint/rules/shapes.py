"""Sizes that are open, or depend on what the pictures hold, and tensors of too many dimensions."""

from __future__ import annotations

from collections.abc import Iterator

from autoisp_core.lint.accelerator import Accelerator
from autoisp_core.lint.finding import Rule, Severity
from autoisp_core.lint.graph import Node
from autoisp_core.lint.hit import Hit
from autoisp_core.lint.reading import Reading

_VIEWS = frozenset({"Flatten", "Reshape", "Squeeze", "Unsqueeze"})
_FIX_SIZE = (
    "compile one file per picture size: python -m onnxruntime.tools.make_dynamic_shape_fixed --dim_param h "
    "--dim_value 1080 IN.onnx OUT.onnx, and so for each open size (w 1920, N 1)"
)


def dynamic_shapes(reading: Reading, device: Accelerator) -> Iterator[Hit]:
    """Open sizes of inputs, and sizes that follow from values."""
    if device.dynamic_shapes:
        return
    if reading.graph.free_inputs:
        names = ", ".join(reading.graph.free_inputs)
        yield Hit(
            Rule.DYNAMIC_SHAPE,
            Severity.WARNING,
            f"the file leaves the size of {names} open, and the device compiles for one size",
            _FIX_SIZE,
        )
    for node in reading.working:
        # What is read from an open size is open too: only where it begins is worth telling.
        if _open(reading, node.outputs) and not _open(reading, node.inputs):
            yield Hit(
                Rule.DYNAMIC_SHAPE,
                device.unsupported,
                "the size of what it makes does not follow from the size of the pictures",
                "use operators whose result has a fixed size, and fixed sizes for Reshape, Resize and Slice",
                (node,),
                leaves=True,
            )


def rank_too_high(reading: Reading, device: Accelerator) -> Iterator[Hit]:
    """Nodes with tensors of too many dimensions."""
    for node in reading.working:
        rank = _rank(reading, node)
        if rank <= device.max_rank:
            continue
        at_border = node.operator in _VIEWS and reading.is_given(node.inputs[0])
        yield Hit(
            Rule.RANK_TOO_HIGH,
            Severity.WARNING if at_border else device.unsupported,
            f"{rank} dimensions, and the device takes {device.max_rank}",
            "hand the frames over side by side, (N, 4·T, h, w): the bytes are the same, and this node goes"
            if at_border
            else "put the additional dimension into the channels",
            (node,),
            leaves=not at_border,
        )


def _open(reading: Reading, names: tuple[str, ...]) -> bool:
    return any(reading.graph.tensor(name).shape is None for name in names if name)


def _rank(reading: Reading, node: Node) -> int:
    shapes = (reading.graph.tensor(name).shape for name in (*node.inputs, *node.outputs) if name)
    return max((len(shape) for shape in shapes if shape is not None), default=0)

"""What an accelerator runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

from autoisp_core.lint.finding import Severity
from autoisp_core.spec.device import DeviceProfile


class Groups(StrEnum):
    """How a convolution's channels see each other."""

    DENSE = "dense"
    GROUPED = "grouped"
    DEPTHWISE = "depthwise"


@dataclass(frozen=True, slots=True)
class Conditions:
    """Under which conditions an operator runs; None: whatever it is.

    Attributes:
        kernels: lengths of a kernel's side.
        strides: steps of a window.
        dilations: distances between a kernel's taps.
        groups: how the channels see each other.
        modes: the attribute "mode": of DepthToSpace, Resize and Pad.
        coordinates: the attribute "coordinate_transformation_mode" of Resize.
    """

    kernels: tuple[int, ...] | None = None
    strides: tuple[int, ...] | None = None
    dilations: tuple[int, ...] | None = None
    groups: tuple[str, ...] | None = None
    modes: tuple[str, ...] | None = None
    coordinates: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class Accelerator:
    """A device profile for operators.

    Attributes:
        name: for people and command lines, such as "phone-npu-10".
        title: what it is, in a line.
        operators: those that it runs, and under which conditions.
        precisions: those that it works in: "float32", "float16", or "w8a8" and "w8a16": 8-bit weights with
            8-bit or 16-bit activations.
        unsupported: what it means that it doesn't run something: an error where that leaves the accelerator,
            a warning where the same processor does it by a slower way.
        float32_as: the precision in which it works on float32 graphs if not in that; empty: it refuses them.
        channel_multiple: channels are padded to multiples of it.
        max_rank: most dimensions of a tensor.
        dynamic_shapes: whether it runs graphs whose picture size is open.
        runtime_weights: whether a convolution's kernel may be computed in the graph.
        control_flow: whether it runs If, Loop and Scan.
        on_chip_weight_bytes: more weights are read from memory for every frame; None: no matter.
        max_opset: newest version of ONNX's operators that its compiler reads; None: any.
        rates: what it computes and moves in a second; None: no budget is checked.
    """

    name: str
    title: str
    operators: Mapping[str, Conditions]
    precisions: tuple[str, ...]
    unsupported: Severity = Severity.ERROR
    float32_as: str = ""
    channel_multiple: int = 1
    max_rank: int = 4
    dynamic_shapes: bool = False
    runtime_weights: bool = False
    control_flow: bool = False
    on_chip_weight_bytes: int | None = None
    max_opset: int | None = None
    rates: DeviceProfile | None = None

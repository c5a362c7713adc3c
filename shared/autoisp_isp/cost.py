"""What any ONNX graph costs per output pixel, counted from the shapes it has when it runs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import prod

import numpy as np
import numpy.typing as npt
import onnx
import onnx.inliner
from autoisp_core.errors import InvalidArgumentError
from autoisp_core.spec import FRAME_PIXELS

from autoisp_isp.contract import Contract, check_contract, parse_onnx
from autoisp_isp.cost_memory import peak_bytes
from autoisp_isp.cost_operators import check_countable, multiply_accumulates
from autoisp_isp.cost_shapes import Extent, extents
from autoisp_isp.cost_traffic import is_map, written_bytes


@dataclass(frozen=True, slots=True)
class OnnxCost:
    """Cost of an ONNX graph per output pixel; same conventions as :func:`autoisp_core.spec.cost`.

    Attributes:
        macs_per_pixel: multiply-accumulates of convolutions and matrix products, fixed ones included; those
            that are done once per frame are shared out over ``FRAME_PIXELS``.
        parameters: elements of all floating-point tensors in the file, and of quantised ones; single numbers
            and quantisation steps not counted.
        bytes_per_pixel: bytes of all feature maps that are written, views and in-place activations excluded.
        fusible_bytes_per_pixel: those of them that only elementwise operators write.
        state_bytes_per_pixel: bytes of recurrent state that one frame hands to the next.
        file_bytes: size of the serialised model.
        peak_activation_bytes_per_pixel: the most bytes of feature maps that live at one time.
    """

    macs_per_pixel: float
    parameters: int
    bytes_per_pixel: float
    fusible_bytes_per_pixel: float
    state_bytes_per_pixel: float
    file_bytes: int
    peak_activation_bytes_per_pixel: float


def count_cost(model: bytes, *, height: int = 64, width: int = 64, field: str = "prototype") -> OnnxCost:
    """Counts a graph's cost by running it once, unoptimised, on a grey picture.

    Args:
        model: serialised ONNX that obeys the model contract.
        height: rows of the output picture, a multiple of 4.
        width: columns of the output picture, a multiple of 4.
        field: name of the argument that errors speak of.

    Raises:
        InvalidArgumentError: no valid ONNX, not the contract's inputs and outputs, an operator whose
            arithmetic isn't countable, or a graph that doesn't run, or gives another size than 2h × 2w or a
            state that doesn't fit the next frame.
    """
    parsed = parse_onnx(model, field=field)
    contract = check_contract(parsed, field=field)
    parsed = onnx.inliner.inline_local_functions(parsed)
    check_countable(parsed.graph.node, field=field, fix="give --budget-macs instead")
    shapes = extents(parsed, grey_inputs(contract, height, width), field=field)
    size = shapes["srgb"].shape[-2:]
    if size != (height, width):
        given = (height // 2, width // 2)
        raise InvalidArgumentError(
            field, f"output 'srgb' is {size} for raw of {given}; it must be twice that size"
        )
    for one in contract.states:
        made, taken = shapes[one.output].shape, shapes[one.name].shape
        if made != taken:
            raise InvalidArgumentError(
                field,
                f"output {one.output!r} is {made}, and input {one.name!r}, which it goes into at the next "
                f"frame, is {taken}; both must have one shape",
            )
    area = height * width
    macs, frame_macs = _macs(parsed, shapes)
    inputs = {value.name for value in parsed.graph.input}
    written, fusible = written_bytes(parsed.graph.node, shapes, inputs)
    state = sum(shapes[one.output].nbytes for one in contract.states if is_map(shapes[one.output]))
    peak = peak_bytes(parsed.graph.node, shapes, inputs, [value.name for value in parsed.graph.output])
    return OnnxCost(
        macs_per_pixel=macs / area + frame_macs / FRAME_PIXELS,
        parameters=_parameters(parsed),
        bytes_per_pixel=written / area,
        fusible_bytes_per_pixel=fusible / area,
        state_bytes_per_pixel=state / area,
        file_bytes=len(model),
        peak_activation_bytes_per_pixel=peak / area,
    )


def grey_inputs(contract: Contract, height: int, width: int) -> dict[str, npt.NDArray[np.float32]]:
    """Inputs of a contract for an output picture of height × width: mid grey, neutral camera, no noise, no
    past."""
    frames = (contract.frames,) if contract.stacked else ()
    every = {
        "raw": np.full((1, *frames, 4, height // 2, width // 2), 0.5, np.float32),
        "gains": np.ones((1, 3), np.float32),
        "ccm": np.eye(3, dtype=np.float32)[None],
        "noise": np.full((1, 2), 1e-4, np.float32),
    }
    told = {name: every[name] for name in contract.inputs}
    return told | contract.start(1, height // 2, width // 2)


def _macs(model: onnx.ModelProto, shapes: Mapping[str, Extent]) -> tuple[int, int]:
    """Multiply-accumulates of what reads or makes maps, and of what is done once per frame."""
    macs = frame_macs = 0
    maps = {name for name, value in shapes.items() if value.nbytes and is_map(value)}
    for node in model.graph.node:
        count = multiply_accumulates(node, shapes)
        if maps.intersection((*node.input, *node.output)):
            macs += count
        else:
            frame_macs += count
    return macs, frame_macs


def _parameters(model: onnx.ModelProto) -> int:
    tensors = list(model.graph.initializer)
    tensors += [
        attribute.t
        for node in model.graph.node
        if node.op_type == "Constant"
        for attribute in node.attribute
        if attribute.name == "value"
    ]
    # The factors of a resize are settings, not weights.
    settings = {name for node in model.graph.node if node.op_type == "Resize" for name in node.input[1:]}
    quantisers = [node for node in model.graph.node if node.op_type in ("QuantizeLinear", "DequantizeLinear")]
    settings |= {name for node in quantisers for name in node.input[1:]}
    quantised = {node.input[0] for node in quantisers}
    real = (onnx.TensorProto.FLOAT, onnx.TensorProto.FLOAT16, onnx.TensorProto.DOUBLE)
    return sum(
        prod(tensor.dims)
        for tensor in tensors
        if (tensor.data_type in real or tensor.name in quantised)
        and len(tensor.dims) > 0
        and tensor.name not in settings
    )

"""The model contract: which ONNX graphs are prototypes and networks that AutoISP can run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import onnx
from autoisp_core.errors import InvalidArgumentError
from google.protobuf.message import DecodeError

_FLOAT = onnx.TensorProto.FLOAT
_ALLOWED = (
    "raw (N, 4, h, w) or (N, T, 4, h, w), gains (N, 3), ccm (N, 3, 3), noise (N, 2), all float32; "
    "output srgb (N, 3, 2h, 2w)"
)
_SIDE_INPUTS: dict[str, tuple[int, ...]] = {"gains": (3,), "ccm": (3, 3), "noise": (2,)}
"""Dimensions after the batch of the inputs besides ``raw``."""


@dataclass(frozen=True, slots=True)
class Contract:
    """What a graph takes.

    Attributes:
        frames: raw frames per run, the newest last; 1 for (N, 4, h, w).
        stacked: whether ``raw`` has a frame dimension, (N, T, 4, h, w).
        inputs: the graph's inputs, a subset of raw, gains, ccm, noise.
        metadata: the model's ``metadata_props``.
    """

    frames: int
    stacked: bool
    inputs: tuple[str, ...]
    metadata: dict[str, str]


def parse_onnx(data: bytes, *, field: str = "prototype") -> onnx.ModelProto:
    """Reads and checks serialised ONNX.

    Raises:
        InvalidArgumentError: the bytes are no valid, self-contained ONNX model; ``field`` names them.
    """
    try:
        model = onnx.load_model_from_string(data)
        onnx.checker.check_model(model)
    except (DecodeError, onnx.checker.ValidationError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InvalidArgumentError(
            field, f"not a valid ONNX model ({reason}); give one .onnx file that holds its weights"
        ) from error
    return model


def check_contract(model: onnx.ModelProto | bytes, *, field: str = "prototype") -> Contract:
    """Checks a graph's inputs and outputs against the model contract.

    Raises:
        InvalidArgumentError: names the input or output that the contract doesn't allow, and what it allows.
    """
    if isinstance(model, bytes):
        model = parse_onnx(model, field=field)
    constants = {initializer.name for initializer in model.graph.initializer}
    inputs = {value.name: value for value in model.graph.input if value.name not in constants}
    for name in inputs:
        if name.startswith("state"):
            raise InvalidArgumentError(
                field, f"input {name!r}: recurrent state is not available yet; use a window of frames"
            )
        if name != "raw" and name not in _SIDE_INPUTS:
            raise InvalidArgumentError(field, f"input {name!r} is not in the contract: {_ALLOWED}")
    if "raw" not in inputs:
        raise InvalidArgumentError(field, f"the model has no input 'raw'; the contract: {_ALLOWED}")
    for name, dimensions in _SIDE_INPUTS.items():
        if name in inputs:
            _check(field, "input", inputs[name], (None, *dimensions))
    raw = inputs["raw"]
    stacked = len(raw.type.tensor_type.shape.dim) == 5
    _check(field, "input", raw, (None, None, 4, None, None) if stacked else (None, 4, None, None))
    frames = _frames(field, raw) if stacked else 1
    _check_free_size(field, raw)
    _check_output(field, model)
    metadata = {entry.key: entry.value for entry in model.metadata_props}
    return Contract(frames=frames, stacked=stacked, inputs=tuple(inputs), metadata=metadata)


def _check_output(field: str, model: onnx.ModelProto) -> None:
    outputs = {value.name: value for value in model.graph.output}
    for name in outputs:
        if name != "srgb":
            raise InvalidArgumentError(field, f"output {name!r} is not in the contract: {_ALLOWED}")
    if not outputs:
        raise InvalidArgumentError(field, f"the model has no output 'srgb'; the contract: {_ALLOWED}")
    _check(field, "output", outputs["srgb"], (None, 3, None, None))


def _check(field: str, kind: str, value: Any, wanted: tuple[int | None, ...]) -> None:
    """Type, rank and the fixed dimensions; ``None`` stands for any size."""
    tensor = value.type.tensor_type
    dimensions = [dim.dim_value if dim.HasField("dim_value") else None for dim in tensor.shape.dim]
    fits = len(dimensions) == len(wanted) and all(
        size is None or want is None or size == want for size, want in zip(dimensions, wanted, strict=True)
    )
    if tensor.elem_type != _FLOAT or not fits:
        given = onnx.TensorProto.DataType.Name(tensor.elem_type)
        raise InvalidArgumentError(
            field, f"{kind} {value.name!r} is {given} {_text(dimensions)}; the contract: {_ALLOWED}"
        )


def _frames(field: str, raw: Any) -> int:
    frames = int(raw.type.tensor_type.shape.dim[1].dim_value)
    if frames < 1:
        raise InvalidArgumentError(
            field, "input 'raw' (N, T, 4, h, w) has no fixed T; export it with a fixed number of frames"
        )
    return frames


def _check_free_size(field: str, raw: Any) -> None:
    for dim in raw.type.tensor_type.shape.dim[-2:]:
        if dim.dim_value > 0:
            raise InvalidArgumentError(
                field, f"input 'raw' has the fixed size {dim.dim_value}; export it with dynamic h and w"
            )


def _text(dimensions: list[int | None]) -> str:
    return "(" + ", ".join("?" if size is None else str(size) for size in dimensions) + ")"

"""The model contract: which ONNX graphs are prototypes and networks that AutoISP can run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from autoisp_core.errors import InvalidArgumentError
from google.protobuf.message import DecodeError, Message

from autoisp_isp.states import State, is_state, read_states

_FLOAT = onnx.TensorProto.FLOAT
_ALLOWED = (
    "raw (N, 4, h, w) or (N, T, 4, h, w), gains (N, 3), ccm (N, 3, 3), noise (N, 2), state* (N, C) or "
    "(N, C, h/k, w/k), all float32; outputs srgb (N, 3, 2h, 2w) and state*_out for each state"
)
_SIDE_INPUTS: dict[str, tuple[int, ...]] = {"gains": (3,), "ccm": (3, 3), "noise": (2,)}
"""Dimensions after the batch of the inputs besides ``raw``."""


@dataclass(frozen=True, slots=True)
class Contract:
    """What a graph takes.

    Attributes:
        frames: raw frames per run, the newest last; 1 for (N, 4, h, w).
        stacked: whether ``raw`` has a frame dimension, (N, T, 4, h, w).
        inputs: what it is told of a frame, a subset of raw, gains, ccm, noise.
        metadata: the model's ``metadata_props``.
        states: what it carries from frame to frame; empty for a graph that sees nothing but its window.
    """

    frames: int
    stacked: bool
    inputs: tuple[str, ...]
    metadata: dict[str, str]
    states: tuple[State, ...] = ()

    @property
    def recurrent(self) -> bool:
        """Whether a picture depends on the frames that were run before."""
        return bool(self.states)

    def start(self, batch: int, height: int, width: int) -> dict[str, npt.NDArray[np.float32]]:
        """The state inputs at a stream's start, for raw planes of height × width: all zero."""
        return {state.name: state.zeros(batch, height, width) for state in self.states}


def parse_onnx(data: bytes, *, field: str = "prototype") -> onnx.ModelProto:
    """Reads and checks serialised ONNX.

    Raises:
        InvalidArgumentError: the bytes are no valid, self-contained ONNX model; ``field`` names them.
    """
    try:
        model = onnx.load_model_from_string(data)
        # Before the checker, which looks for the files.
        if any(tensor.data_location == onnx.TensorProto.EXTERNAL for tensor in _tensors(model)):
            raise InvalidArgumentError(
                field, "the model's weights are in another file; give one .onnx file that holds them"
            )
        onnx.checker.check_model(model)
    except (DecodeError, onnx.checker.ValidationError, ValueError) as error:
        reason = " ".join(str(error).split())[:200]
        raise InvalidArgumentError(
            field, f"not a valid ONNX model ({reason}); give one .onnx file that holds its weights"
        ) from error
    return model


def _tensors(message: Message) -> Iterator[onnx.TensorProto]:
    """Wherever they are: of graphs, attributes, functions, and graphs in attributes."""
    if isinstance(message, onnx.TensorProto):
        yield message
        return
    for field, value in message.ListFields():
        if field.message_type is not None:
            for inner in value if isinstance(value, Sequence) else (value,):
                yield from _tensors(inner)


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
        if name != "raw" and name not in _SIDE_INPUTS and not is_state(name):
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
    outputs = {value.name: value for value in model.graph.output}
    _check_outputs(field, outputs)
    return Contract(
        frames=frames,
        stacked=stacked,
        inputs=tuple(name for name in inputs if not is_state(name)),
        metadata={entry.key: entry.value for entry in model.metadata_props},
        states=read_states(inputs, outputs, field=field),
    )


def _check_outputs(field: str, outputs: Mapping[str, Any]) -> None:
    for name in outputs:
        if name != "srgb" and not is_state(name):
            raise InvalidArgumentError(field, f"output {name!r} is not in the contract: {_ALLOWED}")
    if "srgb" not in outputs:
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

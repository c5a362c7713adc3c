"""Recurrent state of graphs: inputs `state*` that the outputs `state*_out` of the frame before go into."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import onnx
from autoisp_core.errors import InvalidArgumentError

PREFIX, SUFFIX = "state", "_out"
_MOST = 4096
"""Channels, and raw pixels per value along an axis: beyond it is a mistake that would only eat memory."""
_LEGIBLE = 32
_FORMS = (
    "(N, C) or (N, C, 'h/k', 'w/k') float32 with a fixed C, the names saying the size for raw of h × w; "
    f"C and k are at most {_MOST}"
)


@dataclass(frozen=True, slots=True)
class State:
    """One input that carries something from frame to frame.

    Attributes:
        name: of the input; the output is :attr:`output`.
        channels: C.
        divisor: raw pixels per value along one axis, rounded up at the border; None for (N, C).
    """

    name: str
    channels: int
    divisor: int | None

    @property
    def output(self) -> str:
        """Name of the output that the next frame's input comes from."""
        return self.name + SUFFIX

    def zeros(self, batch: int, height: int, width: int) -> npt.NDArray[np.float32]:
        """The state at a stream's start, for raw planes of height × width."""
        size = () if self.divisor is None else (-(-height // self.divisor), -(-width // self.divisor))
        return np.zeros((batch, self.channels, *size), np.float32)


def is_state(name: str) -> bool:
    """Whether an input's or an output's name says that it is recurrent state."""
    return name.startswith(PREFIX)


def read_states(inputs: Mapping[str, Any], outputs: Mapping[str, Any], *, field: str) -> tuple[State, ...]:
    """The states of a graph.

    Args:
        inputs: the graph's inputs by name, as ONNX value infos.
        outputs: its outputs.
        field: what errors name.

    Raises:
        InvalidArgumentError: a state without its output or the reverse, or one of another type or form.
    """
    states = tuple(_state(field, value) for name, value in inputs.items() if is_state(name))
    for state in states:
        if state.output not in outputs:
            raise InvalidArgumentError(
                field,
                f"input {state.name!r} has no output {state.output!r} that carries it to the next frame",
            )
        _check_output(field, state, outputs[state.output])
    carried = {state.output for state in states}
    for name in outputs:
        if is_state(name) and name not in carried:
            wanted = name.removesuffix(SUFFIX) if name.endswith(SUFFIX) else f"{name} and the suffix {SUFFIX}"
            raise InvalidArgumentError(
                field, f"output {name!r} goes nowhere: it needs the input {wanted!r}, which the model lacks"
            )
    return states


def only_states(model: onnx.ModelProto) -> onnx.ModelProto:
    """The part of a graph that makes its states, for frames whose picture nobody wants.

    ONNX Runtime computes a whole graph whatever outputs it is asked for.
    """
    part = onnx.ModelProto()
    part.CopyFrom(model)
    kept = [value for value in model.graph.output if is_state(value.name)]
    wanted = {value.name for value in kept}
    nodes = []
    for node in reversed(model.graph.node):
        if wanted.intersection(node.output):
            nodes.append(node)
            wanted.update(node.input)
            # Graphs inside a node may use any value of the graph around them.
            for inner in (attribute.g for attribute in node.attribute if attribute.HasField("g")):
                wanted.update(name for each in inner.node for name in each.input)
    del part.graph.output[:], part.graph.node[:]
    part.graph.output.extend(kept)
    part.graph.node.extend(reversed(nodes))
    return part


def _state(field: str, value: Any) -> State:
    tensor = value.type.tensor_type
    dimensions = list(tensor.shape.dim)
    if tensor.elem_type != onnx.TensorProto.FLOAT or len(dimensions) not in (2, 4):
        raise _wrong(field, "input", value)
    channels = int(dimensions[1].dim_value)
    if not 1 <= channels <= _MOST:
        raise _wrong(field, "input", value)
    if len(dimensions) == 2:
        return State(value.name, channels, None)
    divisors = {
        _divisor(dim.dim_param, letter) for dim, letter in zip(dimensions[2:], ("h", "w"), strict=True)
    }
    divisor = divisors.pop()
    if divisors or divisor is None:
        raise _wrong(field, "input", value)
    return State(value.name, channels, divisor)


def _divisor(text: str, letter: str) -> int | None:
    """1 of `h`, 4 of `h/4`; None of what is neither."""
    name, slash, number = text.partition("/")
    if name != letter:
        return None
    if not slash:
        return 1
    # Python itself refuses to read thousands of digits.
    short = number.isdecimal() and len(number) <= len(str(_MOST))
    return int(number) if short and 1 <= int(number) <= _MOST else None


def _check_output(field: str, state: State, value: Any) -> None:
    tensor = value.type.tensor_type
    dimensions = list(tensor.shape.dim)
    rank = 2 if state.divisor is None else 4
    fits = tensor.elem_type == onnx.TensorProto.FLOAT and len(dimensions) == rank
    if not fits or dimensions[1].dim_value not in (0, state.channels):
        raise _wrong(field, "output", value)


def _wrong(field: str, kind: str, value: Any) -> InvalidArgumentError:
    tensor = value.type.tensor_type
    sizes = [dim.dim_param[:_LEGIBLE] or str(dim.dim_value or "?") for dim in tensor.shape.dim]
    given = f"{onnx.TensorProto.DataType.Name(tensor.elem_type)} ({', '.join(sizes)})"
    return InvalidArgumentError(field, f"{kind} {value.name!r} is {given}; a state must be {_FORMS}")

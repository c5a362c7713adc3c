"""What a file must keep to be registered. Imports onnx: only the isolated process may load this."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence

import onnx
from google.protobuf.message import DecodeError
from onnx import TensorProto

MAX_NODES = 100_000
MAX_DIMS = 16

_INPUTS = ("raw", "gains", "ccm", "noise")
_WIDTHS: dict[int, int] = {
    TensorProto.FLOAT: 4,
    TensorProto.UINT8: 1,
    TensorProto.INT8: 1,
    TensorProto.UINT16: 2,
    TensorProto.INT16: 2,
    TensorProto.INT32: 4,
    TensorProto.INT64: 8,
    TensorProto.BOOL: 1,
    TensorProto.FLOAT16: 2,
    TensorProto.DOUBLE: 8,
    TensorProto.UINT32: 4,
    TensorProto.UINT64: 8,
    TensorProto.BFLOAT16: 2,
}


def problem_of(data: bytes) -> str:
    """Why the file can't be registered, for people; empty if it can."""
    try:
        model = onnx.ModelProto.FromString(data)
    except DecodeError:
        # Running out of memory looks the same here.
        return "it is no ONNX model, not all of one, or too large to be read; export the network again"
    if not model.graph.node:
        return "it holds no graph; export the network again"
    return _nodes(model) or _tensors(model) or _contract(model.graph) or _checked(model)


def _nodes(model: onnx.ModelProto) -> str:
    count = sum(1 for _ in _all_nodes(model))
    return f"it has {count:,} nodes, more than {MAX_NODES:,}" if count > MAX_NODES else ""


def _tensors(model: onnx.ModelProto) -> str:
    for tensor in _all_tensors(model):
        name = tensor.name[:100]
        if tensor.data_location == TensorProto.EXTERNAL or tensor.external_data:
            path = next((e.value for e in tensor.external_data if e.key == "location"), "")[:200]
            return (
                f"the weights of {name!r} lie outside of it, at {path!r}; save the model with all its "
                "weights inside"
            )
        if len(tensor.dims) > MAX_DIMS:  # the product of millions of sizes takes minutes
            return f"the tensor {name!r} has {len(tensor.dims):,} dimensions, more than {MAX_DIMS}"
        width = _WIDTHS.get(int(tensor.data_type))
        if any(dim < 0 for dim in tensor.dims):
            return f"the tensor {name!r} has a negative size"
        if tensor.raw_data and width and math.prod(tensor.dims) * width != len(tensor.raw_data):
            shape = "x".join(map(str, tensor.dims))[:100]
            return f"the tensor {name!r} claims to be {shape} but holds {len(tensor.raw_data):,} bytes"
    if model.graph.sparse_initializer:
        return "it has sparse weights, which devices don't run; save them dense"
    return ""


def _contract(graph: onnx.GraphProto) -> str:
    constants = {tensor.name for tensor in graph.initializer}
    inputs = [value for value in graph.input if value.name not in constants]
    return (
        _names("input", inputs, "raw", _is_input, "raw, gains, ccm, noise, state*")
        or _names("output", graph.output, "srgb", _is_output, "srgb, state*_out")
        or _ranks(inputs, "raw", (4, 5))
        or _ranks(graph.output, "srgb", (4,))
    )


def _names(
    what: str,
    values: Iterable[onnx.ValueInfoProto],
    wanted: str,
    allowed: Callable[[str], bool],
    contract: str,
) -> str:
    kinds = {value.name: value.type.tensor_type.elem_type for value in values}
    shown = ", ".join(name[:50] for name in list(kinds)[:20]) or "none"
    if wanted not in kinds:
        return f"it has no {what} {wanted!r}; its {what}s are {shown}"
    for name, kind in kinds.items():
        if not allowed(name):
            return f"{name[:100]!r} is no {what} of the model contract ({contract}); its {what}s are {shown}"
        if kind != TensorProto.FLOAT:
            return f"the {what} {name!r} is not float32"
    return ""


def _is_input(name: str) -> bool:
    return name in _INPUTS or name.startswith("state")


def _is_output(name: str) -> bool:
    return name == "srgb" or (name.startswith("state") and name.endswith("_out"))


def _ranks(values: Iterable[onnx.ValueInfoProto], name: str, allowed: Sequence[int]) -> str:
    kind = next(value.type.tensor_type for value in values if value.name == name)
    if not kind.HasField("shape") or len(kind.shape.dim) in allowed:
        return ""
    return f"{name!r} has {len(kind.shape.dim)} dimensions, not {' or '.join(map(str, allowed))}"


def _checked(model: onnx.ModelProto) -> str:
    try:
        onnx.checker.check_model(model)
    except MemoryError:
        raise
    except Exception as error:  # the checker has no family of errors
        return f"the ONNX checker says: {' '.join(str(error).split())[:500]}"
    return ""


def _all_nodes(model: onnx.ModelProto) -> Iterator[onnx.NodeProto]:
    todo: list[onnx.NodeProto] = [node for graph in _graphs(model) for node in graph.node]
    todo += [node for function in model.functions for node in function.node]
    while todo:
        node = todo.pop()
        yield node
        for attribute in node.attribute:
            for graph in (*([attribute.g] if attribute.HasField("g") else ()), *attribute.graphs):
                todo += graph.node


def _all_tensors(model: onnx.ModelProto) -> Iterator[TensorProto]:
    for graph in _graphs(model):
        yield from _own_tensors(graph)
    for node in _all_nodes(model):
        for attribute in node.attribute:
            if attribute.HasField("t"):
                yield attribute.t
            yield from attribute.tensors
            for sparse in (
                *([attribute.sparse_tensor] if attribute.HasField("sparse_tensor") else ()),
                *attribute.sparse_tensors,
            ):
                yield from (sparse.values, sparse.indices)
            for graph in (*([attribute.g] if attribute.HasField("g") else ()), *attribute.graphs):
                yield from _own_tensors(graph)


def _own_tensors(graph: onnx.GraphProto) -> Iterator[TensorProto]:
    yield from graph.initializer
    for sparse in graph.sparse_initializer:
        yield from (sparse.values, sparse.indices)


def _graphs(model: onnx.ModelProto) -> Iterator[onnx.GraphProto]:
    yield model.graph
    for training in model.training_info:
        yield from (training.initialization, training.algorithm)

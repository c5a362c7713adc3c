"""An ONNX file as the lint's small description of a graph."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import onnx
import onnx.inliner
from autoisp_core.errors import InvalidArgumentError
from autoisp_core.lint import Graph, Node, Tensor
from autoisp_core.lint.graph import Attribute
from onnx import AttributeProto, TensorProto

from autoisp_isp.contract import parse_onnx
from autoisp_isp.lint.budget import pixel_cost
from autoisp_isp.lint.quantisers import mark_quantisers, operator_of
from autoisp_isp.lint.sized import HEIGHT, WIDTH, bind, fold, opset_of

MAX_NODES = 20_000
MAX_BYTES = 256 << 20
_PRINTED = 200


def described(model: bytes, *, field: str = "model") -> Graph:
    """The graph of a file at 3840 × 2160, without running it.

    Args:
        model: serialised ONNX.
        field: name of the argument that errors speak of.

    Raises:
        InvalidArgumentError: no valid ONNX, sizes that don't fit together, or a graph too large to look at.
    """
    if len(model) > MAX_BYTES:
        raise InvalidArgumentError(
            field, f"the model has {len(model):,} bytes; the lint looks at no more than {MAX_BYTES:,}"
        )
    parsed = _inlined(parse_onnx(model, field=field), field)
    if len(parsed.graph.node) > MAX_NODES:
        raise InvalidArgumentError(
            field,
            f"the graph has {len(parsed.graph.node):,} nodes; the lint looks at no more than {MAX_NODES:,}",
        )
    mark_quantisers(parsed)
    free = bind(parsed)
    sized = fold(parsed, field)
    tensors = dict(_tensors(sized.graph))
    constants = {tensor.name for tensor in sized.graph.initializer}
    inputs = tuple(value.name for value in sized.graph.input if value.name not in constants)
    outputs = tuple(value.name for value in sized.graph.output)
    return Graph(
        nodes=tuple(_nodes(sized.graph.node)),
        tensors=tensors,
        inputs=inputs,
        outputs=outputs,
        pixels=_pixels(tensors[name] for name in (*inputs, *outputs) if name in tensors),
        free_inputs=free,
        opset=opset_of(sized),
        cost=pixel_cost(sized.graph, tensors, inputs),
    )


def _inlined(model: onnx.ModelProto, field: str) -> onnx.ModelProto:
    try:
        return onnx.inliner.inline_local_functions(model)
    except Exception as error:  # a function that calls itself, and what else onnx finds
        reason = " ".join(str(error).split())[:_PRINTED]
        raise InvalidArgumentError(field, f"the model's functions can't be inlined: {reason}") from error


def _pixels(tensors: Iterable[Tensor]) -> int:
    """Of the largest picture that goes in or comes out, as its last two dimensions say."""
    areas = [shape[-1] * shape[-2] for tensor in tensors if (shape := tensor.shape) and len(shape) > 2]
    return max(areas, default=HEIGHT * WIDTH)


def _tensors(graph: onnx.GraphProto) -> Iterator[tuple[str, Tensor]]:
    for value in (*graph.input, *graph.value_info, *graph.output):
        kind = value.type.tensor_type
        known = kind.HasField("shape") and all(dim.HasField("dim_value") for dim in kind.shape.dim)
        shape = tuple(int(dim.dim_value) for dim in kind.shape.dim) if known else None
        yield value.name, Tensor(shape, _dtype(kind.elem_type))
    for tensor in graph.initializer:
        yield tensor.name, Tensor(tuple(tensor.dims), _dtype(tensor.data_type), constant=True)


def _dtype(number: int) -> str:
    """ONNX's FLOAT and DOUBLE are numpy's float32 and float64."""
    name = TensorProto.DataType.Name(number).lower() if number in TensorProto.DataType.values() else ""
    return {"undefined": "", "float": "float32", "double": "float64"}.get(name, name)


def _nodes(nodes: Iterable[onnx.NodeProto]) -> Iterator[Node]:
    """Names are made unique, and readable where the file has none."""
    taken: set[str] = set()
    for place, node in enumerate(nodes):
        name = _printable(node.name) or f"{_printable(node.op_type)}_{place}"
        name = f"{name}_{place}" if name in taken else name
        taken.add(name)
        inner = any(
            attribute.type in (AttributeProto.GRAPH, AttributeProto.GRAPHS) for attribute in node.attribute
        )
        yield Node(
            name,
            _printable(operator_of(node)),
            tuple(node.input),
            tuple(node.output),
            attributes=dict(_attributes(node)),
            inner=inner,
        )


def _printable(text: str) -> str:
    """Anybody may have written it, and people will read it in a terminal."""
    return "".join(letter if letter.isprintable() else "?" for letter in text[:_PRINTED])


def _attributes(node: onnx.NodeProto) -> Iterator[tuple[str, Attribute]]:
    for attribute in node.attribute:
        match attribute.type:
            case AttributeProto.INT:
                yield attribute.name, int(attribute.i)
            case AttributeProto.FLOAT:
                yield attribute.name, float(attribute.f)
            case AttributeProto.STRING:
                yield attribute.name, _printable(attribute.s.decode(errors="replace"))
            case AttributeProto.INTS:
                yield attribute.name, tuple(map(int, attribute.ints))

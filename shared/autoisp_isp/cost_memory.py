"""The most bytes of feature maps that live at one time while a graph runs."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import onnx

from autoisp_isp.cost_traffic import Sized, is_map, only_narrowed, widens

_VIEWS = frozenset({"Dropout", "Flatten", "Identity", "Reshape", "Squeeze", "Unsqueeze"})
_IN_PLACE = frozenset({"Clip", "LeakyRelu", "Relu"})
"""Operators that may write over what they read, if nobody needs it any more."""


def peak_bytes(
    nodes: Sequence[onnx.NodeProto],
    values: Mapping[str, Sized],
    inputs: Collection[str],
    outputs: Collection[str],
) -> int:
    """Peak of the feature maps, the nodes being run in order, one after the other.

    Every node's output is kept until its last reader is done, the graph's inputs likewise, and its outputs
    until the end. Views share what they read; so do activations, unless somebody reads it after them or it
    came from outside. What is only read to be quantised is kept as that. Weights don't count.

    Args:
        nodes: of the graph, in order.
        values: every value by name.
        inputs, outputs: of the graph.
    """
    last_read = {name: place for place, node in enumerate(nodes) for name in node.input}
    last_read |= dict.fromkeys(outputs, len(nodes))
    owner = _owners(nodes, last_read, inputs)
    last_use: dict[str, int] = {}
    for name, place in last_read.items():
        last_use[owner.get(name, name)] = max(place, last_use.get(owner.get(name, name), -1))
    live = set(inputs)
    unwritten = only_narrowed(nodes) - live
    peak = sum(_bytes(values, name) for name in live)
    for place, node in enumerate(nodes):
        live |= {owner.get(name, name) for name in node.output if node.op_type != "Constant"}
        peak = max(peak, sum(_bytes(values, name) for name in live - unwritten))
        live = {name for name in live if last_use.get(name, -1) > place}
    return peak


def _owners(
    nodes: Sequence[onnx.NodeProto], last_read: Mapping[str, int], inputs: Collection[str]
) -> dict[str, str]:
    """Whose memory a value uses, where it is another one's."""
    owner: dict[str, str] = {}
    needed = dict(last_read)  # of an owner: until when somebody reads it or what shares it so far
    for place, node in enumerate(nodes):
        if node.op_type not in _VIEWS | _IN_PLACE and not widens(node):
            continue
        read, made = owner.get(node.input[0], node.input[0]), node.output[0]
        if node.op_type in _IN_PLACE and (read in inputs or needed[read] > place):
            continue
        owner[made] = read
        needed[read] = max(needed[read], last_read.get(made, -1))
    return owner


def _bytes(values: Mapping[str, Sized], name: str) -> int:
    value = values.get(name)
    return value.nbytes if value is not None and is_map(value) else 0

"""The most bytes of feature maps that live at one time while a graph runs."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence

import onnx

from autoisp_isp.cost_traffic import FREE, Sized, is_map


def peak_bytes(
    nodes: Sequence[onnx.NodeProto],
    values: Mapping[str, Sized],
    inputs: Collection[str],
    outputs: Collection[str],
) -> int:
    """Peak of the feature maps, the nodes being run in order, one after the other.

    Every node's output is kept until its last reader is done, the graph's inputs likewise, and its outputs
    until the end. Views and in-place activations share what they read. Weights don't count.

    Args:
        nodes: of the graph, in order.
        values: every value by name.
        inputs, outputs: of the graph.
    """
    owner = _owners(nodes)
    last_use = {owner.get(name, name): len(nodes) for name in outputs}
    for place, node in reversed(list(enumerate(nodes))):
        for name in node.input:
            last_use.setdefault(owner.get(name, name), place)
    live = {owner.get(name, name) for name in inputs}
    peak = sum(_bytes(values, name) for name in live)
    for place, node in enumerate(nodes):
        live |= {owner.get(name, name) for name in node.output if node.op_type != "Constant"}
        peak = max(peak, sum(_bytes(values, name) for name in live))
        live = {name for name in live if last_use.get(name, -1) > place}
    return peak


def _owners(nodes: Sequence[onnx.NodeProto]) -> dict[str, str]:
    """Whose memory a value uses, where it is another one's."""
    owner: dict[str, str] = {}
    for node in nodes:
        if node.op_type in FREE and node.input:
            owner[node.output[0]] = owner.get(node.input[0], node.input[0])
    return owner


def _bytes(values: Mapping[str, Sized], name: str) -> int:
    value = values.get(name)
    return value.nbytes if value is not None and is_map(value) else 0

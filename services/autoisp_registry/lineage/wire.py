"""The graph as a message."""

from __future__ import annotations

from autoisp.registry.v1 import registry_pb2

from autoisp_registry.lineage.graph import LineageGraph


def graph_to(graph: LineageGraph) -> registry_pb2.LineageGraph:
    """Write a graph."""
    message = registry_pb2.LineageGraph()
    for node in graph.nodes:
        message.nodes.add(
            id=node.id,
            kind=registry_pb2.LineageGraph.Kind.Value(f"KIND_{node.kind}"),
            label=node.label,
            details=node.details,
            sha256=node.sha256,
        )
    for edge in graph.edges:
        message.edges.add(source=edge.source, target=edge.target, label=edge.label)
    return message

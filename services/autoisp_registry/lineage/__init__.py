"""Where versions came from, as a graph."""

from autoisp_registry.lineage.graph import Edge, Kind, LineageGraph, Node
from autoisp_registry.lineage.provenance import Footage, Judgement, Origins, Provenance
from autoisp_registry.lineage.tracing import trace

__all__ = [
    "Edge",
    "Footage",
    "Judgement",
    "Kind",
    "LineageGraph",
    "Node",
    "Origins",
    "Provenance",
    "trace",
]

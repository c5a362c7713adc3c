"""An acyclic graph: edges lead from what was used to what was made of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum

MISSING = "missing"
"""The detail of a node that says what is not there, for people."""


class Kind(StrEnum):
    """What a node stands for."""

    FOOTAGE = "FOOTAGE"
    DATASET = "DATASET"
    PROTOTYPE = "PROTOTYPE"
    SEARCH = "SEARCH"
    TRIAL = "TRIAL"
    EVALUATION = "EVALUATION"
    MODEL_VERSION = "MODEL_VERSION"
    ARTIFACT = "ARTIFACT"


@dataclass(frozen=True)
class Node:
    """A thing that exists, or existed.

    Attributes:
        id: a resource's name, or ``sha256:…`` for bytes.
        label: for people.
        details: such as ``split``, ``frames``, ``psnr``, and :data:`MISSING`.
        sha256: of the bytes behind it; empty if there are none or they are not known.
    """

    id: str
    kind: Kind
    label: str
    details: Mapping[str, str] = field(default_factory=dict)
    sha256: str = ""


@dataclass(frozen=True)
class Edge:
    """``target`` was made with ``source``; the label says how."""

    source: str
    target: str
    label: str


@dataclass(frozen=True)
class LineageGraph:
    """Nodes and edges; every edge's ends are nodes."""

    nodes: tuple[Node, ...]
    edges: tuple[Edge, ...]


class GraphBuilder:
    """Collects nodes, each once, and edges that keep the graph acyclic."""

    def __init__(self) -> None:
        self._nodes: dict[str, Node] = {}
        self._edges: dict[tuple[str, str], Edge] = {}

    def add(self, node: Node) -> str:
        """Add a node unless one of its id is there; gives the id."""
        self._nodes.setdefault(node.id, node)
        return node.id

    def link(self, source: str, target: str, label: str) -> None:
        """Add an edge, unless it would lead back: the same bytes can be a prototype and a version's file."""
        if source and target and not self._leads(target, source):
            self._edges.setdefault((source, target), Edge(source, target, label))

    def graph(self) -> LineageGraph:
        """What was collected."""
        return LineageGraph(tuple(self._nodes.values()), tuple(self._edges.values()))

    def _leads(self, start: str, end: str) -> bool:
        seen: set[str] = set()
        waiting = [start]
        while waiting:
            node = waiting.pop()
            if node == end:
                return True
            if node not in seen:
                seen.add(node)
                waiting.extend(target for source, target in self._edges if source == node)
        return False

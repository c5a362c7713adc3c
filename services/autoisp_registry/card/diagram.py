"""A lineage as a Mermaid flow chart."""

from __future__ import annotations

from autoisp_registry.lineage import Kind, LineageGraph, Node
from autoisp_registry.lineage.graph import MISSING

_SHOWN_FOOTAGE = 8
_SHAPES = {
    Kind.FOOTAGE: ("[/", "/]"),
    Kind.DATASET: ("[(", ")]"),
    Kind.MODEL_VERSION: ("([", "])"),
    Kind.EVALUATION: ("{{", "}}"),
}


def diagram(graph: LineageGraph) -> str:
    """The graph as text; a lot of footage is one node."""
    footage = [node for node in graph.nodes if node.kind is Kind.FOOTAGE]
    merged = {node.id for node in footage} if len(footage) > _SHOWN_FOOTAGE else set()
    nodes = [node for node in graph.nodes if node.id not in merged]
    if merged:
        nodes.insert(0, Node("footage", Kind.FOOTAGE, f"{len(merged)} clips of footage"))
    keys = {node.id: f"n{place}" for place, node in enumerate(nodes)}
    keys |= dict.fromkeys(merged, "n0")
    lines = ["flowchart LR"]
    lines += [f"  {keys[node.id]}{_shape(node)}" for node in nodes]
    edges = (f"  {keys[edge.source]} -- {edge.label} --> {keys[edge.target]}" for edge in graph.edges)
    lines += dict.fromkeys(edges)
    return "\n".join(lines)


def _shape(node: Node) -> str:
    before, after = _SHAPES.get(node.kind, ("[", "]"))
    label = _quoted(node.label) + (" (missing)" if MISSING in node.details else "")
    return f'{before}"{label}"{after}'


def _quoted(text: str) -> str:
    """In Mermaid's quotes: entities for what means something there."""
    line = " ".join(text.split())[:60]
    return "".join(
        character if character.isalnum() or character in " /.-_,:()" else f"#{ord(character)};"
        for character in line
    )

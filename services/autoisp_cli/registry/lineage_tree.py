"""Where a version came from, as a tree of a terminal: the version on top, what it was made of below."""

from __future__ import annotations

from collections import defaultdict

from autoisp.registry.v1 import registry_pb2 as wire
from rich.text import Text
from rich.tree import Tree

_MOST_OF_A_KIND = 4
_KINDS = {
    wire.LineageGraph.KIND_FOOTAGE: ("footage", "yellow"),
    wire.LineageGraph.KIND_DATASET: ("dataset", "yellow"),
    wire.LineageGraph.KIND_PROTOTYPE: ("prototype", "magenta"),
    wire.LineageGraph.KIND_SEARCH: ("search", "cyan"),
    wire.LineageGraph.KIND_TRIAL: ("trial", "cyan"),
    wire.LineageGraph.KIND_EVALUATION: ("evaluation", "bright_blue"),
    wire.LineageGraph.KIND_MODEL_VERSION: ("version", "bold green"),
    wire.LineageGraph.KIND_ARTIFACT: ("file", "white"),
}
_SHOWN_SHA = 12
_MISSING = "missing"  # says what is not known, for people
_LEFT_OUT = frozenset({_MISSING, "create_time", "aliases", "format"})


def lineage_tree(graph: wire.LineageGraph, version: str) -> Tree:
    """The tree of one version. What several things share is drawn once, and named where it comes again.

    Args:
        version: ``models/{m}/versions/{n}``, a node of the graph.
    """
    return _Drawing(graph).tree(version)


class _Drawing:
    def __init__(self, graph: wire.LineageGraph) -> None:
        self._nodes = {node.id: node for node in graph.nodes}
        self._into: dict[str, list[tuple[str, str]]] = defaultdict(list)
        self._out_of: dict[str, list[tuple[str, str]]] = defaultdict(list)
        for edge in graph.edges:
            self._into[edge.target].append((edge.source, edge.label))
            self._out_of[edge.source].append((edge.target, edge.label))
        self._drawn: set[str] = set()

    def tree(self, version: str) -> Tree:
        root = Tree(self._text(version), guide_style="dim")
        self._drawn.add(version)
        # Upstream first: what comes of a version would else be drawn under what both share.
        self._branches(root, version, self._into, "")
        self._branches(root, version, self._out_of, "→ ")
        return root

    def _branches(self, tree: Tree, node: str, ways: dict[str, list[tuple[str, str]]], arrow: str) -> None:
        shown: dict[tuple[wire.LineageGraph.Kind.ValueType, str], int] = defaultdict(int)
        for other, label in ways[node]:
            kind = self._nodes[other].kind if other in self._nodes else wire.LineageGraph.KIND_UNSPECIFIED
            shown[kind, label] += 1
            if shown[kind, label] > _MOST_OF_A_KIND:
                continue
            again = other in self._drawn
            line = Text.assemble((arrow, "dim"), self._text(other, again=again))
            branch = tree.add(line.append(f" · {label}" if label else "", style="dim italic"))
            if not again:
                self._drawn.add(other)
                self._branches(branch, other, ways, arrow)
        for (kind, _), count in shown.items():
            if count > _MOST_OF_A_KIND:
                word = _KINDS.get(kind, ("thing", ""))[0]
                tree.add(Text(f"… and {count - _MOST_OF_A_KIND} more: {word}", style="dim"))

    def _text(self, name: str, *, again: bool = False) -> Text:
        node = self._nodes.get(name)
        if node is None:
            return Text(name)
        word, style = _KINDS.get(node.kind, ("", ""))
        title = node.label or (f"{name[: 7 + _SHOWN_SHA]}…" if name.startswith("sha256:") else name)
        text = Text.assemble((f"{word} " if word else "", "dim"), (title, style))
        if again:
            return text.append(" (see above)", style="dim")
        shown = sorted(item for item in node.details.items() if item[0] not in _LEFT_OUT)
        details = [_detail(key, value) for key, value in shown]
        if node.sha256 and not name.startswith("sha256:"):
            details.append(f"sha256 {node.sha256[:_SHOWN_SHA]}…")
        text.append(f"  {', '.join(details)}" if details else "", style="dim")
        missing = node.details.get(_MISSING, "")
        return text.append(f"  {missing}" if missing else "", style="yellow")


def _detail(key: str, value: str) -> str:
    if key == "size_bytes" and value.isdigit():
        return f"{int(value):,} bytes"
    return f"loss {value} dB" if key == "psnr_loss_db" else f"{key} {value}"

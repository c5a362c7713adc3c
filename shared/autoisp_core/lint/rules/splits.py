"""How often a graph goes back and forth between the accelerator and the CPU."""

from __future__ import annotations

from collections.abc import Collection, Iterator

from autoisp_core.lint.accelerator import Accelerator
from autoisp_core.lint.finding import Rule, Severity
from autoisp_core.lint.graph import Node
from autoisp_core.lint.hit import Hit
from autoisp_core.lint.reading import Reading

_MEGABYTE = 1e6
_BYTES_PER_VALUE = 2


def cpu_fallback_splits(reading: Reading, device: Accelerator, left: Collection[str]) -> Iterator[Hit]:
    """The islands that remain on the accelerator.

    Args:
        reading: of the graph.
        device: what it is for.
        left: names of the nodes that don't run on it.
    """
    if device.unsupported is not Severity.ERROR:
        return  # it is one processor: nothing is carried over
    nodes = [node for node in reading.working if reading.on_pixels(node) and not reading.is_early(node)]
    away = {node.name for node in nodes if node.name in left}
    if not away or len(away) == len(nodes):
        return
    parts = _parts(nodes, away)
    islands = {part for name, part in parts.items() if name not in away}
    crossing = _crossing(reading, nodes, away)
    size = sum(reading.graph.tensor(name).size or 0 for name in crossing) * _BYTES_PER_VALUE
    yield Hit(
        Rule.CPU_FALLBACK_SPLITS,
        Severity.WARNING,
        f"with {_count(len(away), 'node')} on the CPU, the accelerator has {_count(len(islands), 'island')} "
        f"of the graph: {_count(len(crossing), 'feature map')} to carry between both, "
        f"{size / _MEGABYTE:,.0f} MB in 16 bits for each frame",
        "remove the nodes that don't run there, or move them to the beginning or the end of the graph",
        tuple(node for node in nodes if node.name in away),
        merges=False,
    )


def _parts(nodes: list[Node], away: Collection[str]) -> dict[str, int]:
    """The part in which each node runs, if each runs as early as it can: even or odd, by where it runs."""
    part: dict[str, int] = {}
    made: dict[str, Node] = {}
    for node in nodes:
        side = node.name in away
        least = 0 if not side else 1
        for name in node.inputs:
            if name in made:
                before = made[name]
                least = max(least, part[before.name] + (side != (before.name in away)))
        part[node.name] = least
        made |= dict.fromkeys(node.outputs, node)
    return part


def _crossing(reading: Reading, nodes: list[Node], away: Collection[str]) -> list[str]:
    """Feature maps that one side makes and the other reads."""
    sides = {name: node.name in away for node in nodes for name in node.outputs}
    return sorted(
        {
            name
            for node in nodes
            for name in node.inputs
            if reading.is_map(name) and name in sides and sides[name] != (node.name in away)
        }
    )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" + ("" if number == 1 else "s")

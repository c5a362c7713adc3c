"""What rules find, and how it becomes findings."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from autoisp_core.lint.finding import MAX_NODES, Finding, Rule, Severity
from autoisp_core.lint.graph import Node


@dataclass(frozen=True, slots=True)
class Hit:
    """A rule's word on one node, or on the graph.

    Attributes:
        rule: which.
        severity: how bad it is.
        reason: what is wrong; the same for nodes that can be spoken of together.
        fix: what to do about it.
        nodes: whom it is about; none: the graph as a whole.
        merges: whether one finding speaks of all nodes of one operator, and names it; else of all nodes.
        leaves: whether the nodes do not run on the accelerator.
    """

    rule: Rule
    severity: Severity
    reason: str
    fix: str
    nodes: tuple[Node, ...] = ()
    merges: bool = True
    leaves: bool = False


def findings(hits: Iterable[Hit]) -> tuple[Finding, ...]:
    """One finding for each rule, operator and reason; errors first, then in the rules' order."""
    merged: dict[tuple[str, ...], list[Hit]] = {}
    for hit in hits:
        operator = hit.nodes[0].operator if hit.merges and hit.nodes else ""
        merged.setdefault((hit.rule, hit.severity, operator, hit.reason, hit.fix), []).append(hit)
    found = [_finding(alike) for alike in merged.values()]
    severities, rules = list(Severity), list(Rule)
    found.sort(key=lambda one: (severities.index(one.severity), rules.index(one.rule)))
    return tuple(found)


def _finding(alike: list[Hit]) -> Finding:
    first, nodes = alike[0], [node for hit in alike for node in hit.nodes]
    many = f" × {len(nodes)}" if len(nodes) > 1 else ""
    reason = f"{nodes[0].operator}{many}: {first.reason}" if first.merges and nodes else first.reason
    return Finding(
        first.rule, first.severity, tuple(node.name for node in nodes[:MAX_NODES]), reason, first.fix
    )

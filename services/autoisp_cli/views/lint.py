"""Findings of the operator lint in a terminal."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from autoisp.registry.v1 import registry_pb2
from rich.console import Group, RenderableType
from rich.padding import Padding
from rich.table import Table
from rich.text import Text

_NODES_SHOWN = 4
_TEXT_WIDTH = 100
_ERROR = registry_pb2.LintFinding.SEVERITY_ERROR


def lint_view(form: str, lints: Sequence[registry_pb2.DeviceLint]) -> RenderableType:
    """What was linted, and each device with its findings below it."""
    return Group(Text(form, style="bold"), *(_device(lint) for lint in lints))


def _device(lint: registry_pb2.DeviceLint) -> RenderableType:
    errors = sum(finding.severity == _ERROR for finding in lint.findings)
    counts = ", ".join(
        text for text in (_count(errors, "error"), _count(len(lint.findings) - errors, "warning")) if text
    )
    head = Text.assemble(
        ("✓ " if lint.supported else "✗ ", "green" if lint.supported else "red"),
        (lint.device, "bold"),
        " runs it" if lint.supported else " does not run all of it",
        (f"  {counts or 'nothing to say'}", "dim"),
    )
    return Padding(
        Group(head, Padding(_findings(lint.findings), (0, 0, 0, 2), expand=False)), (1, 0, 0, 0), expand=False
    )


def _findings(findings: Iterable[registry_pb2.LintFinding]) -> RenderableType:
    table = Table.grid(padding=(0, 2, 0, 0))
    table.add_column(no_wrap=True)
    table.add_column(max_width=_TEXT_WIDTH)
    for finding in findings:
        word, style = ("error", "red") if finding.severity == _ERROR else ("warning", "yellow")
        table.add_row(Text(word, style=style), Text(finding.rule, style="bold"))
        table.add_row("", Text(finding.reason))
        table.add_row("", Text.assemble(("fix: ", "green"), finding.fix))
        if finding.nodes:
            table.add_row("", Text(f"at: {_places(finding.nodes)}", style="dim"))
    return table


def _places(nodes: Sequence[str]) -> str:
    more = len(nodes) - _NODES_SHOWN
    return ", ".join(nodes[:_NODES_SHOWN]) + (f" and {more} more" if more > 0 else "")


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'' if number == 1 else 's'}" if number else ""

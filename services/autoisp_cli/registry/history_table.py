"""The audit log as a table: when, who, what, and on what evidence."""

from __future__ import annotations

from collections.abc import Iterable

from autoisp.registry.v1 import registry_pb2 as wire
from rich.table import Table
from rich.text import Text

from autoisp_cli.commands.common import time_text
from autoisp_cli.registry.checks import failed_of
from autoisp_cli.registry.short_names import short_resource


def history_table(entries: Iterable[wire.AuditEntry], *, narrow: bool) -> Table:
    """A row for each entry, as they come; in a narrow one the evidence is below what was done."""
    table = Table(box=None, header_style="dim", padding=(0, 2, 0, 0))
    for name in ("#", "WHEN", "WHO"):
        table.add_column(name, no_wrap=True, justify="right" if name == "#" else "left")
    table.add_column("WHAT", overflow="fold")
    if not narrow:
        table.add_column("EVIDENCE", overflow="fold")
    for entry in entries:
        done, shown = what(entry), evidence(entry)
        cells = [done, shown]
        if narrow:
            cells = [Text("\n").join([done, shown]) if shown else done]
        sequence = Text(str(entry.sequence), style="dim")
        table.add_row(sequence, time_text(entry, "time")[:16], Text(entry.actor), *cells)
    return table


def what(entry: wire.AuditEntry) -> Text:
    """What was done to what, or refused, and why."""
    text = Text()
    if entry.refused:
        text.append("✗ refused ", style="bold red")
    text.append(entry.action, style="red" if entry.refused else "bold")
    text.append(f" {short_resource(entry.resource)}", style="cyan")
    if entry.summary:
        text.append(f"\n{entry.summary.removeprefix('refused: ')}")
    if entry.comment:
        text.append(f"\n“{entry.comment}”", style="italic")
    return text


def evidence(entry: wire.AuditEntry) -> Text:
    """What it rests on: the evaluation, the digest of its record, and what the gate said of it."""
    text = Text()
    if entry.evaluation:
        text.append(entry.evaluation.removeprefix("evaluations/"))
    if entry.evidence_sha256:
        text.append(f" {entry.evidence_sha256[:8]}…", style="dim")
    if entry.checks:
        failed = failed_of(entry.checks)
        said = f"✗ {len(failed)} of {len(entry.checks)} checks" if failed else f"✓ {len(entry.checks)} checks"
        text.append(("  " if text else "") + said, style="red" if failed else "green")
    return text

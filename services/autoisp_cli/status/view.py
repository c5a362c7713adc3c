"""A snapshot as people read it: first what is wrong and what to do, then everything."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import datetime

from autoisp.operations.v1 import operations_pb2
from autoisp.search.v1 import search_pb2
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from autoisp_cli.report.figures import duration
from autoisp_cli.status.collect import Part, Snapshot
from autoisp_cli.status.findings import Finding
from autoisp_cli.status.workers import MOST_ROWS, workers_table

GOOD, BAD, LOOK, BUSY, DIM = "green", "bold red", "yellow", "cyan", "dim"
_BAR_WIDTH = 24
_NONE = Text("–", style=DIM)


def render(
    snapshot: Snapshot, found: Sequence[Finding], *, narrow: bool, before: Snapshot | None = None
) -> RenderableType:
    """Verdict, services, workers, queue and searches.

    Args:
        narrow: what 80 columns have room for.
        before: an earlier snapshot: processor use is told since then, not since the start.
    """
    blocks: list[RenderableType] = [_verdict(snapshot, found, narrow), *_findings(found)]
    blocks += ["", _services(snapshot, narrow)]
    if snapshot.broker is not None:
        blocks += ["", _broker(snapshot.broker)]
        blocks += ["", workers_table(snapshot, narrow=narrow, before=before)]
        commands, events = _commands(snapshot), _events(snapshot.broker)
        blocks += ["", commands, "", events] if narrow else ["", _beside(commands, events)]
    if snapshot.searches is not None:
        blocks += ["", _searches(snapshot.searches, narrow)]
    return Group(*blocks)


def _verdict(snapshot: Snapshot, found: Sequence[Finding], narrow: bool) -> Text:
    """One line that says it all."""
    bad, look = sum(finding.bad for finding in found), sum(not finding.bad for finding in found)
    if bad:
        text = Text.assemble(("✗ ", BAD), (_some(bad, "problem"), BAD))
    elif look:
        text = Text.assemble(("! ", LOOK), ("all parts can work", LOOK))
    else:
        text = Text.assemble(("✓ ", GOOD), ("all parts can work", GOOD))
    if look:
        text.append(f", {_some(look, 'thing')} to look at", LOOK)
    busy = sum(bool(worker.work) for worker in snapshot.workers)
    serving = sum(part.well for part in snapshot.parts)
    counts = [] if narrow else [f"{serving} of {len(snapshot.parts)} services"]
    if snapshot.broker is not None:
        counts.append(f"{_some(len(snapshot.workers), 'worker')}, {busy} busy")
    counts.append(f"{snapshot.time:%H:%M:%S} UTC")
    return text.append(f"   {' · '.join(counts)}", DIM)


def _findings(found: Sequence[Finding]) -> list[Table]:
    """Each with what to do, in a column of its own: they may take several lines."""
    tables = []
    for finding in found:
        table = Table.grid(padding=(0, 1, 0, 0))
        style = BAD if finding.bad else LOOK
        table.add_row(Text("✗" if finding.bad else "!", style=style), Text(finding.what, style=style))
        if finding.todo:
            table.add_row("", Text(f"→ {finding.todo}"))
        tables.append(table)
    return tables


def plain_table(*columns: str, right: tuple[str, ...] = ()) -> Table:
    """A table without lines; the first column is never broken."""
    table = Table(box=None, header_style=DIM, padding=(0, 3, 0, 0), pad_edge=False)
    for place, column in enumerate(columns):
        table.add_column(
            column, justify="right" if column in right else "left", no_wrap=place == 0, overflow="fold"
        )
    return table


def _beside(left: RenderableType, right: RenderableType) -> Table:
    both = Table.grid(padding=(0, 6, 0, 0))
    both.add_row(left, right)
    return both


def _services(snapshot: Snapshot, narrow: bool) -> Table:
    processes = Counter(process.service for process in snapshot.processes)
    columns = ["SERVICE", "HEALTH", "DATABASE", "OUTBOX", "UP", *([] if narrow else ["PROCESSES", "ADDRESS"])]
    table = plain_table(*columns)
    for part in snapshot.parts:
        count = processes[part.name]
        more = [] if narrow else [Text(str(count)) if count else _NONE, Text(part.address)]
        health = Text(part.health, style=GOOD if part.well else BAD)
        up = _NONE if part.status is None else Text(since(part.status, snapshot.time))
        table.add_row(Text(part.name), health, _database(part), _outbox(part), up, *more)
    return table


def _database(part: Part) -> Text:
    for dependency in part.status.dependencies if part.status is not None else ():
        if dependency.name == "database":
            return Text("ok", style=GOOD) if dependency.ok else Text("away", style=BAD)
    return _NONE


def _outbox(part: Part) -> Text:
    if part.status is None or not part.status.HasField("outbox"):
        return _NONE
    waiting = part.status.outbox
    if not waiting.messages:
        return Text("empty", style=DIM)
    return Text(f"{waiting.messages} for {duration(waiting.oldest_age_seconds)}", style=BUSY)


def since(
    message: operations_pb2.ServiceStatus | operations_pb2.Process | operations_pb2.Work, now: datetime
) -> str:
    """How long ago it started."""
    return duration(max(0.0, now.timestamp() - message.start_time.ToMilliseconds() / 1e3))


def _broker(broker: operations_pb2.Broker) -> Text:
    kept = sum(stream.size_bytes for stream in broker.streams)
    letters = broker.dead_letters
    text = Text.assemble(f"NATS {broker.url}", (f"   {_size(kept)} in streams   ", DIM))
    return text.append(_some(letters, "dead letter"), LOOK if letters else DIM)


def _size(count: int) -> str:
    return f"{count / 1e6:.1f} MB" if count >= 1e6 else f"{count / 1e3:.0f} kB"


def _commands(snapshot: Snapshot) -> Table:
    table = plain_table("COMMANDS", "WAITING", "IN WORK", right=("WAITING", "IN WORK"))
    for kind, waiting, in_work in snapshot.commands():
        table.add_row(kind, _count(waiting), _count(in_work))
    return table


def _events(broker: operations_pb2.Broker) -> Table:
    table = plain_table("EVENTS", "LAG", "IN WORK", "AGAIN", right=("LAG", "IN WORK", "AGAIN"))
    for consumer in broker.consumers:
        if consumer.stream.endswith("_EVT"):
            counts = (consumer.waiting, consumer.in_work, consumer.redelivered)
            table.add_row(consumer.durable, *map(_count, counts))
    return table


def _count(number: int) -> Text:
    return Text(str(number), style=BUSY if number else DIM)


def _some(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number} {noun}s"


def _searches(searches: Sequence[search_pb2.Search], narrow: bool) -> RenderableType:
    if not searches:
        return Text("no search runs", style=DIM)
    table = plain_table("SEARCH", "STATE", "PROGRESS", "TRIALS")
    for search in searches[:MOST_ROWS]:
        counts = search.trial_counts
        done = counts.succeeded + counts.failed  # a pruned trial makes room for another
        planned = max(1, counts.planned, done + counts.running)  # by the clock, it may grow beyond its plan
        words = Text(f"{done} of {planned}, {counts.running} running")
        if counts.failed:
            words.append(f", {counts.failed} failed", LOOK)
        table.add_row(
            Text(search.name.removeprefix("searches/")),
            search_pb2.SearchState.Name(search.state).removeprefix("SEARCH_STATE_").lower(),
            _bar(done / planned, _BAR_WIDTH // 2 if narrow else _BAR_WIDTH),
            words,
        )
    more = len(searches) - MOST_ROWS
    return Group(table, Text(f"and {more} more: autoisp searches list", style=DIM)) if more > 0 else table


def _bar(share: float, width: int) -> Text:
    """Told by its form too: not every terminal has colours."""
    full = int(share * width)
    return Text.assemble(("━" * full, BUSY), ("╌" * (width - full), DIM))

"""A snapshot as people read it."""

from __future__ import annotations

from collections import Counter
from datetime import datetime

from autoisp.operations.v1 import operations_pb2
from autoisp.search.v1 import search_pb2
from rich.console import Group, RenderableType
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from autoisp_cli.report.figures import duration
from autoisp_cli.status.collect import Part, Snapshot

_GOOD, _BAD, _BUSY = "green", "bold red", "cyan"
_BAR_WIDTH = 24


def render(snapshot: Snapshot, *, narrow: bool) -> RenderableType:
    """Services, workers, queue and searches; ``narrow``: what 80 columns have room for."""
    blocks: list[RenderableType] = [_services(snapshot, narrow)]
    blocks += _problems(snapshot)
    blocks += ["", _broker(snapshot)]
    if snapshot.broker is not None:
        blocks += ["", _workers(snapshot, narrow)]
        commands, events = _commands(snapshot), _events(snapshot.broker)
        blocks += ["", commands, "", events] if narrow else ["", _beside(commands, events)]
    blocks += ["", _searches(snapshot, narrow)]
    return Group(*blocks)


def _table(*columns: str, right: tuple[str, ...] = ()) -> Table:
    table = Table(box=None, header_style="dim", padding=(0, 3, 0, 0), pad_edge=False)
    for place, column in enumerate(columns):
        table.add_column(
            column, justify="right" if column in right else "left", no_wrap=place == 0, overflow="fold"
        )
    return table


def _beside(left: Table, right: Table) -> Table:
    both = Table.grid(padding=(0, 6, 0, 0))
    both.add_row(left, right)
    return both


def _services(snapshot: Snapshot, narrow: bool) -> Table:
    processes = Counter(process.service for process in snapshot.processes)
    columns = ["SERVICE", "HEALTH", "DATABASE", "OUTBOX", "UP", *([] if narrow else ["PROCESSES", "ADDRESS"])]
    table = _table(*columns)
    for part in snapshot.parts:
        more = [] if narrow else [str(processes[part.name] or ""), part.address]
        health = Text(part.health, style=_GOOD if part.well else _BAD)
        table.add_row(part.name, health, *_dependencies(part), _up(part, snapshot.time), *more)
    return table


def _problems(snapshot: Snapshot) -> list[Text]:
    """What is wrong, said once for all services that say the same."""
    having: dict[str, list[str]] = {}
    for part in snapshot.parts:
        for problem in part.problems:
            having.setdefault(problem, []).append(part.name)
    return [Text(f"{', '.join(names)}: {problem}", style=_BAD) for problem, names in having.items()]


def _dependencies(part: Part) -> tuple[Text, Text]:
    if part.status is None:
        return Text(), Text()
    database = Text()
    for dependency in part.status.dependencies:
        if dependency.name == "database":
            database = Text("ok", style=_GOOD) if dependency.ok else Text("away", style=_BAD)
    if not part.status.HasField("outbox"):
        return database, Text()
    waiting = part.status.outbox
    if not waiting.messages:
        return database, Text("empty")
    return database, Text(f"{waiting.messages} for {duration(waiting.oldest_age_seconds)}", style=_BUSY)


def _up(part: Part, now: datetime) -> str:
    return _since(part.status, now) if part.status is not None else ""


def _since(
    message: operations_pb2.ServiceStatus | operations_pb2.Process | operations_pb2.Work, now: datetime
) -> str:
    return duration(max(0.0, now.timestamp() - message.start_time.ToMilliseconds() / 1e3))


def _broker(snapshot: Snapshot) -> Text:
    broker = snapshot.broker
    if broker is None:
        return Text(
            "NATS can't be reached by any service; nothing is handed out until it is back", style=_BAD
        )
    kept = sum(stream.size_bytes for stream in broker.streams)
    letters = broker.dead_letters
    text = Text.assemble(f"NATS {broker.url}", (f"   {kept / 1e6:.1f} MB in streams   ", "dim"))
    text.append(
        f"{letters} dead letters" if letters != 1 else "1 dead letter", style=_BAD if letters else "dim"
    )
    return text.append(": autoisp dlq list" if letters else "", style="dim")


def _workers(snapshot: Snapshot, narrow: bool) -> RenderableType:
    workers = snapshot.workers
    if not workers:
        return Text("no worker answers", style="yellow")
    table = _table(
        "WORKER", "WORKS ON", "CPU", "MEMORY", *([] if narrow else ["UP"]), right=("CPU", "MEMORY")
    )
    for worker in workers:
        seconds = max(1e-3, snapshot.time.timestamp() - worker.start_time.ToMilliseconds() / 1e3)
        jobs = [f"{w.kind} {w.resource_id}, {_since(w, snapshot.time)}" for w in worker.work]
        work = Text("; ".join(jobs), style=_BUSY) if jobs else Text("idle", style="dim")
        table.add_row(
            worker.instance,
            work,
            f"{100 * worker.cpu_seconds / seconds:.0f} %",
            f"{worker.memory_bytes / 1e6:.0f} MB",
            *([] if narrow else [_since(worker, snapshot.time)]),
        )
    return table


def _commands(snapshot: Snapshot) -> Table:
    table = _table("COMMANDS", "WAITING", "IN WORK", right=("WAITING", "IN WORK"))
    for kind, waiting, in_work in snapshot.commands():
        table.add_row(kind, _count(waiting), _count(in_work))
    return table


def _events(broker: operations_pb2.Broker) -> Table:
    table = _table("EVENTS", "LAG", "IN WORK", "AGAIN", right=("LAG", "IN WORK", "AGAIN"))
    for consumer in broker.consumers:
        if consumer.stream.endswith("_EVT"):
            counts = (consumer.waiting, consumer.in_work, consumer.redelivered)
            table.add_row(consumer.durable, *map(_count, counts))
    return table


def _count(number: int) -> Text:
    return Text(str(number), style=_BUSY if number else "dim")


def _searches(snapshot: Snapshot, narrow: bool) -> RenderableType:
    if snapshot.searches_error:
        return Text(f"searches: {snapshot.searches_error}", style=_BAD)
    if not snapshot.searches:
        return Text("no search runs", style="dim")
    table = _table("SEARCH", "STATE", "PROGRESS", "TRIALS")
    for search in snapshot.searches:
        counts = search.trial_counts
        done = counts.succeeded + counts.failed  # a pruned trial makes room for another
        planned = max(1, counts.planned, done + counts.running)  # by the clock, it may grow beyond its plan
        words = f"{done} of {planned}, {counts.running} running"
        table.add_row(
            search.name.removeprefix("searches/"),
            search_pb2.SearchState.Name(search.state).removeprefix("SEARCH_STATE_").lower(),
            ProgressBar(planned, done, width=_BAR_WIDTH // 2 if narrow else _BAR_WIDTH),
            words,
        )
    return table

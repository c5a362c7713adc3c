"""The workers of a snapshot."""

from __future__ import annotations

from autoisp.operations.v1 import operations_pb2
from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from autoisp_cli.report.figures import duration
from autoisp_cli.status.collect import Snapshot

MOST_ROWS = 20
"""Of one kind of thing; of a thousand nobody reads all."""


def workers_table(snapshot: Snapshot, *, narrow: bool, before: Snapshot | None = None) -> RenderableType:
    """Those that have been at one thing for longest, if there are many; see :func:`.view.render`."""
    workers = snapshot.workers
    if not workers:
        return Text("no worker answers", style="yellow")
    table = Table(box=None, header_style="dim", padding=(0, 3, 0, 0), pad_edge=False)
    table.add_column("WORKER", no_wrap=True)
    table.add_column("WORKS ON", overflow="fold")
    for column in ("CPU" if before is not None else "MEAN CPU", "MEMORY"):
        table.add_column(column, justify="right", no_wrap=True)
    if not narrow:
        table.add_column("UP", no_wrap=True)
    shown = workers if len(workers) <= MOST_ROWS else sorted(workers, key=_waits_for)[:MOST_ROWS]
    earlier = {worker.instance: worker for worker in before.workers} if before is not None else {}
    now = snapshot.time.timestamp()
    for worker in shown:
        jobs = [f"{w.kind} {w.resource_id}, {duration(_age(w, now))}" for w in worker.work]
        cpu = _cpu(worker, now, earlier.get(worker.instance), before.time.timestamp() if before else 0.0)
        table.add_row(
            Text(worker.instance),
            Text("; ".join(jobs), style="cyan") if jobs else Text("idle", style="dim"),
            f"{100 * cpu:.0f} %",
            f"{worker.memory_bytes / 1e6:.0f} MB",
            *([] if narrow else [duration(_age(worker, now))]),
        )
    hidden = len(workers) - len(shown)
    return Group(table, Text(f"and {hidden} more; --json has all", style="dim")) if hidden else table


def _waits_for(worker: operations_pb2.Process) -> float:
    """Sorts those who work before the idle, the longest first."""
    return min((float(work.start_time.ToMilliseconds()) for work in worker.work), default=float("inf"))


def _age(message: operations_pb2.Process | operations_pb2.Work, now: float) -> float:
    return max(0.0, now - message.start_time.ToMilliseconds() / 1e3)


def _cpu(
    worker: operations_pb2.Process, now: float, earlier: operations_pb2.Process | None, earlier_at: float
) -> float:
    """Cores in use, since the earlier look if it was the same process, else since its start."""
    if earlier is not None and earlier.start_time == worker.start_time and now > earlier_at:
        return max(0.0, worker.cpu_seconds - earlier.cpu_seconds) / (now - earlier_at)
    return worker.cpu_seconds / max(1e-3, _age(worker, now))

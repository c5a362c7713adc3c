"""Asking every service how it is, all at once."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TypeVar

from autoisp.operations.v1 import operations_pb2
from autoisp.search.v1 import search_pb2
from autoisp_client import Client
from autoisp_client.operations import SERVICES
from autoisp_core.errors import AutoISPError, ErrorCode

T = TypeVar("T")

COMMANDS = ("prototype.profile", "trial.run", "evaluation.run", "model_version.convert")
_RUNNING = {search_pb2.SEARCH_STATE_PROFILING, search_pb2.SEARCH_STATE_RUNNING}
_PAGE = 1000
WORKER = "worker"


@dataclass(frozen=True)
class Part:
    """One service.

    Attributes:
        health: ``serving``, ``not serving`` or ``no answer``.
        status: what it says of itself; None: it does not, and ``error`` says why.
    """

    name: str
    address: str
    health: str
    status: operations_pb2.ServiceStatus | None
    error: str = ""

    @property
    def well(self) -> bool:
        """Whether it can work."""
        return self.health == "serving"

    @property
    def problems(self) -> list[str]:
        """Why it can't, as far as it says."""
        away = [f"{d.name}: {d.error}" for d in self.status.dependencies if not d.ok] if self.status else []
        return away or ([self.error] if self.error else [])


@dataclass(frozen=True)
class Snapshot:
    """How everything is at one time.

    Attributes:
        broker: None: no service reaches it.
        searches: those that have not ended; ``searches_error`` says why they can't be had.
    """

    time: datetime
    parts: tuple[Part, ...]
    broker: operations_pb2.Broker | None
    processes: tuple[operations_pb2.Process, ...]
    searches: tuple[search_pb2.Search, ...]
    searches_error: str = ""

    @property
    def well(self) -> bool:
        """Whether every part can work."""
        return self.broker is not None and all(part.well for part in self.parts)

    @property
    def workers(self) -> list[operations_pb2.Process]:
        """The workers among the processes."""
        return [process for process in self.processes if process.service == WORKER]

    def commands(self) -> Iterator[tuple[str, int, int]]:
        """Kind, how many wait and how many are in work, of every command."""
        left = {count.kind: count.messages for count in self.broker.commands} if self.broker else {}
        working = Counter(work.kind for process in self.processes for work in process.work)
        for kind in COMMANDS:
            in_work = min(working[kind], left.get(kind, 0))
            yield kind, left.get(kind, 0) - in_work, in_work


def collect(client: Client) -> Snapshot:
    """Ask."""
    with ThreadPoolExecutor(len(SERVICES) + 1) as threads:
        searches = threads.submit(_answer, lambda: _running_searches(client))
        parts = list(threads.map(lambda name: _part(client, name), SERVICES))
        found, failure = searches.result()
    statuses = [part.status for part in parts if part.status is not None]
    brokers = [status.broker for status in statuses if status.HasField("broker")]
    processes = max((tuple(status.processes) for status in statuses), key=len, default=())
    return Snapshot(
        datetime.now(UTC),
        tuple(parts),
        brokers[0] if brokers else None,
        processes,
        tuple(found or ()),
        failure.message if failure else "",
    )


def _part(client: Client, name: str) -> Part:
    address = str(getattr(client.endpoints, name))
    serving, failure = _answer(lambda: client.is_serving(name))
    if failure is not None:
        return Part(name, address, "no answer", None, failure.message)
    status, failure = _answer(lambda: client.get_status(name))
    error = failure.message if failure else ""
    if failure is not None and failure.code is ErrorCode.UNIMPLEMENTED:
        error = "an earlier release, which has no status"
    return Part(name, address, "serving" if serving else "not serving", status, error)


def _running_searches(client: Client) -> list[search_pb2.Search]:
    return [search for search in client.list_searches(page_size=_PAGE) if search.state in _RUNNING]


def _answer(ask: Callable[[], T]) -> tuple[T | None, AutoISPError | None]:
    try:
        return ask(), None
    except AutoISPError as error:
        return None, error

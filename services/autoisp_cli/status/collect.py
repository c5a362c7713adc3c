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
from autoisp_core.errors import AutoISPError

T = TypeVar("T")

COMMANDS = ("prototype.profile", "trial.run", "evaluation.run", "model_version.convert")
_RUNNING = {search_pb2.SEARCH_STATE_PROFILING, search_pb2.SEARCH_STATE_RUNNING}
_PAGE = 1000
WORKER = "worker"
_QUEUE = "AUTOISP_CMD"


@dataclass(frozen=True)
class Part:
    """One service.

    Attributes:
        health: ``serving``, ``not serving`` or ``no answer``.
        status: what it says of itself; None: it does not, and ``error`` says why, with its reason.
    """

    name: str
    address: str
    health: str
    status: operations_pb2.ServiceStatus | None
    error: str = ""
    error_reason: str = ""

    @property
    def well(self) -> bool:
        """Whether it can work."""
        return self.health == "serving"

    def away(self, dependency: str) -> str:
        """Why it can't do with what it depends on; empty: it can, or does not say."""
        own = self.status.dependencies if self.status is not None else ()
        return next((each.error for each in own if each.name == dependency and not each.ok), "")


@dataclass(frozen=True)
class Snapshot:
    """How everything is at one time.

    Attributes:
        broker: None: no service sees it; ``broker_error`` says why, as far as one knows.
        searches: those that have not ended; None: the search service does not tell.
    """

    time: datetime
    parts: tuple[Part, ...]
    broker: operations_pb2.Broker | None
    broker_error: str
    processes: tuple[operations_pb2.Process, ...]
    searches: tuple[search_pb2.Search, ...] | None

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

    @property
    def held(self) -> int:
        """Commands that were handed out and that nobody who answers works on."""
        out = (
            sum(each.in_work for each in self.broker.consumers if each.stream == _QUEUE) if self.broker else 0
        )
        return max(0, out - sum(in_work for _, _, in_work in self.commands()))


def collect(client: Client) -> Snapshot:
    """Ask."""
    with ThreadPoolExecutor(len(SERVICES)) as threads:
        parts = list(threads.map(lambda name: _part(client, name), SERVICES))
    statuses = [part.status for part in parts if part.status is not None]
    brokers = [status.broker for status in statuses if status.HasField("broker")]
    errors = [status.broker_error for status in statuses if status.broker_error]
    processes = max((tuple(status.processes) for status in statuses), key=len, default=())
    return Snapshot(
        datetime.now(UTC),
        tuple(parts),
        brokers[0] if brokers else None,
        errors[0] if errors else "",
        processes,
        _running_searches(client, next(part for part in parts if part.name == "search")),
    )


def _part(client: Client, name: str) -> Part:
    address = str(getattr(client.endpoints, name))
    serving, failure = _answer(lambda: client.is_serving(name))
    if failure is not None:
        return Part(name, address, "no answer", None, failure.message, failure.reason)
    status, failure = _answer(lambda: client.get_status(name))
    health = "serving" if serving else "not serving"
    return Part(name, address, health, status, *((failure.message, failure.reason) if failure else ()))


def _running_searches(client: Client, service: Part) -> tuple[search_pb2.Search, ...] | None:
    if service.status is None or service.away("database"):
        return None  # asking would take a minute, to learn what is known
    found, _ = _answer(
        lambda: [search for search in client.list_searches(page_size=_PAGE) if search.state in _RUNNING]
    )
    return None if found is None else tuple(found)


def _answer(ask: Callable[[], T]) -> tuple[T | None, AutoISPError | None]:
    try:
        return ask(), None
    except AutoISPError as error:
        return None, error

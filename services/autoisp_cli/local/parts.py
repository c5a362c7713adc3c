"""What the embedded mode consists of: how each process is started."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path

from autoisp_client.endpoints import Endpoints
from autoisp_runtime.nats_binary import find_nats_server

from autoisp_cli.local.child import Child
from autoisp_cli.local.folder import StateFolder

BROKER = "nats-server"
SERVICES = {
    "ingest": "autoisp_ingest",
    "search": "autoisp_search",
    "evaluation": "autoisp_evaluation",
    "registry": "autoisp_registry",
    "live": "autoisp_worker.live",
}
"""What has an address, and the module that serves it."""
_WORKER = "autoisp_worker"
_HOST = "127.0.0.1"
_LIBRARY_THREADS = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")

Command = tuple[Sequence[str], Mapping[str, str]]


class Parts:
    """Makes the children; keeps the ports they took, so that a restart gets the same ones."""

    def __init__(self, folder: StateFolder, workers: int) -> None:
        self._folder = folder
        self._ports: dict[str, int] = {}
        self.broker = Child(BROKER, self._nats_command, folder.log(BROKER))
        self.services = [self._python(name, module) for name, module in SERVICES.items()]
        self.workers = [self._python(f"worker-{number}", _WORKER) for number in range(1, workers + 1)]

    @property
    def all(self) -> list[Child]:
        """Every child, the broker first."""
        return [self.broker, *self.services, *self.workers]

    def ready(self, child: Child) -> bool:
        """Whether the child said on which port it listens; remembers the port."""
        if child.name not in self._ports:
            port = self._nats_port() if child is self.broker else self._service_port(child.name)
            if port:
                self._ports[child.name] = port
        return child.name in self._ports

    def endpoints(self) -> Endpoints:
        """The addresses of the services, once all are ready."""
        return Endpoints(**{name: f"{_HOST}:{self._ports[name]}" for name in SERVICES})

    def _python(self, name: str, module: str) -> Child:
        return Child(name, lambda: self._service_command(module, name), self._folder.log(name))

    def _nats_command(self) -> Command:
        port = self._ports.get(BROKER, -1)  # -1 is nats-server's word for any free port
        where = ["-a", _HOST, "-p", str(port), "--ports_file_dir", str(self._folder.run.resolve())]
        return [str(find_nats_server()), *where, "-js", "-sd", str(self._folder.nats.resolve())], os.environ

    def _service_command(self, module: str, name: str) -> Command:
        environment = {"AUTOISP_LOG_FORMAT": "json", **os.environ}
        environment |= {
            "AUTOISP_LISTEN": f"{_HOST}:{self._ports.get(name, 0)}",
            "AUTOISP_PORT_FILE": str(self._port_file(name).resolve()),
            "AUTOISP_NATS_URL": f"nats://{_HOST}:{self._ports[BROKER]}",
            "AUTOISP_STATE_DIR": str(self._folder.path.resolve()),
            "AUTOISP_EXIT_WITH_PARENT": "true",
            "PYTHONUNBUFFERED": "1",
        }
        if module == _WORKER:
            environment["AUTOISP_WORKER_ID"] = name
        if module.startswith(_WORKER):
            environment.setdefault("AUTOISP_THREADS", "1")
            # Before numpy and torch are imported: their pools would outnumber the cores.
            environment |= dict.fromkeys(_LIBRARY_THREADS, environment["AUTOISP_THREADS"])
        return [sys.executable, "-m", module], environment

    def _port_file(self, name: str) -> Path:
        return self._folder.run / f"{name}.port"

    def _service_port(self, name: str) -> int:
        try:
            return int(self._port_file(name).read_text())
        except (OSError, ValueError):
            return 0

    def _nats_port(self) -> int:
        try:
            text = (self._folder.run / f"nats-server_{self.broker.pid}.ports").read_text()
            return int(json.loads(text)["nats"][0].rsplit(":", 1)[1])
        except (OSError, ValueError, KeyError, IndexError):  # not written yet, or half
            return 0

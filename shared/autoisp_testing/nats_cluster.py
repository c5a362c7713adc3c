"""Three real nats-servers that form one JetStream cluster on loopback, each of which can be killed."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import time
import urllib.request
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from autoisp_runtime.nats_binary import find_nats_server

from autoisp_testing.ports import free_ports

_START_TIMEOUT_S = 60.0
_HEALTHY = "/healthz"
_SERVES_JETSTREAM = "/healthz?js-enabled-only=true"


class NatsCluster:
    """Three nodes with JetStream in ``folder``; a context manager. Restarts keep ports and data.

    Args:
        folder: for the logs and, in ``node-N``, the data of each node.
        host: on which clients are served; the nodes speak to each other on loopback.
    """

    def __init__(self, folder: Path, host: str = "127.0.0.1") -> None:
        self.folder = folder
        self._host = host
        self._ports = free_ports(9)
        self._processes: dict[str, subprocess.Popen[bytes]] = {}
        self.names = ("nats-1", "nats-2", "nats-3")

    def url(self, host: str = "127.0.0.1") -> str:
        """The three addresses with commas between, as seen by who reaches this machine as ``host``."""
        return ",".join(f"nats://{host}:{self._port(name, 0)}" for name in self.names)

    def start(self, *names: str) -> None:
        """Start these nodes, by default all; does not wait."""
        for name in names or self.names:
            self._start(name)

    def wait_ready(self) -> None:
        """Wait until the cluster has a leader and all that run have caught up.

        Raises:
            RuntimeError: that took too long.
        """
        deadline = time.monotonic() + _START_TIMEOUT_S
        while not all(self._answers(name, _HEALTHY) for name in self.names if self.running(name)):
            if time.monotonic() > deadline:
                logs = "\n".join(self.log(name)[-1500:] for name in self.names)
                raise RuntimeError(f"the NATS cluster did not become healthy:\n{logs}")
            time.sleep(0.05)

    def running(self, name: str) -> bool:
        """Whether the node's process lives."""
        process = self._processes.get(name)
        return process is not None and process.poll() is None

    def serves(self, name: str) -> bool:
        """Whether the node runs and its JetStream is enabled: a full disk disables it until a restart."""
        return self.running(name) and self._answers(name, _SERVES_JETSTREAM)

    def current(self, name: str) -> bool:
        """Whether the node runs and has all that the others have: after a full disk a stream may stand still,
        with JetStream enabled, until a restart.
        """
        return self.running(name) and self._answers(name, _HEALTHY)

    def pid(self, name: str) -> int:
        """The node's process id."""
        return self._processes[name].pid

    def kill(self, *names: str) -> None:
        """``kill -9`` of these nodes, by default of all at once."""
        for number in (signal.SIGKILL, None):
            for name in names or self.names:
                if (process := self._processes.get(name)) is not None:
                    if number is not None:
                        process.send_signal(number)
                    else:
                        process.wait(20)

    def log(self, name: str) -> str:
        """What the node said so far."""
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def _start(self, name: str) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        routes = ",".join(f"nats://127.0.0.1:{self._port(other, 1)}" for other in self.names if other != name)
        arguments = {
            "-a": self._host,
            "-p": self._port(name, 0),
            "-sd": self.folder / name,
            "--server_name": name,
            "--cluster_name": "test",
            "--cluster": f"nats://127.0.0.1:{self._port(name, 1)}",
            "--routes": routes,
            "--http_port": self._port(name, 2),
        }
        flat: Sequence[str] = [str(part) for pair in arguments.items() for part in pair]
        with (self.folder / f"{name}.log").open("ab") as log:
            self._processes[name] = subprocess.Popen(
                # Else clients are told addresses that they may not reach.
                [str(find_nats_server()), "-js", "--no_advertise", *flat],
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    def _port(self, name: str, which: int) -> int:
        return self._ports[3 * self.names.index(name) + which]

    def _answers(self, name: str, path: str) -> bool:
        url = f"http://127.0.0.1:{self._port(name, 2)}{path}"
        with contextlib.suppress(OSError), urllib.request.urlopen(url, timeout=1) as answer:
            return bool(answer.status == 200)
        return False

    def __enter__(self) -> Self:
        try:
            self.start()
            self.wait_ready()
        except BaseException:
            self.kill()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

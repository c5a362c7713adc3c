"""A real nats-server on a free loopback port, that tests may kill and bring back."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from pathlib import Path
from types import TracebackType
from typing import Self

from autoisp_runtime.nats_binary import find_nats_server

_START_TIMEOUT_S = 20.0


class NatsServer:
    """nats-server with JetStream in ``folder``; a context manager. A restart keeps port and data.

    Args:
        folder: for data, ports and log.
        config: a configuration file, for example with users.
    """

    def __init__(self, folder: Path, config: Path | None = None) -> None:
        self._folder = folder
        self._config = ("-c", str(config)) if config else ()
        self._process: subprocess.Popen[bytes] | None = None
        self.port = -1  # nats-server's word for any free port

    @property
    def url(self) -> str:
        """``nats://127.0.0.1:PORT``; stays the same over restarts."""
        return f"nats://127.0.0.1:{self.port}"

    @property
    def pid(self) -> int:
        """The process id.

        Raises:
            RuntimeError: it is not running.
        """
        if self._process is None:
            raise RuntimeError("nats-server is not running")
        return self._process.pid

    @property
    def log(self) -> str:
        """What it said so far."""
        return (self._folder / "log").read_text()

    def start(self) -> None:
        """Start and wait until it takes connections.

        Raises:
            RuntimeError: it did not come up; the message has its log.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        with (self._folder / "log").open("ab") as log:
            self._process = subprocess.Popen(
                [
                    *(find_nats_server(), "-a", "127.0.0.1", "-p", str(self.port)),
                    *("-js", "-sd", self._folder / "data", "--ports_file_dir", self._folder),
                    *self._config,
                ],
                stdout=log,
                stderr=log,
                # Ctrl-C in a terminal is for the tests, not for their server.
                start_new_session=True,
            )
        ports_file = self._folder / f"nats-server_{self._process.pid}.ports"
        deadline = time.monotonic() + _START_TIMEOUT_S
        while not ports_file.exists():
            if self._process.poll() is not None or time.monotonic() > deadline:
                self.kill()
                raise RuntimeError(f"nats-server did not start:\n{self.log}")
            time.sleep(0.02)
        time.sleep(0.02)
        url = json.loads(ports_file.read_text())["nats"][0]
        self.port = int(url.rsplit(":", 1)[1])

    def kill(self) -> None:
        """``kill -9``."""
        self._end(signal.SIGKILL)

    def stop(self) -> None:
        """SIGTERM, and wait."""
        self._end(signal.SIGTERM)

    def _end(self, number: signal.Signals) -> None:
        if self._process is not None:
            if self._process.poll() is None:
                self._process.send_signal(number)
            self._process.wait(20)
            self._process = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

"""Services as real processes."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

_READY_TIMEOUT_S = 60.0


class ServiceProcess:
    """``python -m <module>`` with ``AUTOISP_*`` settings; a context manager that leaves nothing running.

    Args:
        module: for example ``autoisp_search``.
        folder: for its log and port file; must exist.
        settings: lower-case field names of the service's configuration, for example ``nats_url=…``.
    """

    def __init__(self, module: str, folder: Path, **settings: object) -> None:
        self.module = module
        self._folder = folder
        self._settings = settings
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def log(self) -> str:
        """Everything it wrote, over all its starts."""
        return self._log_path.read_text(errors="replace")

    @property
    def address(self) -> str:
        """``127.0.0.1:PORT`` once it is ready."""
        return f"127.0.0.1:{int(self._port_file.read_text())}"

    @property
    def pid(self) -> int:
        """The process id.

        Raises:
            RuntimeError: it is not running.
        """
        if self._process is None:
            raise RuntimeError(f"{self.module} is not running")
        return self._process.pid

    def start(self, *, wait: bool = True) -> Self:
        """Start it and, if asked, wait until it is ready.

        Raises:
            RuntimeError: it ended or did not become ready; the message has the end of its log.
        """
        self._port_file.unlink(missing_ok=True)
        with self._log_path.open("ab") as log:
            self._process = subprocess.Popen(
                [sys.executable, "-m", self.module],
                env=self._environment(),
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        if wait:
            self.wait_ready()
        return self

    def wait_ready(self, timeout_s: float = _READY_TIMEOUT_S) -> None:
        """Wait for the port file.

        Raises:
            RuntimeError: as :meth:`start`.
        """
        deadline = time.monotonic() + timeout_s
        while not self._port_file.exists():
            if self._process is None or self._process.poll() is not None or time.monotonic() > deadline:
                raise RuntimeError(f"{self.module} did not become ready:\n{self.log[-4000:]}")
            time.sleep(0.02)

    def kill(self) -> None:
        """``kill -9``."""
        self._end(signal.SIGKILL)

    def stop(self, timeout_s: float = 30.0) -> int:
        """SIGTERM; returns the exit code.

        Raises:
            subprocess.TimeoutExpired: it did not stop in time.
        """
        return self._end(signal.SIGTERM, timeout_s)

    def wait(self, timeout_s: float = 30.0) -> int:
        """Wait until it ends by itself; returns the exit code.

        Raises:
            subprocess.TimeoutExpired: it did not.
        """
        if self._process is None:
            raise RuntimeError(f"{self.module} is not running")
        return self._process.wait(timeout_s)

    def _end(self, number: signal.Signals, timeout_s: float = 30.0) -> int:
        if self._process is None:
            return 0
        if self._process.poll() is None:
            self._process.send_signal(number)
        code = self._process.wait(timeout_s)
        self._process = None
        return code

    def _environment(self) -> Mapping[str, str]:
        # What the developer's shell says must not leak into tests.
        clean = {key: value for key, value in os.environ.items() if not key.startswith("AUTOISP_")}
        settings = {"port_file": self._port_file, "state_dir": self._folder, "log_format": "json"}
        settings |= self._settings
        return clean | {f"AUTOISP_{key.upper()}": str(value) for key, value in settings.items()}

    @property
    def _stem(self) -> str:
        return f"{self.module}-{id(self):x}"

    @property
    def _log_path(self) -> Path:
        return self._folder / f"{self._stem}.log"

    @property
    def _port_file(self) -> Path:
        return self._folder / f"{self._stem}.port"

    def __enter__(self) -> Self:
        return self if self._process is not None else self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()

"""The embedded mode as the command sees it: everything up inside a ``with``, nothing left after it."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections import deque
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from autoisp_client.endpoints import Endpoints
from autoisp_core.errors import (
    AutoISPError,
    FailedPreconditionError,
    ResourceExhaustedError,
    UnavailableError,
)

from autoisp_cli.local.folder import StateFolder
from autoisp_cli.local.supervisor import START_SECONDS, STOP_SECONDS


def default_workers() -> int:
    """One worker per core that this process may use."""
    return len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1


class LocalStack:
    """nats-server, the services and the workers as child processes.

    Args:
        state: the state folder; made if missing.
        workers: how many; 0 gives the services alone, to look at what there is.
    """

    def __init__(self, state: Path, workers: int) -> None:
        self.folder = StateFolder(state)
        self._workers = workers
        self._changed = threading.Condition()
        self._ready = False
        self._ended = False
        self._failure: AutoISPError | None = None
        self._notes: deque[str] = deque(maxlen=100)

    def __enter__(self) -> Self:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "autoisp_cli.local", str(self.folder.path), str(self._workers)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            # Ctrl-C is ours; we then stop it by closing its standard input.
            start_new_session=True,
        )
        threading.Thread(target=self._listen, daemon=True).start()
        try:
            self._wait_until_ready()
        except BaseException:
            self._stop()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._stop()

    @property
    def endpoints(self) -> Endpoints:
        """Where the services listen."""
        return Endpoints.load(self.folder.endpoints_file)

    def check(self) -> None:
        """Raises what went wrong since, if anything that can't be mended by a restart.

        Raises:
            UnavailableError: a part keeps failing; names it and shows the end of its log.
        """
        if self._failure is not None:
            raise self._failure
        if self._ended:
            raise UnavailableError(f"the local services ended; see {self.folder.logs}", reason="PART_FAILED")

    def notes(self) -> list[str]:
        """What the user may want to know and has not been told: parts that were started again."""
        taken = []
        while self._notes:
            taken.append(self._notes.popleft())
        return taken

    def _wait_until_ready(self) -> None:
        with self._changed:
            self._changed.wait_for(lambda: self._ready or self._ended, START_SECONDS + STOP_SECONDS)
        self.check()
        if not self._ready:
            raise UnavailableError("the local services did not start in time", reason="PART_FAILED")

    def _listen(self) -> None:
        assert self._process.stdout is not None
        for line in self._process.stdout:
            message = json.loads(line)
            with self._changed:
                if message["event"] == "ready":
                    self._ready = True
                elif message["event"] == "failed":
                    self._failure = _error(message)
                else:
                    self._notes.append(message["message"])
                self._changed.notify_all()
        with self._changed:
            self._ended = True
            self._changed.notify_all()

    def _stop(self) -> None:
        assert self._process.stdin is not None
        self._process.stdin.close()
        try:
            self._process.wait(STOP_SECONDS * 2)
        except (subprocess.TimeoutExpired, KeyboardInterrupt):
            # The kernel kills its children with it.
            self._process.kill()
            self._process.wait()


def _error(message: dict[str, Any]) -> AutoISPError:
    kinds = {"STATE_IN_USE": FailedPreconditionError, "DISK": ResourceExhaustedError}
    kinds["NO_NATS_SERVER"] = FailedPreconditionError
    kind = kinds.get(message["reason"], UnavailableError)
    return kind(message["message"], reason=message["reason"], metadata=message.get("metadata", {}))

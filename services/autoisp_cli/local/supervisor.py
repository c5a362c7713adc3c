"""Starts the parts in order, brings back those that die, and stops them all when its standard input ends.

It is a process of its own with one thread and no gRPC, so that starting children is safe at any time, and
so that it outlives a killed command just long enough to stop everything in order.
"""

from __future__ import annotations

import contextlib
import json
import os
import select
import signal
import sys
import time
from typing import Any

from autoisp_core.errors import AutoISPError, UnavailableError

from autoisp_cli.local.child import Child
from autoisp_cli.local.folder import FolderLock, StateFolder, unwritable
from autoisp_cli.local.parts import Parts

START_SECONDS = 90.0
STOP_SECONDS = 15.0
_BAD_CONFIGURATION = 2
_MOST_FAILURES, _MOST_FAILURES_AT_START = 6, 2
_TICK = 0.05


class _Stop(Exception):  # noqa: N818 - no error
    """The parent wants the end, or is gone."""


class Supervisor:
    """Runs the parts in ``folder``; tells what happens as JSON lines on standard output."""

    def __init__(self, folder: StateFolder, workers: int) -> None:
        self._folder = folder
        self._parts = Parts(folder, workers)
        self._stopping = False
        self._up = False

    def run(self) -> int:
        """Until standard input ends or SIGTERM comes (exit code 0), or a part can't live (1)."""
        signal.signal(signal.SIGTERM, lambda number, frame: self._stop_later())
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        try:
            with FolderLock(self._folder):
                return self._locked()
        except AutoISPError as error:
            return _tell_failure(error)

    def _locked(self) -> int:
        try:
            self._folder.prepare()
            self._start()
            self._up = True
            self._folder.endpoints_file.write_text(self._parts.endpoints().to_json())
            _tell(event="ready", endpoints=str(self._folder.endpoints_file))
            while True:
                self._tick()
        except _Stop:
            return 0
        except AutoISPError as error:
            return _tell_failure(error)  # at once: stopping takes a while
        except OSError as error:
            return _tell_failure(unwritable(self._folder.path, error))
        finally:
            self._folder.endpoints_file.unlink(missing_ok=True)
            self._stop_all()

    def _start(self) -> None:
        deadline = time.monotonic() + START_SECONDS
        self._parts.broker.start()
        self._wait([self._parts.broker], deadline)
        for child in self._parts.services + self._parts.workers:
            child.start()
        # Footage can be taken in while the workers still load their libraries.
        self._wait(self._parts.services, deadline)

    def _wait(self, children: list[Child], deadline: float) -> None:
        while waiting := [child for child in children if not self._parts.ready(child)]:
            if time.monotonic() > deadline:
                raise self._failure(waiting[0], f"was not ready after {START_SECONDS:.0f} s")
            self._tick()

    def _tick(self) -> None:
        """Sleeps a moment; ends it all if asked to; looks after the children."""
        try:
            readable, _, _ = select.select([sys.stdin], [], [], _TICK)
        except InterruptedError:
            readable = []
        if self._stopping or (readable and not os.read(sys.stdin.fileno(), 64)):
            raise _Stop
        for child in self._parts.all:
            code = child.died()
            if code is not None:
                self._bury(child, code)
            if child.next_start and not child.running and time.monotonic() >= child.next_start:
                child.next_start = 0.0
                child.start()

    def _bury(self, child: Child, code: int) -> None:
        how = f"was killed by signal {-code}" if code < 0 else f"ended with code {code}"
        # Before everything is up, somebody waits and a part that can't start won't later.
        most = _MOST_FAILURES if self._up else _MOST_FAILURES_AT_START
        if code == _BAD_CONFIGURATION or child.failures >= most:
            raise self._failure(child, how)
        _tell(event="restarting", part=child.name, message=f"{child.name} {how}; it is started again")

    def _failure(self, child: Child, how: str) -> UnavailableError:
        tail = self._folder.tail(child.name)
        shown = f"; its log ends with:\n{tail}" if tail else ""
        return UnavailableError(
            f"{child.name} {how}; see {self._folder.log(child.name)}{shown}",
            reason="PART_FAILED",
            metadata={"part": child.name},
        )

    def _stop_later(self) -> None:
        self._stopping = True

    def _stop_all(self) -> None:
        deadline = time.monotonic() + STOP_SECONDS
        others = self._parts.services + self._parts.workers
        for child in others:
            child.terminate()
        for child in others:
            child.wait(deadline)
        # Last, so that the services could still send what they had to say.
        self._parts.broker.terminate()
        self._parts.broker.wait(time.monotonic() + STOP_SECONDS / 3)


def _tell_failure(error: AutoISPError) -> int:
    _tell(event="failed", reason=error.reason, message=error.message, metadata=error.metadata)
    return 1


def _tell(**message: Any) -> None:
    # Nobody may listen any more: standard input will end too.
    with contextlib.suppress(BrokenPipeError):
        print(json.dumps(message), flush=True)

"""One child process that never outlives its parent."""

from __future__ import annotations

import ctypes
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

_PR_SET_PDEATHSIG = 1
_FIRST_PAUSE, _LONGEST_PAUSE = 0.25, 5.0
_HEALTHY_SECONDS = 20.0


class Child:
    """A program that is started, watched and started again.

    Args:
        name: of its log and in messages.
        command: gives program and environment anew for every start, since ports are known later.
        log: where its output is appended.
    """

    def __init__(
        self, name: str, command: Callable[[], tuple[Sequence[str], Mapping[str, str]]], log: Path
    ) -> None:
        self.name = name
        self._command = command
        self._log = log
        self._process: subprocess.Popen[bytes] | None = None
        self._started = 0.0
        self.failures = 0
        """How often it died in a row, each time soon after its start."""
        self.next_start = 0.0
        """When it may start again, on the monotonic clock."""

    @property
    def pid(self) -> int:
        """Its process id; 0 before the first start."""
        return self._process.pid if self._process else 0

    @property
    def running(self) -> bool:
        """Whether it is started and alive."""
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        """Starts it."""
        arguments, environment = self._command()
        with self._log.open("ab") as log:
            self._process = subprocess.Popen(
                list(arguments),
                env=dict(environment),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                # Ctrl-C is the parent's; it stops its children in order.
                start_new_session=True,
                preexec_fn=_dies_with(os.getpid()),
            )
        self._started = time.monotonic()

    def died(self) -> int | None:
        """The exit code, once, if it ended since the last look; plans the next start."""
        if self._process is None or (code := self._process.poll()) is None:
            return None
        now = time.monotonic()
        self.failures = 1 if now - self._started > _HEALTHY_SECONDS else self.failures + 1
        self.next_start = now + min(_FIRST_PAUSE * 2**self.failures, _LONGEST_PAUSE)
        self._process = None
        return code

    def terminate(self) -> None:
        """Asks it to stop."""
        self._signal(signal.SIGTERM)

    def wait(self, deadline: float) -> None:
        """Waits until ``deadline`` on the monotonic clock, then kills it."""
        if self._process is None:
            return
        try:
            self._process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            self._signal(signal.SIGKILL)
            self._process.wait()

    def _signal(self, number: signal.Signals) -> None:
        if self._process is not None and self._process.poll() is None:
            self._process.send_signal(number)


def _dies_with(parent: int) -> Callable[[], None] | None:
    """What a new process does first, so that the kernel kills it when its parent is gone; Linux only.

    Elsewhere services watch their parent themselves, and the broker is stopped by the supervisor's own end.
    """
    if sys.platform != "linux":
        return None
    prctl = ctypes.CDLL(None, use_errno=True).prctl

    def first() -> None:
        prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
        if os.getppid() != parent:  # it was gone before we asked
            os._exit(1)

    return first

"""The child process seen from outside: requests, answers, time limits, and what its death means."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import suppress
from multiprocessing.connection import Connection
from typing import Any

from autoisp_core.errors import (
    AutoISPError,
    ErrorCode,
    FailedPreconditionError,
    ResourceExhaustedError,
    from_parts,
)

from autoisp_isp.isolated.room import Room

OnWait = Callable[[], None]
"""Called a few times a second while an answer is waited for; what it raises ends the waiting."""

_LOOK_EVERY_S = 0.1
_END_S = 10.0
_LONGEST_ANSWER = 1 << 20
_INHERITED = re.compile(
    "PATH|HOME|LANG|LC_.*|TZ|TMPDIR|LD_LIBRARY_PATH|VIRTUAL_ENV|PYTHON.*|CUDA_.*|NVIDIA_.*|(OMP|OPENBLAS|MKL)_.*"
)
"""Variables that the child gets. Others may be secrets, and the graph may be from anybody."""


class ChildProcess:
    """Starts the process and talks to it. It ends with this process, however that ends. For one thread.

    Args:
        on_wait: see `OnWait`.
    """

    def __init__(self, on_wait: OnWait) -> None:
        self._on_wait = on_wait
        self._broken: AutoISPError | None = None
        self.room = Room.make()
        ours, theirs = socket.socketpair()
        with theirs:
            try:
                self._process = subprocess.Popen(
                    [
                        sys.executable,
                        "-P",
                        "-m",
                        "autoisp_isp.isolated.child",
                        str(theirs.fileno()),
                        str(self.room.descriptor),
                    ],
                    stdin=subprocess.DEVNULL,
                    pass_fds=(theirs.fileno(), self.room.descriptor),
                    env=environment(),
                )
            except OSError as error:
                ours.close()
                self.room.close()
                raise ResourceExhaustedError(
                    f"no process for the network could be started ({error.strerror}); try again when less "
                    "runs here",
                    reason="NO_PROCESS",
                ) from error
        self._connection = Connection(ours.detach())

    @property
    def pid(self) -> int:
        """Of the child."""
        return self._process.pid

    @property
    def broken(self) -> AutoISPError | None:
        """Why nothing more is to be had from it."""
        return self._broken

    def send(self, request: dict[str, Any]) -> None:
        """Puts a request to it; `receive` is next.

        Raises:
            FailedPreconditionError: it is broken.
        """
        self._check()
        try:
            self._connection.send_bytes(json.dumps(request).encode())
        except OSError:
            raise self._break(self._crash()) from None

    def receive(self, limit_s: float) -> dict[str, Any]:
        """Its answer.

        Raises:
            FailedPreconditionError: reason MODEL_CRASHED, MODEL_TIMED_OUT, MODEL_OUT_OF_MEMORY or
                OUTPUT_NOT_FINITE; it is broken from then on.
            AutoISPError: what the child says.
        """
        self._check()
        give_up_at = time.monotonic() + limit_s
        try:
            while not self._connection.poll(max(0.0, min(_LOOK_EVERY_S, give_up_at - time.monotonic()))):
                if time.monotonic() >= give_up_at:
                    raise self._break(_too_slow(limit_s))
                self._let_wait()
            answer: dict[str, Any] = json.loads(self._connection.recv_bytes(_LONGEST_ANSWER))
        except (EOFError, OSError):
            raise self._break(self._crash()) from None
        if "error" not in answer:
            return answer
        code, reason, message, metadata = answer["error"]
        error = from_parts(ErrorCode(code), reason, message, metadata)
        raise self._break(error) if answer["broken"] else error

    def close(self) -> None:
        """Ends the child, whatever it does."""
        self._process.kill()
        self._process.wait(_END_S)
        self._connection.close()
        self.room.close()
        self._broken = self._broken or FailedPreconditionError("the network was closed", reason="CLOSED")

    def _let_wait(self) -> None:
        try:
            self._on_wait()
        except BaseException:
            self._break(FailedPreconditionError("its answer was not waited for", reason="CLOSED"))
            raise

    def _check(self) -> None:
        if self._broken is not None:
            raise FailedPreconditionError(
                f"the network is broken and has to be loaded again; it broke when {self._broken}",
                reason=self._broken.reason,
                metadata=self._broken.metadata,
            )

    def _break(self, error: AutoISPError) -> AutoISPError:
        self._broken = error
        self._process.kill()
        return error

    def _crash(self) -> AutoISPError:
        with suppress(subprocess.TimeoutExpired):
            self._process.wait(_END_S)
        # One that closed its end, or broke the rules, and lives.
        self._process.kill()
        self._process.wait(_END_S)
        return FailedPreconditionError(
            f"the process that ran the model {ended(self._process.returncode)}; look at the model, and "
            "whether memory was short",
            reason="MODEL_CRASHED",
        )


def environment() -> dict[str, str]:
    """What a child process that runs somebody's graph gets to see."""
    wanted = {name: value for name, value in os.environ.items() if _INHERITED.fullmatch(name)}
    # Modules come from where this process has them, and not from the folder that it happens to be in.
    return wanted | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path))}


def _too_slow(limit_s: float) -> AutoISPError:
    return FailedPreconditionError(
        f"the model gave no answer within {limit_s:g} s, and was stopped; make it smaller, or allow more "
        "time",
        reason="MODEL_TIMED_OUT",
    )


def ended(code: int) -> str:
    """How a process ended, from its exit code, for people."""
    if code >= 0:
        return f"ended with exit code {code}"
    try:
        return f"was ended by {signal.Signals(-code).name}"
    except ValueError:
        return f"was ended by signal {-code}"

"""What a child process that works on somebody's graph may take, and when it ends."""

from __future__ import annotations

import contextlib
import os
import resource
import select
import threading
from pathlib import Path

from autoisp_core.errors import AutoISPError, FailedPreconditionError

_NO_MEMORY = ("bad_alloc", "bad allocation", "failed to allocate", "out of memory", "allocate memory")
"""How ONNX Runtime says that memory is short, beside Python's own way."""


def limit_growth(size: int) -> None:
    """From now on this process may grow by so many bytes."""
    limit = status_bytes("VmData") + size  # what counts against RLIMIT_DATA
    resource.setrlimit(resource.RLIMIT_DATA, (limit, limit))


def no_core() -> None:
    """What a process leaves that a graph crashes may be as large as its memory: it shall leave nothing."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))


def end_with(descriptor: int) -> None:
    """Ends this process with the one at the other end of a socket or pipe, whatever it is busy with."""

    def watch() -> None:
        watched = select.poll()
        watched.register(descriptor, 0)  # that the other end is gone is told without being asked for
        watched.poll()
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def status_bytes(name: str) -> int:
    """Bytes of a line of the process's status; 0 where there is no such thing."""
    with contextlib.suppress(OSError):
        for line in Path("/proc/self/status").read_text().splitlines():
            if line.startswith(name + ":"):
                return 1024 * int(line.split()[1])
    return 0


def no_memory() -> AutoISPError:
    """The graph wants too much of it."""
    return FailedPreconditionError(
        "the model wants more memory than it may have; make it smaller, or let it have more",
        reason="MODEL_OUT_OF_MEMORY",
    )


def wants_memory(error: Exception) -> bool:
    """Whether an error says that memory is short."""
    return isinstance(error, MemoryError) or any(words in str(error).lower() for words in _NO_MEMORY)

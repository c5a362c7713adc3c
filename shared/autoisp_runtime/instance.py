"""This process among others: when it began, of which release it is, what it has used."""

from __future__ import annotations

import os
import resource
import socket
import sys
import time
from datetime import UTC, datetime
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

STARTED = datetime.now(UTC)
"""When this process was started, to the import of this module."""


def process_name() -> str:
    """``HOST-PID``: no two processes that live have the same."""
    return f"{socket.gethostname()}-{os.getpid()}"


@cache
def release() -> str:
    """The release of AutoISP that runs; ``unknown`` from sources that were never installed."""
    try:
        return version("autoisp")
    except PackageNotFoundError:
        return "unknown"


def cpu_seconds() -> float:
    """Processor time that this process has taken, on all cores."""
    return time.process_time()


def memory_bytes() -> int:
    """Memory of this process that is in RAM; the most it ever was where the system tells no more."""
    try:
        pages = int(Path("/proc/self/statm").read_text().split()[1])
    except (OSError, ValueError, IndexError):
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        return peak if sys.platform == "darwin" else peak * 1024
    return pages * os.sysconf("SC_PAGE_SIZE")

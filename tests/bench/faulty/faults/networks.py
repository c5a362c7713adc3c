"""Partitions: a part in a network namespace of its own, whose cable is pulled and plugged in again."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

from faulty.faults.fault import Fault, Prepare
from faulty.system import Placing, System
from faulty.tuning import Tuning

_HOST, _GUEST = "10.213.77.1", "10.213.77.2"


def _ip(*words: str) -> None:
    subprocess.run(["ip", *words], check=True)


def _cable() -> str:
    return f"flt{os.getpid() % 100000}"


def _apart(part: str) -> Prepare:
    @contextmanager
    def prepared(_folder: Path) -> Iterator[Mapping[str, Placing]]:
        name = _cable()
        _ip("netns", "add", name)
        try:
            _ip("link", "add", f"{name}h", "type", "veth", "peer", "name", f"{name}g", "netns", name)
            _ip("addr", "add", f"{_HOST}/30", "dev", f"{name}h")
            _ip("link", "set", f"{name}h", "up")
            _ip("-n", name, "addr", "add", f"{_GUEST}/30", "dev", f"{name}g")
            _ip("-n", name, "link", "set", f"{name}g", "up")
            _ip("-n", name, "link", "set", "lo", "up")
            yield {part: Placing(("ip", "netns", "exec", name), _GUEST, _HOST)}
        finally:
            _ip("netns", "delete", name)

    return prepared


def _cut(system: System, _tuning: Tuning, seconds: float) -> None:
    if not _reaches_broker(system):
        raise RuntimeError("the broker was not reached before, so this would prove nothing")
    _ip("-n", _cable(), "link", "set", f"{_cable()}g", "down")
    try:
        # Packets vanish without a word, as in a real partition; nobody's connection is closed.
        if _reaches_broker(system):
            raise RuntimeError("the broker is still reached, so nothing is cut off")
        time.sleep(seconds)
    finally:
        _ip("-n", _cable(), "link", "set", f"{_cable()}g", "up")


def _reaches_broker(system: System) -> bool:
    """Whether the broker answers from where the part is."""
    port = system.brokers.url().split(",")[0].rpartition(":")[2]
    ask = f"import socket; socket.create_connection(({_HOST!r}, {port}), 1)"
    command = ["ip", "netns", "exec", _cable(), sys.executable, "-S", "-c", ask]
    return subprocess.run(command, check=False, stderr=subprocess.DEVNULL).returncode == 0


FAULTS = tuple(
    Fault(
        f"partition-{part}",
        f"the {what} is cut off from brokers and callers",
        _cut,
        _apart(part),
        seconds=15,
        quick_seconds=8,
        needs_root=True,
    )
    for part, what in (("search", "search service"), ("worker-1", "first worker"))
)

"""Disks that are full, and one that is slow."""

from __future__ import annotations

import asyncio
import errno
import os
import re
import signal
import subprocess
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

import asyncpg

from faulty.faults.fault import Fault, Prepare
from faulty.system import Placing, System
from faulty.tuning import Tuning

_MIB = 1 << 20
_LOG_SEGMENTS = 20
_TOOK = re.compile(r'SearchService/GetSearch", "code": "OK", "ms": ([0-9.]+)')
_SLOW_MS, _SLOW_CALLS = 500.0, 3


def _small_disk(which: str, mib: int) -> Prepare:
    """A file system of its own for ``postgres``, ``nats`` or ``state``."""

    @contextmanager
    def mounted(folder: Path) -> Iterator[Mapping[str, Placing]]:
        place = folder / which
        place.mkdir(parents=True)
        subprocess.run(
            ["mount", "-t", "tmpfs", "-o", f"size={mib}m,mode=755", "autoisp-faults", place], check=True
        )
        try:
            yield {}
        finally:
            subprocess.run(["umount", "--lazy", place], check=True)

    return mounted


def _full(which: str) -> Callable[[System, Tuning, float], None]:
    def strike(system: System, _tuning: Tuning, seconds: float) -> None:
        ballast = system.folder / which / "ballast"
        fill(ballast)
        try:
            if which == "postgres":
                asyncio.run(_use_up_log(system.database))
            time.sleep(seconds)
        finally:
            ballast.unlink()

    return strike


async def _use_up_log(database: str) -> None:
    """Have PostgreSQL want a new segment of its write-ahead log; the one it has is enough for minutes.

    Raises:
        RuntimeError: it found room for all of them, so its disk is not full.
    """
    try:
        connection = await asyncpg.connect(database.replace("+asyncpg", ""))
        for _ in range(_LOG_SEGMENTS):
            await connection.execute("SELECT pg_logical_emit_message(true, 'faults', 'full')")
            await connection.execute("SELECT pg_switch_wal()")
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError):
        return
    raise RuntimeError("PostgreSQL goes on with a full disk")


def fill(ballast: Path) -> None:
    """Write until nothing more goes in."""
    with ballast.open("wb", buffering=0) as file:
        for size in (_MIB, 4096):
            try:
                while True:
                    file.write(bytes(size))
            except OSError as error:
                if error.errno != errno.ENOSPC:
                    raise


def _slow(system: System, _tuning: Tuning, seconds: float) -> None:
    """Every process that writes for the database or the brokers stands still nine tenths of the time.

    A stand-in for a slow disk: this kernel has no device mapper, and throttling by cgroup needs a disk of its
    own. What waits for a commit or a receipt waits as if ``fsync`` took most of a second.
    """
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        pids = [*_family(system.postgres.pid), *(system.pid(name) for name in system.brokers.names)]
        _signal(pids, signal.SIGSTOP)
        try:
            time.sleep(0.9)
        finally:
            _signal(pids, signal.SIGCONT)
        time.sleep(0.1)


def _quick(system: System) -> list[str]:
    """Whether the search service, which reads its database for every call, was as quick as ever."""
    slow = [float(took) for took in _TOOK.findall(system.log("search")) if float(took) > _SLOW_MS]
    return [] if len(slow) >= _SLOW_CALLS else [f"{len(slow)} calls took {_SLOW_MS:g} ms"]


def _signal(pids: list[int], number: signal.Signals) -> None:
    for pid in pids:
        try:
            os.kill(pid, number)
        except ProcessLookupError:
            continue


def _family(pid: int) -> list[int]:
    import psutil

    process = psutil.Process(pid)
    return [pid, *(child.pid for child in process.children(recursive=True))]


def _named(which: str, what: str, mib: int) -> Fault:
    prepare: Callable[[Path], AbstractContextManager[Mapping[str, Placing]]] = _small_disk(which, mib)
    return Fault(
        f"disk-full-{which}",
        f"the disk of {what} is full, then not any more",
        _full(which),
        prepare,
        seconds=15,
        quick_seconds=5,
        needs_root=True,
    )


FAULTS = (
    _named("state", "the artifact store", 64),
    _named("postgres", "PostgreSQL", 384),
    _named("nats", "the brokers", 96),
    Fault(
        "disk-slow",
        "database and brokers stand still nine tenths of the time",
        _slow,
        seconds=15,
        quick_seconds=5,
        wrong=_quick,
    ),
)

"""Clocks that jump, by libfaketime: of all services and workers, not of the brokers and the database.

The brokers are Go programs, which libfaketime does not reach; the machine's own clock is not ours to set.
Monotonic clocks stay right, as they do when a real clock is set.
"""

from __future__ import annotations

import glob
import re
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from datetime import datetime
from itertools import pairwise
from pathlib import Path

from faulty.faults.fault import Fault
from faulty.system import SERVICES, Placing, System
from faulty.tuning import Tuning

_LIBRARY = "/usr/lib/*/faketime/libfaketimeMT.so.1"
_FILE = "clock"
_MOST_WORKERS = 8
_STAMP = re.compile(r'"timestamp": "([^"]+)"')
_HOUR_S = 3600
# time.sleep waits for a moment of the monotonic clock, and libfaketime gives the kernel a wrong one for it.
_SLEEP = """
import select, time
time.sleep = lambda seconds: select.select([], [], [], seconds) and None
"""


@contextmanager
def _faked(folder: Path) -> Iterator[Mapping[str, Placing]]:
    libraries = glob.glob(_LIBRARY)
    if not libraries:
        raise FileNotFoundError(f"{_LIBRARY}; apt-get install faketime")
    folder.mkdir(parents=True, exist_ok=True)
    _set(folder, "+0")
    patches = folder / "clock-patches"
    patches.mkdir()
    (patches / "sitecustomize.py").write_text(_SLEEP)
    environment = {
        "LD_PRELOAD": libraries[0],
        "FAKETIME_TIMESTAMP_FILE": str(folder / _FILE),
        "FAKETIME_CACHE_DURATION": "1",
        "DONT_FAKE_MONOTONIC": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",
    }
    names = (*SERVICES, *(f"worker-{number}" for number in range(1, _MOST_WORKERS + 1)))
    yield {name: Placing(environment=environment, patches=(patches,)) for name in names}


def _set(folder: Path, offset: str) -> None:
    fresh = folder / f"{_FILE}.new"
    fresh.write_text(f"{offset}\n")
    fresh.rename(folder / _FILE)


def _jump(system: System, _tuning: Tuning, seconds: float) -> None:
    for offset in ("+1h", "-1h"):
        _set(system.folder, offset)
        time.sleep(seconds / 2)
    _set(system.folder, "+0")


def _unseen(system: System) -> list[str]:
    """Whether the log of the search service, which is asked all the time, tells of a clock that stayed."""
    stamps = [datetime.fromisoformat(stamp) for stamp in _STAMP.findall(system.log("search"))]
    jumps = [(after - before).total_seconds() for before, after in pairwise(stamps)]
    seen = [round(jump / _HOUR_S) for jump in jumps if abs(jump) > _HOUR_S / 2]
    # Lines of two threads may stand in another order than their stamps, and add jumps to and fro.
    return [] if {1, -2} <= set(seen) else [f"the search service saw its clock jump by hours: {seen}"]


FAULTS = (
    Fault(
        "clock",
        "clocks jump an hour on, two back, and right again",
        _jump,
        _faked,
        seconds=12,
        quick_seconds=6,
        wrong=_unseen,
    ),
)

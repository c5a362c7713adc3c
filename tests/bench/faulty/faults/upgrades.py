"""Rolling upgrades: parts of an earlier release and of this one, side by side, on one database and broker."""

from __future__ import annotations

import os
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from faulty.faults.fault import Fault
from faulty.system import HERE, SERVICES, Placing, System
from faulty.tuning import Tuning

OLD = os.environ.get("AUTOISP_OLD", "943dfa2")
"""The commit of the earlier release: the end of issue 6."""
WORKERS = ("worker-1", "worker-2")


@contextmanager
def _all_old(_folder: Path) -> Iterator[Mapping[str, Placing]]:
    with tempfile.TemporaryDirectory(prefix="autoisp-old-") as folder:
        tree = Path(folder) / "tree"
        git = ["git", "-C", str(HERE), "worktree"]
        subprocess.run([*git, "add", "--quiet", "--detach", str(tree), OLD], check=True)
        try:
            yield {name: Placing(sources=tree) for name in (*SERVICES, *WORKERS)}
        finally:
            subprocess.run([*git, "remove", "--force", str(tree)], check=True)


def _rolled(order: Sequence[str]) -> Callable[[System, Tuning, float], None]:
    def strike(system: System, tuning: Tuning, seconds: float) -> None:
        for number, name in enumerate(order):
            system.move(name, Placing())
            if name in SERVICES:
                system.wait_serving()
            if number == len(order) // 2:
                # Half old and half new must get somewhere together, not only survive each other.
                tuning.one_more()
            time.sleep(seconds / len(order))

    return strike


FAULTS = (
    Fault(
        "upgrade-services-first",
        "old services, then old workers, are replaced one by one",
        _rolled((*SERVICES, *WORKERS)),
        _all_old,
        seconds=6,
        quick_seconds=1,
        trains=True,
        longer=2,
    ),
    Fault(
        "upgrade-workers-first",
        "old workers, then old services, are replaced one by one",
        _rolled((*WORKERS, *SERVICES)),
        _all_old,
        seconds=6,
        quick_seconds=1,
        trains=True,
        longer=2,
    ),
)

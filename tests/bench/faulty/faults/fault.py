"""A fault: what is prepared before the system starts, and what then befalls it."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path

from faulty.system import Placing, System
from faulty.tuning import Tuning

Prepare = Callable[[Path], AbstractContextManager[Mapping[str, Placing]]]


@contextmanager
def nothing(_folder: Path) -> Iterator[Mapping[str, Placing]]:
    """No preparation: every part runs here, from this working tree."""
    yield {}


@dataclass(frozen=True)
class Fault:
    """One row of the table.

    Attributes:
        name: for the command line.
        what: what happens, in a few words.
        strike: does it, for so many seconds where it lasts; returns when it is over.
        prepare: around the whole run; gives where the parts run.
        seconds, quick_seconds: how long it lasts.
        dead_letters: how many messages nobody can handle, which end in the dead letters.
        needs_root: mounts, or network namespaces.
        wrong: asked at the end, with everything still up: in words, what this fault left wrong, or why it
            was none.
        longer: how many times as many trials it needs as others, so that the search outlasts it.
        trains: whether it needs workers that train; those that only sleep leave no checkpoints.
    """

    name: str
    what: str
    strike: Callable[[System, Tuning, float], None]
    prepare: Prepare = nothing
    seconds: float = 0.0
    quick_seconds: float = 0.0
    dead_letters: int = 0
    needs_root: bool = False
    wrong: Callable[[System], list[str]] = lambda _system: []
    longer: int = 1
    trains: bool = False

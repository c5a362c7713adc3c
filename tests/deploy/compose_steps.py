"""Steps that take time, and a table of how long each took."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager


class Steps:
    """Says what it does while it does it; :meth:`table` is for the end."""

    def __init__(self) -> None:
        self._taken: list[tuple[str, float, str]] = []

    @contextmanager
    def step(self, name: str) -> Iterator[list[str]]:
        """Times the block; what is appended to the list is said beside its time."""
        details: list[str] = []
        print(f"-- {name}", flush=True)
        start = time.monotonic()
        try:
            yield details
        finally:
            seconds = time.monotonic() - start
            self._taken.append((name, seconds, "; ".join(details)))
            print(f"   {seconds:.1f} s  {'; '.join(details)}", flush=True)

    def note(self, name: str, seconds: float, detail: str = "") -> None:
        """A time that was measured elsewhere, as it is known."""
        self._taken.append((name, seconds, detail))
        print(f"   {name}: {seconds:.1f} s  {detail}", flush=True)

    def table(self) -> str:
        """As Markdown."""
        rows = [f"| {name} | {seconds:.1f} | {detail} |" for name, seconds, detail in self._taken]
        return "\n".join(["| step | s | |", "| --- | --- | --- |", *rows])


def wait_for(what: str, reached: Callable[[], bool], limit_s: float, every_s: float = 0.5) -> float:
    """Seconds until ``reached`` says so.

    Raises:
        TimeoutError: it did not within ``limit_s``.
    """
    start = time.monotonic()
    while not reached():
        if time.monotonic() - start > limit_s:
            raise TimeoutError(f"{what} took longer than {limit_s:.0f} s")
        time.sleep(every_s)
    return time.monotonic() - start

"""Wakes those who wait for a resource to change, within this process."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager


class Changes:
    """Who watches what. Changes made by other processes are not seen; watchers also poll."""

    def __init__(self) -> None:
        self._watchers: defaultdict[str, set[asyncio.Event]] = defaultdict(set)
        self.closed = False

    @contextmanager
    def watch(self, *names: str) -> Iterator[asyncio.Event]:
        """An event that is set whenever one of ``names`` changed; clear it *before* reading the resource."""
        event = asyncio.Event()
        for name in names:
            self._watchers[name].add(event)
        try:
            yield event
        finally:
            for name in names:
                self._watchers[name].discard(event)
                if not self._watchers[name]:
                    del self._watchers[name]

    def close(self) -> None:
        """Wake everybody for good: this process stops."""
        self.closed = True
        for name in self._watchers:
            self.announce(name)

    def announce(self, name: str) -> None:
        """Wake everybody who watches ``name``."""
        for event in self._watchers.get(name, ()):
            event.set()

"""Wakes those who watch a search when it changes in this process."""

from __future__ import annotations

import asyncio
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager


class Changes:
    """Tells watchers *that* something changed, never what: they read it. So a slow one costs one flag."""

    def __init__(self) -> None:
        self._listeners: defaultdict[str, set[asyncio.Event]] = defaultdict(set)
        self.closed = False

    def notify(self, search_id: str) -> None:
        """Wake all who listen to this search."""
        for changed in self._listeners.get(search_id, ()):
            changed.set()

    def close(self) -> None:
        """Wake all, for good: this process stops."""
        self.closed = True
        for search_id in self._listeners:
            self.notify(search_id)

    @contextmanager
    def listen(self, search_id: str) -> Iterator[asyncio.Event]:
        """An event that is set by each change; the listener clears it before it reads."""
        changed = asyncio.Event()
        self._listeners[search_id].add(changed)
        try:
            yield changed
        finally:
            self._listeners[search_id].discard(changed)
            if not self._listeners[search_id]:
                del self._listeners[search_id]

    @property
    def listeners(self) -> int:
        """How many listen."""
        return sum(map(len, self._listeners.values()))

"""Wakes those who wait for anything in the registry to change."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager


class Changes:
    """Everybody who watches, in this process. Changes that nobody tells of are found by polling."""

    def __init__(self) -> None:
        self._watchers: set[asyncio.Event] = set()
        self.closed = False

    @contextmanager
    def watch(self) -> Iterator[asyncio.Event]:
        """An event that is set whenever something changed; clear it *before* reading."""
        event = asyncio.Event()
        self._watchers.add(event)
        try:
            yield event
        finally:
            self._watchers.discard(event)

    def announce(self) -> None:
        """Wake everybody."""
        for event in self._watchers:
            event.set()

    async def on_event(self, payload: bytes) -> None:
        """Another process changed something: what it was is read from the audit log."""
        self.announce()

    def close(self) -> None:
        """Wake everybody for good: this process stops."""
        self.closed = True
        self.announce()

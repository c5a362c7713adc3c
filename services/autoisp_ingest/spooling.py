"""The upload spool, and the name by which a process knows its own leftovers."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

from autoisp_core.ids import new_id
from autoisp_runtime.resumable import Announced, SpoolLimits, UploadSpool

from autoisp_ingest.domain import Spooled, Upload, UploadHeader


class DiskSpool:
    """Receives uploads into ``directory``, which belongs to this process alone."""

    def __init__(self, directory: Path, limits: SpoolLimits) -> None:
        self._files = UploadSpool(directory, limits)

    @asynccontextmanager
    async def receive(self, header: UploadHeader, chunks: AsyncIterator[bytes]) -> AsyncIterator[Spooled]:
        """See :class:`autoisp_ingest.usecases.Spool`."""
        announced = Announced(header.sha256, header.size_bytes, header.first_offset)
        async with self._files.receive(announced, chunks) as file:
            yield Spooled(file.path, file.size_bytes, file.sha256)

    @asynccontextmanager
    async def take(self, size_bytes: int, blocks: Iterator[bytes]) -> AsyncIterator[Spooled]:
        """See :class:`autoisp_ingest.usecases.Spool`."""
        async with self._files.take(size_bytes, blocks, field="uri") as file:
            yield Spooled(file.path, file.size_bytes, file.sha256)

    def find(self, sha256: str) -> Upload | None:
        """See :class:`autoisp_ingest.usecases.Spool`."""
        found = self._files.find(sha256)
        if found is None:
            return None
        return Upload(sha256, found.size_bytes, found.received_bytes, found.expire_time)

    def clear_expired(self) -> int:
        """See :class:`autoisp_ingest.usecases.Spool`."""
        return self._files.clear_expired()

    def clear(self) -> int:
        """See :class:`autoisp_ingest.usecases.Spool`."""
        return self._files.clear()


def owner_of(directory: Path) -> str:
    """A name that stays with ``directory`` over restarts, made at the first call."""
    directory.mkdir(parents=True, exist_ok=True)
    file = directory / "owner"
    try:
        with file.open("x") as new:
            new.write(new_id("o"))
    except FileExistsError:
        pass
    name = file.read_text().strip()
    if not name:  # killed between making and writing it: nothing can be noted under it yet
        name = new_id("o")
        file.write_text(name)
    return name

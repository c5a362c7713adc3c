"""The upload spool, and the name by which a process knows its own leftovers."""

from __future__ import annotations

from collections.abc import AsyncIterable, AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from autoisp_core.ids import new_id
from autoisp_runtime.uploads import clear_spool, spool

from autoisp_ingest.domain import UploadHeader


class DiskSpool:
    """Receives uploads into ``directory``, which belongs to this process alone."""

    def __init__(self, directory: Path, quota_bytes: int) -> None:
        self._directory = directory
        self._quota_bytes = quota_bytes

    @asynccontextmanager
    async def __call__(self, header: UploadHeader, chunks: AsyncIterable[bytes]) -> AsyncIterator[Path]:
        """See :class:`autoisp_ingest.usecases.upload.Spool`."""
        async with spool(
            chunks,
            directory=self._directory,
            size_bytes=header.size_bytes,
            sha256=header.sha256,
            quota_bytes=self._quota_bytes,
        ) as file:
            yield file.path

    def clear(self) -> int:
        """Delete what a killed process left; returns how many files that were."""
        return clear_spool(self._directory)


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

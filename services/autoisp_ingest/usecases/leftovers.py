"""Frames that no clip owns: of uploads that failed or died, and of deleted clips.

Frames lie under a name of their own attempt, noted before the first byte is written; the note goes in
the transaction that makes the clip. So what is noted belongs to no clip, and what a clip has is never noted.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import structlog
from autoisp_core.errors import AutoISPError

from autoisp_ingest.usecases.ports import DatasetPublisher, FrameStore, IngestStore

_log = structlog.get_logger(__name__)

FOREIGN_AGE = timedelta(hours=24)
"""Another replica may still be writing what is younger than this; it renews its notes far more often."""


class Leftovers:
    """Deletes frames that no clip owns. The store's note of them goes last, so that nothing is forgotten."""

    def __init__(
        self, store: IngestStore, frames: FrameStore, publisher: DatasetPublisher, owner: str
    ) -> None:
        self._store = store
        self._frames = frames
        self._publisher = publisher
        self._owner = owner
        self._behind: set[str] = set()

    async def discard(self, uri: str) -> None:
        """Delete these frames; if that fails it is logged, and the next :meth:`sweep` or start does it."""
        try:
            await asyncio.to_thread(self._frames.delete, uri)
            await self._store.release_frames(uri)
        except AutoISPError as error:
            self._behind.add(uri)
            _log.warning("frames are left behind for now", uri=uri, error=str(error))

    async def sweep(self) -> None:
        """Regularly, while serving: try again to delete what could not be deleted."""
        behind, self._behind = self._behind, set()
        for uri in behind:
            await self.discard(uri)

    async def recover(self) -> None:
        """At the start, before serving: finish what a crash cut off.

        Raises:
            AutoISPError: the store or the artifact store can't be used.
        """
        before = datetime.now(UTC) - FOREIGN_AGE
        for uri in await self._store.unowned_frames(self._owner, before):
            # First it is settled: whoever still writes there must not make a clip of what is deleted.
            if await self._store.give_up_frames(uri, self._owner, before):
                _log.info("deleting what an unfinished upload left", uri=uri)
                await self.discard(uri)
        for dataset in await self._store.unpublished_datasets():
            _log.info("publishing a dataset that a crash left unpublished", dataset=dataset.name)
            await self._publisher.publish(dataset)
            await self._store.mark_published(dataset.id)

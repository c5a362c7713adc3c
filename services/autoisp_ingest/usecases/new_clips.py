"""From frames that are being written to a clip: visible once all of it is there, and else nothing stays."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime

import structlog
from autoisp_core.errors import AlreadyExistsError, AutoISPError
from autoisp_runtime.run_to_end import outlast

from autoisp_ingest.domain import Clip, clip_id_of
from autoisp_ingest.usecases.leftovers import Leftovers
from autoisp_ingest.usecases.ports import IngestStore

_log = structlog.get_logger(__name__)

_RENEW_EVERY_S = 3600.0
"""Far less than :data:`autoisp_ingest.usecases.leftovers.FOREIGN_AGE`: a camera may send for days."""


class NewClips:
    """Every way in ends here.

    Args:
        owner: names this process's state folder, so that it alone cleans up after itself.
        renew_every_s: how often others are told that frames are still being written.
    """

    def __init__(
        self,
        store: IngestStore,
        leftovers: Leftovers,
        owner: str,
        renew_every_s: float = _RENEW_EVERY_S,
    ) -> None:
        self._store = store
        self._leftovers = leftovers
        self._owner = owner
        self._renew_every_s = renew_every_s

    async def find(self, sha256: str, size_bytes: int) -> Clip | None:
        """The clip that these bytes made before, or None."""
        known = await self._store.get_clip(clip_id_of(sha256))
        same = known and (known.source_sha256, known.source_size_bytes) == (sha256, size_bytes)
        return known if same else None

    @asynccontextmanager
    async def begin(self, folder: str) -> AsyncIterator[NewClip]:
        """A place for frames in ``folder``; when the context ends they are a clip's, or gone."""
        # Unique per attempt: two uploads of the same bytes at once never write into each other's frames.
        uri = f"clips/{folder}/{secrets.token_hex(8)}"
        await self._store.reserve_frames(uri, self._owner, datetime.now(UTC))
        new = NewClip(self._store, uri)
        renewing = asyncio.ensure_future(self._renew(uri))
        try:
            yield new
        finally:
            renewing.cancel()
            if not new.kept:
                await self._discard_unless_kept(new)

    async def _renew(self, uri: str) -> None:
        while True:
            await asyncio.sleep(self._renew_every_s)
            try:
                if not await self._store.renew_frames(uri, datetime.now(UTC)):
                    return  # it is a clip's just now; or it was cleared up, and the store will say so
            except AutoISPError as error:
                _log.warning("could not note that frames are still being written", uri=uri, error=str(error))

    async def _discard_unless_kept(self, new: NewClip) -> None:
        """Deletes frames that no clip holds. Whoever was cut off can't know: the store is asked."""
        try:
            stored = await self._store.get_clip(new.tried) if new.tried else None
        except AutoISPError:
            return  # the frames stay noted as unowned; the next start clears them up
        if stored is None or stored.frames_uri != new.uri:
            await self._leftovers.discard(new.uri)


class NewClip:
    """Frames under ``uri`` that no clip has yet.

    Attributes:
        kept: a clip has them.
        tried: the id of the clip that was to have them; empty before :meth:`add`.
    """

    def __init__(self, store: IngestStore, uri: str) -> None:
        self._store = store
        self.uri = uri
        self.kept = False
        self.tried = ""

    async def add(self, clip: Clip) -> Clip:
        """Make ``clip``, which holds these frames, visible.

        Returns:
            The clip, or the one that the same bytes made meanwhile.

        Raises:
            AlreadyExistsError: another clip has its id.
            AbortedError: its frames were cleared up meanwhile.
        """
        self.tried = clip.id
        added = await self._add(clip)
        self.kept = added.frames_uri == self.uri
        if added.source_sha256 != clip.source_sha256:
            raise AlreadyExistsError(
                added.name, f"{added.name} is another clip with the same id; delete it first"
            )
        _log.info(
            "clip ingested", clip=added.name, frames=added.frame_count, codec=added.codec, new=self.kept
        )
        return added

    async def _add(self, clip: Clip) -> Clip:
        adding = asyncio.ensure_future(self._store.add_clip(clip))
        # Also when the client is gone: a commit under way can't be called back.
        return await outlast(adding)

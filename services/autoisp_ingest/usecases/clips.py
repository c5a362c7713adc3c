"""Reading and deleting clips."""

from __future__ import annotations

from datetime import UTC, datetime

from autoisp_core.errors import NotFoundError
from autoisp_core.names import CLIP
from autoisp_core.pagination import Page, PageRequest

from autoisp_ingest.domain import Clip
from autoisp_ingest.usecases.leftovers import Leftovers
from autoisp_ingest.usecases.ports import IngestStore


class Clips:
    """The collection ``clips``."""

    def __init__(self, store: IngestStore, leftovers: Leftovers, owner: str) -> None:
        self._store = store
        self._leftovers = leftovers
        self._owner = owner

    async def get(self, name: str) -> Clip:
        """The clip called ``clips/{c}``.

        Raises:
            InvalidArgumentError: that is no clip's name.
            NotFoundError: there is no such clip.
        """
        (clip_id,) = CLIP.parse(name)
        clip = await self._store.get_clip(clip_id)
        if clip is None:
            raise NotFoundError(name)
        return clip

    async def list(self, page_size: int, page_token: str) -> Page[Clip]:
        """A page of clips, oldest first.

        Raises:
            InvalidArgumentError: a negative size, or a token that no list gave out.
        """
        return await self._store.list_clips(PageRequest.parse(page_size, page_token, "clips"))

    async def delete(self, name: str) -> None:
        """Delete the clip and its frames.

        Raises:
            InvalidArgumentError: that is no clip's name.
            NotFoundError: there is no such clip.
            FailedPreconditionError: a dataset holds it.
        """
        (clip_id,) = CLIP.parse(name)
        clip = await self._store.remove_clip(clip_id, self._owner, datetime.now(UTC))
        await self._leftovers.discard(clip.frames_uri)

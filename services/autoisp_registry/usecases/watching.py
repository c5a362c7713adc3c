"""Following the registry: a snapshot of the models, then every entry of the audit log as it is written."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import Protocol

from autoisp_core import names
from autoisp_core.errors import InvalidArgumentError, UnavailableError
from autoisp_core.pagination import MAX_PAGE_SIZE

from autoisp_registry.audit import AuditEntry
from autoisp_registry.domain import Model, ModelVersion
from autoisp_registry.filters import Listing
from autoisp_registry.ports import Store
from autoisp_registry.usecases.changes import Changes
from autoisp_registry.usecases.finding import Finder
from autoisp_registry.usecases.locking import live_model

POLL_S = 2.0
"""How soon a watcher sees what nobody told of: an event of another replica can be lost."""
_AT_ONCE = 100


@dataclass(frozen=True)
class Synced:
    """The snapshot is complete; what follows came after this entry of the audit log."""

    sequence: int


@dataclass(frozen=True)
class Change:
    """An entry of the audit log, with what it is of as that is now; None if it is gone or of another kind."""

    entry: AuditEntry
    model: Model | None = None
    version: ModelVersion | None = None


class Feed(Protocol):
    """The audit log as a feed: in the order of commits, without gaps."""

    async def newest_sequence(self) -> int:
        """Of the newest entry; 0 if there is none."""
        ...

    async def entries_after(self, sequence: int, limit: int) -> list[AuditEntry]:
        """The entries that follow ``sequence``, at most ``limit``."""
        ...


class Watching:
    """The use case of watchers. One instance serves all of a process.

    Args:
        store: keeps models.
        finder: lists them.
        feed: tells of changes.
        changes: wakes watchers.
    """

    def __init__(self, store: Store, finder: Finder, feed: Feed, changes: Changes) -> None:
        self._store = store
        self._finder = finder
        self._feed = feed
        self._changes = changes

    async def watch(self, model: str = "", after: int = 0) -> AsyncIterator[Model | Synced | Change]:
        """Models, then :class:`Synced`, then changes; only changes if it goes on ``after`` an entry.

        Nothing queues up here: whoever takes items slowly reads on in the audit log later.

        Args:
            model: only this one; empty: all, and channels too.
            after: sequence of the entry that was seen last; 0: begin with the snapshot.

        Raises:
            InvalidArgumentError: ``model`` has another form, or there is no entry ``after``.
            NotFoundError: there is no such model to begin with.
            UnavailableError: this process stops, or the database is away; go on after the last entry.
        """
        if model:
            names.MODEL.parse(model, "model")
        with self._changes.watch() as changed:
            newest = await self._feed.newest_sequence()
            if not 0 <= after <= newest:
                raise InvalidArgumentError(
                    "after_sequence",
                    f"the audit log has entries 1 to {newest}, none has sequence {after}; leave "
                    "after_sequence out to begin with a snapshot",
                )
            if not after:
                # The log's end first: what changes while models are read comes again as a change.
                async for one in self._snapshot(model):
                    yield one
                yield Synced(newest)
            sequence = after or newest
            while True:
                changed.clear()
                entries = await self._feed.entries_after(sequence, _AT_ONCE)
                for entry in entries:
                    sequence = entry.sequence
                    about = _model_of(entry)
                    if not model or about == model:
                        yield await self._change(entry, about)
                if not entries:
                    await self._wait(changed)

    def stop(self) -> None:
        """End every watch with ``UnavailableError``, now and from now on."""
        self._changes.close()

    async def _snapshot(self, model: str) -> AsyncIterator[Model]:
        if model:
            yield live_model(await self._store.model(model), model, "model")
            return
        token = ""
        while True:
            page = await self._finder.find_models(Listing.of_models(MAX_PAGE_SIZE, token))
            for one in page.items:
                yield one
            if not (token := page.next_page_token):
                return

    async def _change(self, entry: AuditEntry, about: str) -> Change:
        if not about:
            return Change(entry)
        ids = names.MODEL_VERSION.match(entry.draft.resource)
        numbered = ids is not None and ids[1].isdigit()
        version = await self._store.version(about, int(ids[1])) if ids and numbered else None
        return Change(entry, await self._store.model(about), version)

    async def _wait(self, changed: asyncio.Event) -> None:
        if self._changes.closed:
            raise UnavailableError("the server stops; go on watching after the last entry when it is back")
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(POLL_S):
                await changed.wait()


def _model_of(entry: AuditEntry) -> str:
    """The model that an entry is of, or of a version of which; empty if it is of something else."""
    resource = entry.draft.resource
    if ids := names.MODEL_VERSION.match(resource):
        return names.model_name(ids[0])
    return resource if names.MODEL.match(resource) else ""

"""Lists of models and versions by filter and order."""

from __future__ import annotations

from autoisp_core.pagination import Page
from autoisp_runtime.database import Database
from sqlalchemy import select

from autoisp_registry import audit
from autoisp_registry.audit import AuditEntry
from autoisp_registry.audit.store import read_after
from autoisp_registry.domain import Model, ModelVersion
from autoisp_registry.filters import Listing
from autoisp_registry.index import search
from autoisp_registry.index.tables import entries
from autoisp_registry.store.rows import ALL_VERSIONS, model_of, version_of
from autoisp_registry.tables import models, versions

# Through the entry's id: SQLite looks up pairs of model and number by reading all rows.
_VERSIONS = ALL_VERSIONS.add_columns(entries.c.id.label("entry_id")).where(
    entries.c.model_id == versions.c.model_id, entries.c.number == versions.c.number
)


class SqlFinder:
    """See :class:`autoisp_registry.usecases.finding.Finder`.

    Args:
        database: migrated to the newest revision.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def find_models(self, listing: Listing) -> Page[Model]:
        """The page of models that the listing asks for."""
        async with self._database.read() as session:
            page = await search(session, listing)
            ids = [hit.model_id for hit in page.items]
            rows = (await session.execute(select(models).where(models.c.id.in_(ids)))).all() if ids else []
        found = {row.id: model_of(row) for row in rows}
        return Page(tuple(found[i] for i in ids if i in found), page.next_page_token)

    async def newest_sequence(self) -> int:
        """See :class:`autoisp_registry.usecases.watching.Feed`."""
        async with self._database.read() as session:
            return (await audit.head(session))[0]

    async def entries_after(self, sequence: int, limit: int) -> list[AuditEntry]:
        """See :class:`autoisp_registry.usecases.watching.Feed`."""
        async with self._database.read() as session:
            return await read_after(session, sequence, limit)

    async def find_versions(self, listing: Listing) -> Page[ModelVersion]:
        """The page of versions that the listing asks for."""
        async with self._database.read() as session:
            page = await search(session, listing)
            ids = [hit.entry_id for hit in page.items]
            rows = (await session.execute(_VERSIONS.where(entries.c.id.in_(ids)))).all() if ids else []
        found = {row.entry_id: version_of(row) for row in rows}
        return Page(tuple(found[i] for i in ids if i in found), page.next_page_token)

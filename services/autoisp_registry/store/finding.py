"""Lists of models and versions by filter and order."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from autoisp_core.pagination import Page, how_many_fit
from autoisp_runtime.database import Database
from sqlalchemy import Column, Row, Select, select
from sqlalchemy.ext.asyncio import AsyncSession

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
_VERSIONS = ALL_VERSIONS.where(
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
        """The page of models that the listing asks for; a shorter one if they are large."""
        async with self._database.read() as session:
            rows, token = await _fitting(session, listing, select(models), models.c.id, "model_id")
        return Page(tuple(model_of(row) for row in rows), token)

    async def find_versions(self, listing: Listing) -> Page[ModelVersion]:
        """The page of versions that the listing asks for; a shorter one if they are large."""
        async with self._database.read() as session:
            rows, token = await _fitting(session, listing, _VERSIONS, entries.c.id, "entry_id")
        return Page(tuple(version_of(row) for row in rows), token)

    async def newest_sequence(self) -> int:
        """See :class:`autoisp_registry.usecases.watching.Feed`."""
        async with self._database.read() as session:
            return (await audit.head(session))[0]

    async def entries_after(self, sequence: int, limit: int) -> list[AuditEntry]:
        """See :class:`autoisp_registry.usecases.watching.Feed`."""
        async with self._database.read() as session:
            return await read_after(session, sequence, limit)


async def _fitting(
    session: AsyncSession, listing: Listing, statement: Select[Any], key: Column[Any], id_of_hit: str
) -> tuple[list[Row[Any]], str]:
    """Rows of the page that the listing asks for, as many as fit into a message, and the next page's token.

    Args:
        statement: of all rows.
        key: the column that has a hit's ``id_of_hit``.
    """
    while True:
        page = await search(session, listing)
        ids = [getattr(hit, id_of_hit) for hit in page.items]
        found = {}
        if ids:
            rows = await session.execute(statement.add_columns(key.label("key")).where(key.in_(ids)))
            found = {row.key: row for row in rows}
        rows_in_order = [found[one] for one in ids if one in found]
        fit = how_many_fit(map(_size, rows_in_order))
        if fit >= len(rows_in_order):
            return rows_in_order, page.next_page_token
        # The token of a page that ends there.
        listing = replace(listing, page=replace(listing.page, size=fit))


def _size(row: Row[Any]) -> int:
    """About how long the message of a row is."""
    return len(row.body) + len(getattr(row, "changeable", None) or b"")

"""Reading models, and transactions that change them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Generic, TypeVar

from autoisp_core.pagination import Page, PageRequest
from autoisp_runtime.database import Database
from autoisp_runtime.outbox import Outbox, OutgoingMessage
from sqlalchemy import select

from autoisp_registry import audit
from autoisp_registry.audit import AuditEntry
from autoisp_registry.audit.store import list_entries
from autoisp_registry.domain import Model, ModelVersion
from autoisp_registry.ports import AuditState
from autoisp_registry.store.rows import ALL_VERSIONS, load_version, model_of, number_in, version_of
from autoisp_registry.store.transaction import InUse, SqlTransaction, nobody
from autoisp_registry.tables import models, versions

M_contra = TypeVar("M_contra", contravariant=True)


class SqlStore(Generic[M_contra]):
    """The store over SQLite or PostgreSQL.

    Args:
        database: migrated to the newest revision.
        outbox: of the same database.
        encode: gives the subject, payload and id of a message.
        in_use: tells what serves a version.
        changed: is called after every transaction that added to the audit log.
    """

    def __init__(
        self,
        database: Database,
        outbox: Outbox,
        encode: Callable[[M_contra], OutgoingMessage],
        in_use: InUse = nobody,
        changed: Callable[[], None] = lambda: None,
    ) -> None:
        self._database = database
        self._outbox = outbox
        self._encode = encode
        self._in_use = in_use
        self._changed = changed

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[SqlTransaction[M_contra]]:
        """Commits at the end of the block, rolls back if it raises."""
        async with self._database.transaction() as session:
            transaction = SqlTransaction(session, self._outbox, self._encode, self._in_use)
            yield transaction
        if transaction.recorded:
            self._changed()

    async def find(self, key: str) -> ModelVersion | None:
        """The version that was added under this idempotency key."""
        async with self._database.read() as session:
            row = (await session.execute(ALL_VERSIONS.where(versions.c.idempotency_key == key))).one_or_none()
        return version_of(row) if row else None

    async def find_entry(self, key: str) -> AuditEntry | None:
        """The audit entry of the request with this key."""
        async with self._database.read() as session:
            return await audit.find_key(session, key)

    async def model(self, name: str) -> Model | None:
        """The model, also if it is deleted; None if there is none."""
        async with self._database.read() as session:
            row = (await session.execute(select(models).where(models.c.name == name))).one_or_none()
        return model_of(row) if row else None

    async def version(self, model: str, number: int) -> ModelVersion | None:
        """One version, also if it is deleted; None if there is none."""
        async with self._database.read() as session:
            return await load_version(session, model, number)

    async def purgeable_models(self, now: datetime, limit: int) -> list[str]:
        """Names of deleted models whose retention is over."""
        statement = select(models.c.name).where(models.c.purge_time <= now).limit(limit)
        async with self._database.read() as session:
            return list((await session.scalars(statement)).all())

    async def purgeable_versions(self, now: datetime, limit: int) -> list[tuple[str, int]]:
        """Models and numbers of deleted versions whose retention is over."""
        statement = (
            select(models.c.name, versions.c.number)
            .join(models)
            .where(versions.c.purge_time <= now)
            .limit(limit)
        )
        async with self._database.read() as session:
            return [(row.name, row.number) for row in (await session.execute(statement)).all()]

    async def list_entries(
        self, page: PageRequest, resource: str = "", *, descending: bool = False
    ) -> Page[AuditEntry]:
        """Entries of the audit log in its order, or the newest first."""
        if page.after is not None:
            number_in(page.after)
        async with self._database.read() as session:
            return await list_entries(session, page, resource, descending=descending)

    async def verify(self) -> AuditState:
        """Recompute the audit log's chain of digests."""
        async with self._database.read() as session:
            entries, head_sha256 = await audit.head(session)
            broken, problem = await audit.verify(session)
        return AuditState(entries, head_sha256, broken, problem)

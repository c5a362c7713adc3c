"""Models in a database, and the messages that leave with their changes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from datetime import datetime
from typing import Any, Generic, TypeVar

from autoisp.registry.v1 import registry_pb2
from autoisp_core import names
from autoisp_core.errors import AlreadyExistsError, InvalidArgumentError
from autoisp_core.pagination import Page, PageRequest
from autoisp_runtime.database import Database
from autoisp_runtime.outbox import Outbox, OutgoingMessage
from sqlalchemy import Row, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from autoisp_registry import wire
from autoisp_registry.domain import Model, ModelVersion
from autoisp_registry.tables import models, versions

M_contra = TypeVar("M_contra", contravariant=True)

_MAX_NUMBER = 2**31 - 1  # of a 32-bit column


class SqlStore(Generic[M_contra]):
    """The store over SQLite or PostgreSQL.

    Args:
        database: migrated to the newest revision.
        outbox: of the same database.
        encode: gives the subject, payload and id of a message.
    """

    def __init__(
        self, database: Database, outbox: Outbox, encode: Callable[[M_contra], OutgoingMessage]
    ) -> None:
        self._database = database
        self._outbox = outbox
        self._encode = encode

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[SqlTransaction[M_contra]]:
        """Commits at the end of the block, rolls back if it raises."""
        async with self._database.transaction() as session:
            yield SqlTransaction(session, self._outbox, self._encode)

    async def find(self, key: str) -> ModelVersion | None:
        """The version that was added under this idempotency key."""
        async with self._database.read() as session:
            return await _find(session, key)

    async def model(self, name: str) -> Model | None:
        """The model; None if there is none."""
        async with self._database.read() as session:
            row = (await session.execute(select(models).where(models.c.name == name))).one_or_none()
        return _model(row) if row else None

    async def version(self, model: str, number: int) -> ModelVersion | None:
        """One version; None if there is none."""
        statement = (
            select(versions.c.body).join(models).where(models.c.name == model, versions.c.number == number)
        )
        async with self._database.read() as session:
            body = await session.scalar(statement)
        return _version(body) if body is not None else None

    async def list_models(self, page: PageRequest) -> Page[Model]:
        """Models, oldest first."""
        statement = select(models).order_by(models.c.id).limit(page.size + 1)
        if page.after is not None:
            statement = statement.where(models.c.id > _number(page.after))
        async with self._database.read() as session:
            rows = (await session.execute(statement)).all()
        keys = page.page(rows, lambda row: str(row.id))
        return Page(tuple(_model(row) for row in keys.items), keys.next_page_token)

    async def list_versions(self, model: str, page: PageRequest) -> Page[ModelVersion]:
        """A model's versions, by number."""
        statement = (
            select(versions.c.body)
            .join(models)
            .where(models.c.name == model)
            .order_by(versions.c.number)
            .limit(page.size + 1)
        )
        if page.after is not None:
            statement = statement.where(versions.c.number > _number(page.after))
        async with self._database.read() as session:
            bodies = (await session.scalars(statement)).all()
        return page.page([_version(body) for body in bodies], lambda version: str(version.number))


class SqlTransaction(Generic[M_contra]):
    """One transaction of :class:`SqlStore`."""

    def __init__(
        self, session: AsyncSession, outbox: Outbox, encode: Callable[[M_contra], OutgoingMessage]
    ) -> None:
        self._session = session
        self._outbox = outbox
        self._encode = encode

    async def lock(self, model: str, now: datetime) -> Model:
        """The model, made if it is missing, and locked until the end of the transaction."""
        if found := await self.lock_existing(model):
            return found
        new = Model(model, names.id_of(model), now, now)
        try:
            async with self._session.begin_nested():
                await self._session.execute(models.insert().values(name=model, **_model_row(new)))
        except IntegrityError:
            pass  # another registration was first with this model
        created = await self.lock_existing(model)
        assert created is not None, "models are never deleted"
        return created

    async def lock_existing(self, model: str) -> Model | None:
        """The model, locked until the end of the transaction; None if there is none."""
        statement = select(models).where(models.c.name == model).with_for_update()
        row = (await self._session.execute(statement)).one_or_none()
        return _model(row) if row else None

    async def add_version(self, version: ModelVersion, key: str | None) -> None:
        """Insert a version of a locked model.

        Raises:
            AlreadyExistsError: ``key`` is taken; the transaction stays usable.
        """
        model_id = select(models.c.id).where(models.c.name == version.model).scalar_subquery()
        insert = versions.insert().values(
            model_id=model_id,
            number=version.number,
            idempotency_key=key,
            body=wire.version_to(version).SerializeToString(),
        )
        try:
            async with self._session.begin_nested():
                await self._session.execute(insert)
        except IntegrityError as error:
            raise AlreadyExistsError(version.name) from error

    async def save(self, model: Model) -> None:
        """Write a locked model and its aliases."""
        await self._session.execute(
            models.update().where(models.c.name == model.name).values(_model_row(model))
        )

    async def send(self, message: M_contra) -> None:
        """Have the message delivered, at least once, after the commit."""
        outgoing = self._encode(message)
        await self._outbox.add(self._session, outgoing.subject, outgoing.payload, outgoing.event_id)


async def _find(session: AsyncSession, key: str) -> ModelVersion | None:
    body = await session.scalar(select(versions.c.body).where(versions.c.idempotency_key == key))
    return _version(body) if body is not None else None


def _model(row: Row[Any]) -> Model:
    return wire.model_from(registry_pb2.Model.FromString(row.body), row.revision)


def _model_row(model: Model) -> dict[str, Any]:
    return {"revision": model.revision, "body": wire.model_to(model).SerializeToString()}


def _version(body: bytes) -> ModelVersion:
    return wire.version_from(registry_pb2.ModelVersion.FromString(body))


def _number(key: str) -> int:
    # Whoever forges a token can put anything into it.
    if not (key.isascii() and key.isdigit() and len(key) <= 18 and int(key) <= _MAX_NUMBER):
        raise InvalidArgumentError("page_token", "page_token is not one this list gave out; leave it empty")
    return int(key)

"""One transaction: changes, their audit entries, and the messages that tell of them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Generic, Protocol, TypeVar

from autoisp_core import names
from autoisp_core.errors import AlreadyExistsError
from autoisp_runtime.outbox import Outbox, OutgoingMessage
from sqlalchemy import delete, func, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from autoisp_registry import audit
from autoisp_registry.audit import AuditDraft, AuditEntry
from autoisp_registry.domain import Model, ModelVersion
from autoisp_registry.index.writing import forget_model, forget_version, index_model, index_version
from autoisp_registry.store.rows import (
    changed_version_row,
    load_version,
    lock_model,
    model_row,
    new_version_row,
)
from autoisp_registry.tables import models, purged_models, versions

M_contra = TypeVar("M_contra", contravariant=True)


class InUse(Protocol):
    """Tells what serves versions, such as channels."""

    async def __call__(self, session: AsyncSession, model: str, number: int | None) -> list[str]:
        """Names of what serves version ``number`` of a locked model, or any of its versions if it is None.

        Who begins to serve a version has locked its model before (:func:`lock_model`), so that nothing can
        begin between this answer and the end of the caller's transaction.
        """
        ...


async def nobody(session: AsyncSession, model: str, number: int | None) -> list[str]:
    """Nothing serves anything."""
    return []


class SqlTransaction(Generic[M_contra]):
    """One transaction of :class:`SqlStore`.

    Attributes:
        recorded: whether it added to the audit log.
    """

    def __init__(
        self,
        session: AsyncSession,
        outbox: Outbox,
        encode: Callable[[M_contra], OutgoingMessage],
        in_use: InUse,
    ) -> None:
        self._session = session
        self._outbox = outbox
        self._encode = encode
        self._in_use = in_use
        self.recorded = False

    async def lock(self, model: str, now: datetime) -> Model:
        """The model, made if it is missing, and locked until the end of the transaction."""
        while (found := await self.lock_existing(model)) is None:
            last = await self._session.scalar(
                select(purged_models.c.last_number).where(purged_models.c.name == model)
            )
            new = Model(model, names.id_of(model), now, now, last_number=last or 0)
            try:
                async with self._session.begin_nested():
                    await self._session.execute(models.insert().values(name=model, **model_row(new)))
                    await index_model(self._session, new)
            except IntegrityError:
                pass  # another registration was first with this model
        return found

    async def lock_existing(self, model: str) -> Model | None:
        """The model, locked until the end of the transaction; None if there is none."""
        return await lock_model(self._session, model)

    async def version(self, model: str, number: int) -> ModelVersion | None:
        """A version of a locked model, deleted ones too; None if there is none."""
        return await load_version(self._session, model, number)

    async def find_onnx(self, model: str, sha256: str) -> int | None:
        """The version of a locked model, not deleted, that has this ONNX file; None if there is none."""
        statement = (
            select(func.min(versions.c.number))
            .join(models)
            .where(models.c.name == model, versions.c.onnx_sha256 == sha256, versions.c.purge_time.is_(None))
        )
        number: int | None = await self._session.scalar(statement)
        return number

    async def newest(self, model: str) -> int:
        """The highest number of a locked model's versions that are not deleted; 0 if there is none."""
        statement = (
            select(func.max(versions.c.number))
            .join(models)
            .where(models.c.name == model, versions.c.purge_time.is_(None))
        )
        return await self._session.scalar(statement) or 0

    async def in_use(self, model: str, number: int | None = None) -> list[str]:
        """What serves a version of a locked model, or any of its versions: names of channels."""
        return await self._in_use(self._session, model, number)

    async def add_version(self, version: ModelVersion, key: str | None) -> None:
        """Insert a version of a locked model.

        Raises:
            AlreadyExistsError: ``key`` is taken; the transaction stays usable.
        """
        model_id = select(models.c.id).where(models.c.name == version.model).scalar_subquery()
        insert = versions.insert().values(model_id=model_id, idempotency_key=key, **new_version_row(version))
        try:
            async with self._session.begin_nested():
                await self._session.execute(insert)
        except IntegrityError as error:
            raise AlreadyExistsError(version.name) from error
        await index_version(self._session, version)

    async def save(self, model: Model) -> None:
        """Write a locked model and its aliases."""
        await self._session.execute(
            models.update().where(models.c.name == model.name).values(model_row(model))
        )
        await index_model(self._session, model)

    async def save_version(self, version: ModelVersion) -> None:
        """Write what may change of a version of a locked model."""
        model_id = select(models.c.id).where(models.c.name == version.model).scalar_subquery()
        await self._session.execute(
            versions.update()
            .where(versions.c.model_id == model_id, versions.c.number == version.number)
            .values(changed_version_row(version))
        )
        await index_version(self._session, version)

    async def purge_version(self, version: ModelVersion) -> None:
        """Forget a version of a locked model for good."""
        await forget_version(self._session, version.name)
        model_id = select(models.c.id).where(models.c.name == version.model).scalar_subquery()
        await self._session.execute(
            delete(versions).where(versions.c.model_id == model_id, versions.c.number == version.number)
        )

    async def purge_model(self, model: Model) -> None:
        """Forget a locked model and its versions for good, but not which numbers it has given."""
        await forget_model(self._session, model.name)
        await self._session.execute(delete(purged_models).where(purged_models.c.name == model.name))
        await self._session.execute(
            purged_models.insert().values(name=model.name, last_number=model.last_number)
        )
        await self._session.execute(delete(models).where(models.c.name == model.name))

    async def record(self, draft: AuditDraft, now: datetime) -> AuditEntry:
        """Add to the audit log; after everything else, as it locks the log's head until the end.

        Raises:
            AlreadyExistsError: the draft's key is taken; the transaction stays usable.
        """
        entry = await audit.append(self._session, draft, now)
        self.recorded = True
        return entry

    async def send(self, message: M_contra) -> None:
        """Have the message delivered, at least once, after the commit."""
        outgoing = self._encode(message)
        await self._outbox.add(self._session, outgoing.subject, outgoing.payload, outgoing.event_id)

"""Hiding models and versions, and bringing them back."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta

from autoisp_core import names
from autoisp_core.errors import FailedPreconditionError, NotFoundError

from autoisp_registry import validation
from autoisp_registry.audit import AuditDraft
from autoisp_registry.domain import Model, ModelVersion
from autoisp_registry.ports import Store
from autoisp_registry.usecases.locking import live_version, lock_live, locked_version, require_new_file
from autoisp_registry.usecases.telling import tell


class Deleting:
    """The use cases of soft deletion.

    Args:
        store: keeps models.
        retention: how long what is deleted can be restored.
        now: the clock, in UTC.
    """

    def __init__(
        self, store: Store, retention: timedelta, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._store = store
        self._retention = retention
        self._now = now

    async def delete_model(self, name: str, etag: str, actor: str) -> Model:
        """Hide a model and its versions.

        Raises:
            InvalidArgumentError: the name has another form.
            NotFoundError: there is no such model.
            AbortedError: it changed since the caller saw ``etag``.
            FailedPreconditionError: a channel serves one of its versions.
        """
        names.MODEL.parse(name)
        async with self._store.transaction() as transaction:
            before = await lock_live(transaction, name)
            before.require_etag(etag)
            _require_unused(name, await transaction.in_use(name), "channels serve it")
            now = self._now()
            after = before.changed(now, delete_time=now, purge_time=now + self._retention)
            await transaction.save(after)
            await tell(transaction, self._draft(actor, "model.delete", name, now), after, now)
        return after

    async def undelete_model(self, name: str, actor: str) -> Model:
        """Restore a deleted model; one that is not deleted stays as it is.

        Raises:
            InvalidArgumentError: the name has another form.
            NotFoundError: there is none.
        """
        names.MODEL.parse(name)
        async with self._store.transaction() as transaction:
            before = await transaction.lock_existing(name)
            if before is None:
                raise NotFoundError(name, metadata={"field": "name"})
            if not before.deleted:
                return before
            now = self._now()
            after = before.changed(now, delete_time=None, purge_time=None)
            await transaction.save(after)
            await tell(transaction, AuditDraft(actor, "model.undelete", name, "restored"), after, now)
        return after

    async def delete_version(self, name: str, etag: str, actor: str) -> ModelVersion:
        """Hide a version.

        Raises:
            InvalidArgumentError: the name has another form.
            NotFoundError: there is no such version.
            AbortedError: it changed since the caller saw ``etag``.
            FailedPreconditionError: an alias or a channel points at it.
        """
        model_name, number = validation.version_number(name)
        async with self._store.transaction() as transaction:
            model = await lock_live(transaction, model_name)
            before = await locked_version(transaction, model, number, "name")
            before.require_etag(etag)
            aliases = model.aliases_of(number)
            _require_unused(name, aliases, "aliases point at it")
            _require_unused(name, await transaction.in_use(model_name, number), "channels serve it")
            now = self._now()
            after = before.changed(delete_time=now, purge_time=now + self._retention)
            await transaction.save_version(after)
            left = model.changed(now, latest_version=await transaction.newest(model_name))
            await transaction.save(left)
            await tell(transaction, self._draft(actor, "version.delete", name, now), left, now)
        return after

    async def undelete_version(self, name: str, actor: str) -> ModelVersion:
        """Restore a deleted version; one that is not deleted stays as it is.

        Raises:
            InvalidArgumentError: the name has another form.
            NotFoundError: there is none, or its model is deleted.
            AlreadyExistsError: it was registered by hand, and another version has the same file since.
        """
        model_name, number = validation.version_number(name)
        async with self._store.transaction() as transaction:
            model = await lock_live(transaction, model_name)
            before = await transaction.version(model_name, number)
            if before is None or not before.deleted:
                return live_version(before, model, name)
            if before.by_hand:
                await require_new_file(transaction, before)
            now = self._now()
            after = before.changed(delete_time=None, purge_time=None)
            await transaction.save_version(after)
            more = model.changed(now, latest_version=await transaction.newest(model_name))
            await transaction.save(more)
            await tell(transaction, AuditDraft(actor, "version.undelete", name, "restored"), more, now)
        return after

    def _draft(self, actor: str, action: str, name: str, now: datetime) -> AuditDraft:
        purge_time = now + self._retention
        summary = f"deleted; it can be restored until {purge_time:%Y-%m-%d %H:%M} UTC"
        return AuditDraft(actor, action, name, summary, {"purge_time": purge_time.isoformat()})


def _require_unused(name: str, users: Sequence[str], what: str) -> None:
    if users:
        raise FailedPreconditionError(
            f"{name} can't be deleted: {what}: {', '.join(sorted(users)[:10])}; point these elsewhere first",
            reason="IN_USE",
            metadata={"resource": name, "users": ", ".join(sorted(users)[:100])},
        )

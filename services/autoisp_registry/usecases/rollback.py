"""Pointing aliases back at the versions before."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import structlog
from autoisp_core import names
from autoisp_core.errors import AlreadyExistsError, FailedPreconditionError

from autoisp_registry.audit import AuditDraft, AuditEntry
from autoisp_registry.domain import CHAMPION, Model
from autoisp_registry.ports import Store, Transaction
from autoisp_registry.usecases.locking import lock_live
from autoisp_registry.usecases.models import Models
from autoisp_registry.usecases.moving import earlier, record_refusal, validate_move
from autoisp_registry.usecases.telling import announce_alias, tell

_log = structlog.get_logger(__name__)

ROLLBACK = "version.rollback"


@dataclass(frozen=True)
class Rollback:
    """What is asked for; see RollbackRequest."""

    model: str
    alias: str = CHAMPION
    comment: str = ""
    etag: str = ""
    request_id: str = ""


class RollingBack:
    """The use case of rolling back.

    Args:
        store: keeps models.
        models: finds models.
        now: the clock, in UTC.
    """

    def __init__(
        self, store: Store, models: Models, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._store = store
        self._models = models
        self._now = now

    async def roll_back(self, wanted: Rollback, actor: str) -> tuple[Model, AuditEntry]:
        """Point an alias at the version that it pointed at before; versions deleted since are passed over.

        Raises:
            InvalidArgumentError: a field is wrong.
            NotFoundError: there is no such model.
            FailedPreconditionError: NO_EARLIER_VERSION; the audit log says so too.
            AbortedError: the model changed since the caller saw ``etag``.
        """
        names.MODEL.parse(wanted.model, "model")
        validate_move(wanted.alias, wanted.comment, wanted.request_id)
        if repeated := await self._repeated(wanted):
            return repeated
        draft = AuditDraft(
            actor,
            ROLLBACK,
            wanted.model,
            "",
            {"alias": wanted.alias},
            comment=wanted.comment,
            request_id=wanted.request_id,
        )
        try:
            async with self._store.transaction() as transaction:
                after, entry = await self._moved(transaction, wanted, draft)
        except FailedPreconditionError as error:
            await record_refusal(self._store, wanted.model, draft, error, self._now())
            raise
        except AlreadyExistsError:
            # The same request, a moment earlier.
            if repeated := await self._repeated(wanted):
                return repeated
            raise
        _log.info("rolled back", model=wanted.model, alias=wanted.alias, actor=draft.actor)
        return after, entry

    async def _moved(
        self, transaction: Transaction, wanted: Rollback, draft: AuditDraft
    ) -> tuple[Model, AuditEntry]:
        before = await lock_live(transaction, wanted.model, "model")
        before.require_etag(wanted.etag)
        alias = wanted.alias
        at = before.aliases.get(alias)
        for dropped, number in enumerate(reversed(before.history.get(alias, ())), 1):
            version = await transaction.version(before.name, number)
            if version is None or version.deleted or number == at:
                continue
            now = self._now()
            after = before.rolled_back(alias, number, dropped, now)
            await transaction.save(after)
            await announce_alias(transaction, after, alias)
            details = {"alias": alias, "from": str(at or ""), "to": str(number)}
            summary = f"{alias} is {number} again"
            done = replace(draft, resource=version.name, summary=summary, details=details)
            return after, await tell(transaction, done, after, now)
        raise FailedPreconditionError(
            f"{alias!r} of {before.name} has pointed at no other version that is still there; promote one "
            "instead",
            reason="NO_EARLIER_VERSION",
            metadata={"resource": before.name, "alias": alias},
        )

    async def _repeated(self, wanted: Rollback) -> tuple[Model, AuditEntry] | None:
        entry = await earlier(self._store, ROLLBACK, wanted.request_id, wanted.model, wanted.alias)
        return (await self._models.get_model(wanted.model), entry) if entry else None

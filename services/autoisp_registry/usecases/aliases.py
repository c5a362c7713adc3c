"""Free aliases: names that people give to versions."""

from __future__ import annotations

from collections.abc import Callable
from datetime import UTC, datetime

from autoisp_core import names
from autoisp_core.errors import FailedPreconditionError, NotFoundError

from autoisp_registry import validation
from autoisp_registry.audit import AuditDraft
from autoisp_registry.domain import CHAMPION, Model
from autoisp_registry.ports import Store
from autoisp_registry.usecases.locking import lock_live, locked_version
from autoisp_registry.usecases.telling import announce_alias, tell


class Aliases:
    """The use cases of aliases that no gate guards.

    Args:
        store: keeps models.
        now: the clock, in UTC.
    """

    def __init__(self, store: Store, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._store = store
        self._now = now

    async def set_alias(self, model: str, alias: str, number: int, etag: str, actor: str) -> Model:
        """Point ``alias`` at a version; pointing it where it points already changes nothing.

        Args:
            etag: if given, the model's etag that the caller saw.

        Raises:
            InvalidArgumentError: the model's name or the alias has a wrong form.
            NotFoundError: there is no such model or version.
            AbortedError: the model changed since the caller saw ``etag``.
            FailedPreconditionError: the alias is ``champion``, or the model has too many.
        """
        names.MODEL.parse(model, "model")
        validation.validate_alias(alias)
        _require_free(alias, "Promote or Rollback")
        async with self._store.transaction() as transaction:
            before = await lock_live(transaction, model, "model")
            before.require_etag(etag)
            before.require_room(alias)
            version = await locked_version(transaction, before, number, "version")
            now = self._now()
            after = before.with_alias(alias, number, now)
            if after is before:
                return before
            await transaction.save(after)
            await announce_alias(transaction, after, alias)
            details = {"alias": alias, "from": str(before.aliases.get(alias, "")), "to": str(number)}
            draft = AuditDraft(actor, "alias.set", version.name, f"{alias} is {number}", details)
            await tell(transaction, draft, after, now)
        return after

    async def delete_alias(self, model: str, alias: str, etag: str, actor: str) -> Model:
        """Take an alias away, with its history.

        Raises:
            InvalidArgumentError: the model's name or the alias has a wrong form.
            NotFoundError: there is no such model or alias.
            AbortedError: the model changed since the caller saw ``etag``.
            FailedPreconditionError: the alias is ``champion``.
        """
        names.MODEL.parse(model, "model")
        validation.validate_alias(alias)
        _require_free(alias, "Rollback, or Promote another version")
        async with self._store.transaction() as transaction:
            before = await lock_live(transaction, model, "model")
            before.require_etag(etag)
            if alias not in before.aliases:
                there = ", ".join(sorted(before.aliases)) or "none"
                raise NotFoundError(
                    model,
                    f"{model} has no alias {alias!r}; its aliases are {there}",
                    metadata={"field": "alias"},
                )
            now = self._now()
            after = before.without_alias(alias, now)
            await transaction.save(after)
            details = {"alias": alias, "from": str(before.aliases[alias]), "to": ""}
            draft = AuditDraft(actor, "alias.delete", model, f"{alias} is taken away", details)
            await tell(transaction, draft, after, now)
        return after


def _require_free(alias: str, instead: str) -> None:
    if alias == CHAMPION:
        raise FailedPreconditionError(
            f"{CHAMPION!r} moves by promotion and rollback only, so that its gate is checked: use {instead}",
            reason="PROMOTION_ONLY",
            metadata={"field": "alias"},
        )

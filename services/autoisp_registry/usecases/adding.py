"""What every registration ends with: a version in the database, in the log, and where others find it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import structlog
from autoisp_core.errors import AlreadyExistsError, InvalidArgumentError

from autoisp_registry.audit import AuditDraft
from autoisp_registry.domain import CANDIDATE, CHAMPION, Model, ModelVersion
from autoisp_registry.ports import (
    ConvertVersion,
    Publisher,
    Signer,
    Store,
    Transaction,
    VersionRegistered,
)
from autoisp_registry.usecases.locking import live_model, require_new_file
from autoisp_registry.usecases.telling import announce_alias, tell

_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class NewNumber:
    """What is to get the next number of its model.

    Attributes:
        version: with any number.
        key: of the request or event that registers it; None: nothing repeats it.
        draft: of the entry that tells of it.
        passed: the ``promotion_gate`` that it passed beside its own gate, perhaps empty: it becomes champion
            unless the model has another one by then. None: it passed none.
    """

    version: ModelVersion
    key: str | None
    draft: AuditDraft
    passed: str | None = None


class Adding:
    """Adds versions to models.

    Args:
        store: keeps models.
        publisher: tells other services of versions.
        signer: signs versions.
        convert: whether workers are to make edge formats.
        now: the clock, in UTC.
    """

    def __init__(
        self,
        store: Store,
        publisher: Publisher,
        signer: Signer,
        *,
        convert: bool = True,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._store = store
        self._publisher = publisher
        self._signer = signer
        self._convert = convert
        self._now = now

    async def find(self, key: str | None, model: str, sha256: str) -> ModelVersion | None:
        """The version that was added under this key.

        Raises:
            InvalidArgumentError: it is of another model, or has another file.
        """
        existing = await self._store.find(key) if key else None
        if existing is not None and (existing.model, existing.content.onnx.sha256) != (model, sha256):
            raise InvalidArgumentError(
                "request_id",
                f"this request_id registered {existing.name}, with another file or of another model; make up "
                "a new one",
            )
        return existing

    async def add(self, new: NewNumber) -> ModelVersion:
        """Add a version; the same key again gives the version that it added.

        Raises:
            NotFoundError: the model is deleted.
            AlreadyExistsError: a version of the model has the same file, and a person registers this one.
            InvalidArgumentError: as :meth:`find`.
        """
        try:
            async with self._store.transaction() as transaction:
                version = await self._added(transaction, new)
        except AlreadyExistsError:
            # Perhaps the same request or event, a moment earlier: nothing of this transaction was written.
            existing = await self.find(new.key, new.version.model, new.version.content.onnx.sha256)
            if existing is None:
                raise
            return existing
        _log.info("version registered", version=version.name, aliases=version.aliases)
        return version

    async def _added(self, transaction: Transaction, new: NewNumber) -> ModelVersion:
        now = self._now()
        version, draft = new.version, new.draft
        before = live_model(await transaction.lock(version.model, now), version.model, "parent")
        model = before.with_version(now)
        version = replace(version, number=model.latest_version, create_time=now)
        if version.by_hand:
            await require_new_file(transaction, version)
        if self._convert:
            version = replace(version, conversion=version.conversion.again(version.name, now))
        version = replace(version, signed_manifest=await self._signer.sign(version))
        await transaction.add_version(version, new.key)
        await transaction.send(VersionRegistered(version))
        if self._convert:
            await transaction.send(ConvertVersion(version, version.content.lineage.manifest))
        aliases = _aliases(new, before)
        for alias in aliases:
            model = model.with_alias(alias, version.number, now)
            await announce_alias(transaction, model, alias)
        await transaction.save(model)
        # Before anybody can know of it, while the number is nobody else's. If nothing comes of the
        # transaction, the next version of this number takes its place.
        await self._publisher.publish(version)
        await tell(transaction, replace(draft, resource=version.name), model, now)
        for alias in aliases:
            await tell(transaction, _alias_draft(draft, before, version, alias), model, now)
        return replace(version, aliases=model.aliases_of(version.number))


def _aliases(new: NewNumber, before: Model) -> tuple[str, ...]:
    if new.version.by_hand:
        return ()
    return (CANDIDATE, CHAMPION) if new.passed == before.promotion_gate else (CANDIDATE,)


def _alias_draft(draft: AuditDraft, before: Model, version: ModelVersion, alias: str) -> AuditDraft:
    details = {"alias": alias, "from": str(before.aliases.get(alias, "")), "to": str(version.number)}
    if alias == CHAMPION:
        summary = f"{alias} is {version.number}: it passed its gate"
        return replace(
            draft, action="version.promote", resource=version.name, summary=summary, details=details
        )
    return AuditDraft(draft.actor, "alias.set", version.name, f"{alias} is {version.number}", details)

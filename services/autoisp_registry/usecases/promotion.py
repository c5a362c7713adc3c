"""Pointing aliases at versions whose evidence passes the gate."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog
from autoisp_core import names
from autoisp_core.errors import AbortedError, AlreadyExistsError, InvalidArgumentError

from autoisp_registry.audit import AuditDraft, AuditEntry
from autoisp_registry.domain import CHAMPION, GateResult, Model, ModelVersion
from autoisp_registry.ports import Store, Transaction
from autoisp_registry.usecases.judging import Judging, Verdict
from autoisp_registry.usecases.locking import lock_live
from autoisp_registry.usecases.models import Models
from autoisp_registry.usecases.moving import earlier, record_refusal, validate_move
from autoisp_registry.usecases.telling import announce_alias, tell

_log = structlog.get_logger(__name__)

PROMOTE = "version.promote"


@dataclass(frozen=True)
class Promote:
    """What is asked for; see PromoteRequest."""

    name: str
    alias: str = CHAMPION
    gate: str = ""
    evaluation: str = ""
    override: bool = False
    comment: str = ""
    etag: str = ""
    request_id: str = ""
    validate_only: bool = False


@dataclass(frozen=True)
class Promoted:
    """The model as it is now, what the gate said, and the entry; None: nothing was to be changed."""

    model: Model
    gate: GateResult
    entry: AuditEntry | None


class Promotion:
    """The use case that moves guarded aliases.

    Args:
        store: keeps models.
        models: finds versions.
        judging: judges versions by their evidence.
        now: the clock, in UTC.
    """

    def __init__(
        self,
        store: Store,
        models: Models,
        judging: Judging,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._store = store
        self._models = models
        self._judging = judging
        self._now = now

    async def promote(self, wanted: Promote, actor: str) -> Promoted:
        """Point an alias at a version whose evidence passes the gate. Refusals end in the audit log too.

        Raises:
            InvalidArgumentError: a field is wrong.
            NotFoundError: there is no such version or evidence.
            FailedPreconditionError: NO_EVIDENCE, NO_GATE, GATE_FAILED or TOO_MANY_ALIASES.
            AbortedError: the model changed since the caller saw ``etag``, or while the gate was checked.
        """
        validate_move(wanted.alias, wanted.comment, wanted.request_id)
        if wanted.override and not wanted.comment.strip():
            raise InvalidArgumentError("comment", "say in the comment why the gate is overridden")
        model_id, _ = names.MODEL_VERSION.parse(wanted.name)
        model_name = names.model_name(model_id)
        repeated = await self._repeated(wanted, model_name)
        if repeated is not None:
            return repeated
        model, version = await self._models.get_both(wanted.name)
        model.require_etag(wanted.etag)
        model.require_room(wanted.alias)
        verdict = await self._judging.judge(model, version, wanted.gate, wanted.evaluation)
        if wanted.validate_only:
            return Promoted(model, verdict.gate, None)
        draft = _promotion_draft(wanted, actor, model, version, verdict)
        if verdict.refusal is not None and not wanted.override:
            await record_refusal(self._store, model.name, draft, verdict.refusal, self._now())
            raise verdict.refusal
        try:
            async with self._store.transaction() as transaction:
                entry, after = await self._moved(transaction, model, version.number, wanted, draft)
        except (AlreadyExistsError, AbortedError):
            # Perhaps the same request, a moment earlier.
            repeated = await self._repeated(wanted, model_name)
            if repeated is None:
                raise
            return repeated
        _log.info("promoted", version=version.name, alias=wanted.alias, actor=actor)
        return Promoted(after, verdict.gate, entry)

    async def _moved(
        self, transaction: Transaction, seen: Model, number: int, wanted: Promote, draft: AuditDraft
    ) -> tuple[AuditEntry, Model]:
        current = await lock_live(transaction, seen.name)
        current.require_etag(wanted.etag)
        if current.revision != seen.revision:
            raise AbortedError(
                f"{seen.name} changed while the gate was checked; look at it and promote again",
                reason="MODEL_CHANGED",
                metadata={"resource": seen.name, "etag": current.etag},
            )
        now = self._now()
        after = current.with_alias(wanted.alias, number, now)
        if after is not current:
            await transaction.save(after)
            await announce_alias(transaction, after, wanted.alias)
        return await tell(transaction, draft, after, now), after

    async def _repeated(self, wanted: Promote, model_name: str) -> Promoted | None:
        """What the first request of this id did; None if there was none."""
        version = names.id_of(wanted.name)
        entry = await earlier(self._store, PROMOTE, wanted.request_id, model_name, wanted.alias, version)
        if entry is None:
            return None
        gate = GateResult(entry.draft.details.get("gate") == "passed", entry.draft.checks)
        return Promoted(await self._models.get_model(model_name), gate, entry)


def _promotion_draft(
    wanted: Promote, actor: str, model: Model, version: ModelVersion, verdict: Verdict
) -> AuditDraft:
    passed = "passed" if verdict.gate.passed else "failed"
    details = {
        "alias": wanted.alias,
        "from": str(model.aliases.get(wanted.alias, "")),
        "to": str(version.number),
        "gate": passed,
    }
    why = "it passed its gate"
    if wanted.override and verdict.refusal is not None:
        details["override"] = verdict.refusal.reason
        why = "its gate was overridden"
    return AuditDraft(
        actor,
        PROMOTE,
        version.name,
        f"{wanted.alias} is {version.number}: {why}",
        details,
        evaluation=verdict.evaluation,
        evidence_sha256=verdict.evidence_sha256,
        checks=verdict.gate.checks,
        comment=wanted.comment,
        request_id=wanted.request_id,
    )

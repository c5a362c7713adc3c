"""Evaluations that judged versions."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

import structlog
from autoisp_core.artifact import Artifact

from autoisp_registry import validation
from autoisp_registry.audit import REGISTRY, AuditDraft
from autoisp_registry.domain import Evidence
from autoisp_registry.ports import Store
from autoisp_registry.usecases.telling import tell

_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class JudgedVersion:
    """A version that was a subject of an evaluation."""

    version: str
    label: str


class Judgements:
    """Links evaluations to the versions that they judged.

    Args:
        store: keeps models.
        now: the clock, in UTC.
    """

    def __init__(self, store: Store, now: Callable[[], datetime] = lambda: datetime.now(UTC)) -> None:
        self._store = store
        self._now = now

    async def add(self, judged: JudgedVersion, evaluation: str, record: Artifact) -> None:
        """Keep an evaluation as evidence of a version. Idempotent; a version that is gone has none.

        Args:
            evaluation: ``evaluations/{e}``.
            record: all of it.

        Raises:
            InvalidArgumentError: the version's name has another form.
        """
        model_name, number = validation.version_number(judged.version, "evaluation.subjects.model_version")
        async with self._store.transaction() as transaction:
            model = await transaction.lock_existing(model_name)
            before = await transaction.version(model_name, number) if model else None
            if model is None or before is None:
                _log.info("evidence of a version that is gone", version=judged.version)
                return
            now = self._now()
            after = before.with_evidence(Evidence(evaluation, judged.label, record, now))
            if after is before:
                return
            await transaction.save_version(after)
            draft = AuditDraft(
                REGISTRY,
                "version.evidence",
                after.name,
                f"judged by {evaluation} as {judged.label}",
                {"label": judged.label},
                evaluation=evaluation,
                evidence_sha256=record.sha256,
            )
            await tell(transaction, draft, model, now)
        _log.info("evidence added", version=judged.version, evaluation=evaluation)

"""Forgetting what was deleted long enough ago."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from datetime import UTC, datetime

import structlog
from autoisp_core.errors import AutoISPError

from autoisp_registry.audit import REGISTRY, AuditDraft
from autoisp_registry.ports import Publisher, Store
from autoisp_registry.usecases.telling import tell

_log = structlog.get_logger(__name__)

_EVERY_S = 300.0
_AT_ONCE = 100


class Retention:
    """Purges models and versions whose retention is over. Their files stay: others may have the same bytes.

    Args:
        store: keeps models.
        publisher: where versions were left for other services.
        now: the clock, in UTC.
    """

    def __init__(
        self, store: Store, publisher: Publisher, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._store = store
        self._publisher = publisher
        self._now = now

    async def run(self, every_s: float = _EVERY_S) -> None:
        """Sweep for ever; waits out what is away."""
        while True:
            try:
                await self.sweep()
            except AutoISPError as error:
                _log.warning("purging waits", error=str(error))
            await asyncio.sleep(every_s)

    async def sweep(self) -> int:
        """Purge what is due; returns how many models and versions that were.

        Raises:
            UnavailableError: the database or the artifact store is away.
        """
        purged = 0
        while due := await self._store.purgeable_versions(self._now(), _AT_ONCE):
            for model, number in due:
                purged += await self._purge_version(model, number)
        while models := await self._store.purgeable_models(self._now(), _AT_ONCE):
            for model in models:
                purged += await self._purge_model(model)
        return purged

    async def _purge_version(self, model_name: str, number: int) -> bool:
        now = self._now()
        async with self._store.transaction() as transaction:
            model = await transaction.lock_existing(model_name)
            version = await transaction.version(model_name, number) if model else None
            if model is None or version is None or not version.purge_time or version.purge_time > now:
                return False  # restored, or another process was first
            await self._publisher.withdraw(version.name)
            await transaction.purge_version(version)
            draft = AuditDraft(
                REGISTRY, "version.purge", version.name, "gone for good, its retention is over"
            )
            await tell(transaction, draft, model, now)
        _log.info("version purged", version=version.name)
        return True

    async def _purge_model(self, name: str) -> bool:
        now = self._now()
        async with self._store.transaction() as transaction:
            model = await transaction.lock_existing(name)
            if model is None or not model.purge_time or model.purge_time > now:
                return False
            for number in range(1, model.last_number + 1):
                await self._publisher.withdraw(f"{name}/versions/{number}")
            await transaction.purge_model(model)
            draft = AuditDraft(REGISTRY, "model.purge", name, "gone for good, its retention is over")
            await tell(transaction, draft, model, now)
        _log.info("model purged", model=name)
        return True

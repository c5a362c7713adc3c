"""How every change ends: with an entry of the audit log, and an event that carries it."""

from __future__ import annotations

from datetime import datetime

from autoisp_registry.audit import AuditDraft, AuditEntry
from autoisp_registry.domain import Model
from autoisp_registry.ports import ModelChanged, Transaction, VersionPromoted


async def tell(transaction: Transaction, draft: AuditDraft, model: Model, now: datetime) -> AuditEntry:
    """Record a change of the model or one of its versions, and announce it; after all other writing.

    Raises:
        AlreadyExistsError: the draft's key is taken.
    """
    entry = await transaction.record(draft, now)
    await transaction.send(ModelChanged(entry, model))
    return entry


async def announce_alias(transaction: Transaction, model: Model, alias: str) -> None:
    """Announce that an alias points at another version."""
    number = model.aliases[alias]
    await transaction.send(VersionPromoted(model.name, number, alias, model.revision))

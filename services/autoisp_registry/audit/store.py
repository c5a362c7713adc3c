"""The audit log in the database: a table that triggers keep anybody from changing."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from datetime import datetime
from typing import Any

from autoisp.registry.v1 import registry_pb2
from autoisp_core import names
from autoisp_core.errors import AlreadyExistsError
from autoisp_core.pagination import Page, PageRequest, how_many_fit
from google.protobuf.message import DecodeError
from sqlalchemy import Row, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from autoisp_registry.audit import wire
from autoisp_registry.audit.domain import FIRST_SHA256, AuditDraft, AuditEntry
from autoisp_registry.tables import audit, audit_head

_VERIFIED_AT_ONCE = 1000


async def append(session: AsyncSession, draft: AuditDraft, now: datetime) -> AuditEntry:
    """Add an entry in the caller's transaction, of which it should be the last act.

    It takes the lock of the log's head and holds it until the commit: so the order of sequences is that of
    commits, and whoever reads on after a sequence misses nothing. Locks of models and channels come before.

    Raises:
        AlreadyExistsError: the draft's key is taken; the caller's transaction stays usable.
    """
    head = (await session.execute(select(audit_head).with_for_update())).one()
    entry = _sealed(AuditEntry(head.sequence + 1, now, draft, head.sha256, ""))
    insert = audit.insert().values(
        sequence=entry.sequence,
        resource=draft.resource,
        scope=_scope(draft.resource),
        idempotency_key=draft.key,
        body=_unsealed(entry),
        sha256=entry.sha256,
    )
    try:
        async with session.begin_nested():
            await session.execute(insert)
    except IntegrityError as error:
        raise AlreadyExistsError(draft.resource) from error
    await session.execute(audit_head.update().values(sequence=entry.sequence, sha256=entry.sha256))
    return entry


async def find_key(session: AsyncSession, key: str) -> AuditEntry | None:
    """The entry of the request with this :attr:`AuditDraft.key`; None if there is none."""
    row = (await session.execute(select(audit).where(audit.c.idempotency_key == key))).one_or_none()
    return _entry(row) if row else None


async def list_entries(
    session: AsyncSession, page: PageRequest, resource: str = "", *, descending: bool = False
) -> Page[AuditEntry]:
    """Entries in the log's order, or the newest first.

    Args:
        resource: only those of this model with its versions, of this version, or of this channel.
    """
    statement = select(audit).limit(page.size + 1)
    if resource:
        column = audit.c.scope if _scope(resource) == resource else audit.c.resource
        statement = statement.where(column == resource)
    order = audit.c.sequence.desc() if descending else audit.c.sequence
    statement = statement.order_by(order)
    if page.after is not None:
        after = int(page.after)
        statement = statement.where(audit.c.sequence < after if descending else audit.c.sequence > after)
    rows = (await session.execute(statement)).all()
    size = min(page.size, how_many_fit(len(row.body) for row in rows))
    entries = [_entry(row) for row in rows[: size + 1]]
    return replace(page, size=size).page(entries, lambda entry: str(entry.sequence))


async def read_after(session: AsyncSession, sequence: int, limit: int) -> list[AuditEntry]:
    """The entries that follow ``sequence``, at most ``limit``."""
    statement = select(audit).where(audit.c.sequence > sequence).order_by(audit.c.sequence).limit(limit)
    return [_entry(row) for row in (await session.execute(statement)).all()]


async def head(session: AsyncSession) -> tuple[int, str]:
    """Sequence and digest of the newest entry; 0 and :data:`FIRST_SHA256` of an empty log."""
    row = (await session.execute(select(audit_head))).one()
    return row.sequence, row.sha256


async def verify(session: AsyncSession) -> tuple[int, str]:
    """Recompute the chain; the first sequence at which it breaks and why, or 0 and nothing."""
    wanted, previous = 1, FIRST_SHA256
    end, end_sha256 = await head(session)
    while True:
        statement = (
            select(audit)
            .where(audit.c.sequence >= wanted, audit.c.sequence <= end)
            .order_by(audit.c.sequence)
            .limit(_VERIFIED_AT_ONCE)
        )
        rows = (await session.execute(statement)).all()
        for row in rows:
            if problem := _problem(row, wanted, previous):
                return wanted, problem
            wanted, previous = wanted + 1, row.sha256
        if not rows:
            break
    if wanted <= end:
        return wanted, f"entry {wanted} is missing"
    return (0, "") if previous == end_sha256 else (end, "the head has another digest than the last entry")


def _problem(row: Row[Any], wanted: int, previous: str) -> str:
    if row.sequence != wanted:
        return f"entry {wanted} is missing"
    if hashlib.sha256(row.body).hexdigest() != row.sha256:
        return f"entry {wanted} was altered: its digest is another"
    try:
        message = registry_pb2.AuditEntry.FromString(row.body)
    except DecodeError:
        return f"entry {wanted} was altered: it is no entry"
    if message.sequence != wanted or message.previous_sha256 != previous:
        return f"entry {wanted} does not follow the one before"
    return ""


def _sealed(entry: AuditEntry) -> AuditEntry:
    return replace(entry, sha256=hashlib.sha256(_unsealed(entry)).hexdigest())


def _unsealed(entry: AuditEntry) -> bytes:
    return wire.entry_to(replace(entry, sha256="")).SerializeToString(deterministic=True)


def _entry(row: Row[Any]) -> AuditEntry:
    return replace(wire.entry_from(registry_pb2.AuditEntry.FromString(row.body)), sha256=row.sha256)


def _scope(resource: str) -> str:
    version = names.MODEL_VERSION.match(resource)
    return names.model_name(version[0]) if version else resource

"""State and its event in one transaction: the outbox table, and the relay that publishes from it.

A row is written with the state change, published with ``Nats-Msg-Id`` = event id, then deleted. Dying in
between publishes it again, and JetStream drops the copy; so nothing is lost, and within the duplicate window
nothing is seen twice.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol

import structlog
from autoisp_core.errors import AutoISPError
from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    DateTime,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    delete,
    event,
    func,
    select,
)
from sqlalchemy.ext.asyncio import AsyncSession

from autoisp_runtime.database import Database
from autoisp_runtime.jetstream.publisher import check_payload
from autoisp_runtime.telemetry.metrics import OUTBOX_WAIT_SECONDS
from autoisp_runtime.tracing import TRACEPARENT, current_traceparent

_log = structlog.get_logger(__name__)

_BATCH = 100
_POLL_S = 1.0
_FIRST_RETRY_S, _LAST_RETRY_S = 0.2, 3.0


@dataclass(frozen=True)
class OutgoingMessage:
    """What goes into the outbox."""

    subject: str
    payload: bytes
    event_id: str


class EventPublisher(Protocol):
    """What the relay needs of a publisher."""

    async def publish(
        self, subject: str, payload: bytes, event_id: str, *, headers: Mapping[str, str] | None = None
    ) -> bool:
        """Publish and wait for the receipt; raises an ``AutoISPError`` if there is none."""
        ...


def outbox_columns() -> list[Column[object]]:
    """The columns, for a migration's ``op.create_table("outbox", *outbox_columns())``."""
    return [
        # SQLite numbers rows by itself only for exactly INTEGER.
        Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
        Column("event_id", String(128), nullable=False, unique=True),
        Column("subject", String(256), nullable=False),
        Column("payload", LargeBinary, nullable=False),
        Column("headers", JSON, nullable=False),
        Column("created_at", DateTime(timezone=True), nullable=False),
    ]


def outbox_table(metadata: MetaData) -> Table:
    """The table ``outbox`` in the service's metadata."""
    return Table("outbox", metadata, *outbox_columns())


class Outbox:
    """Adds events to transactions, and relays them.

    Args:
        database: the service's database.
        table: from :func:`outbox_table`, with the service's metadata.
    """

    def __init__(self, database: Database, table: Table) -> None:
        self._database = database
        self._table = table
        self._committed = asyncio.Event()

    async def add(
        self,
        session: AsyncSession,
        subject: str,
        payload: bytes,
        event_id: str,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        """Write an event into the caller's transaction; it is published soon after the commit, or never.

        Args:
            event_id: unique, at most 128 characters; receivers are idempotent by it.

        Raises:
            InternalError: the payload is too big to ever be published.
        """
        check_payload(subject, payload)
        all_headers = dict(headers or {})
        traceparent = current_traceparent()
        if traceparent:
            all_headers.setdefault(TRACEPARENT, traceparent)
        await session.execute(
            self._table.insert().values(
                event_id=event_id,
                subject=subject,
                payload=payload,
                headers=all_headers,
                created_at=datetime.now(UTC),
            )
        )
        if not event.contains(session.sync_session, "after_commit", self._wake):
            event.listen(session.sync_session, "after_commit", self._wake, once=False)

    async def pending(self) -> int:
        """How many events wait to be published."""
        async with self._database.read() as session:
            return int(await session.scalar(select(func.count()).select_from(self._table)) or 0)

    async def oldest_age_s(self) -> float:
        """For how long the oldest event waits to be published; 0 without one."""
        async with self._database.read() as session:
            statement = select(self._table.c.created_at).order_by(self._table.c.id).limit(1)
            created_at = await session.scalar(statement)
        return 0.0 if created_at is None else _age_s(created_at)

    async def relay(self, publisher: EventPublisher) -> None:
        """Publish events in the order they were added, for ever; waits out NATS or the database."""
        retry_s = _FIRST_RETRY_S
        while True:
            self._committed.clear()
            try:
                published = await self.publish_pending(publisher)
            except AutoISPError as error:
                _log.warning("events wait in the outbox", error=str(error), retry_s=retry_s)
                await asyncio.sleep(retry_s)
                retry_s = min(2 * retry_s, _LAST_RETRY_S)
                continue
            retry_s = _FIRST_RETRY_S
            if published == 0:
                # Polling finds what another replica committed and did not live to publish.
                # Not wait_for: before Python 3.12 it swallows a cancellation that comes with the wake-up.
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(_POLL_S):
                        await self._committed.wait()

    async def publish_pending(self, publisher: EventPublisher) -> int:
        """Publish one batch and delete what was published; returns how many.

        No transaction is open while publishing, so a slow NATS never blocks writers.

        Raises:
            AutoISPError: something could not be published; what went out before it is deleted, the rest
                stays.
        """
        async with self._database.read() as session:
            statement = select(self._table).order_by(self._table.c.id).limit(_BATCH)
            rows = (await session.execute(statement)).all()
        done: list[int] = []
        try:
            for row in rows:
                await publisher.publish(row.subject, row.payload, row.event_id, headers=row.headers)
                done.append(row.id)
                OUTBOX_WAIT_SECONDS.observe(_age_s(row.created_at))
        finally:
            if done:
                async with self._database.transaction() as session:
                    await session.execute(delete(self._table).where(self._table.c.id.in_(done)))
        return len(done)

    def _wake(self, _session: object) -> None:
        self._committed.set()


def _age_s(created_at: datetime) -> float:
    # SQLite keeps no time zone. Never negative: the clock of the process that wrote it may be ahead of ours.
    aware = created_at if created_at.tzinfo else created_at.replace(tzinfo=UTC)
    return max(0.0, (datetime.now(UTC) - aware).total_seconds())

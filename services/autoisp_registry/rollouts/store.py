"""Channels and what devices reported, in the database."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Iterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime
from itertools import accumulate
from typing import Any, TypeVar

from autoisp.registry.v1 import rollouts_pb2
from autoisp_core import names
from autoisp_core.errors import InvalidArgumentError
from autoisp_core.ids import derived_id
from autoisp_core.pagination import Page, PageRequest
from autoisp_runtime.database import Database
from autoisp_runtime.jetstream import Event, event_subject
from autoisp_runtime.outbox import Outbox
from sqlalchemy import Row, bindparam, delete, select
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from autoisp_registry import audit
from autoisp_registry.audit import AuditDraft
from autoisp_registry.audit.store import head
from autoisp_registry.rollouts import versions, wire
from autoisp_registry.rollouts.domain.channel import Channel
from autoisp_registry.rollouts.domain.outcomes import report_keys
from autoisp_registry.rollouts.domain.resolving import Servable
from autoisp_registry.tables import audit as audit_table
from autoisp_registry.tables import channels, rollout_leftovers, rollout_reports

T = TypeVar("T")

_PARAMETERS = 500  # of one statement; SQLite's oldest limit is 999
_PAGE_BYTES = 3 << 20  # testers can make a channel half a mebibyte, and gRPC takes 4 MiB a message
_UPDATE = channels.update().where(channels.c.name == bindparam("the_name"))
_INSERTS: dict[str, Any] = {"sqlite": sqlite.insert, "postgresql": postgresql.insert}


class RolloutStore:
    """The store of rollouts over SQLite or PostgreSQL.

    Args:
        database: migrated to the newest revision.
        outbox: of the same database.
    """

    def __init__(self, database: Database, outbox: Outbox) -> None:
        self._database = database
        self._outbox = outbox

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[RolloutTransaction]:
        """Commits at the end of the block, rolls back if it raises."""
        async with self._database.transaction() as session:
            yield RolloutTransaction(session, self._outbox)

    async def channel(self, name: str) -> Channel | None:
        """The channel; None if there is none."""
        async with self._database.read() as session:
            row = (await session.execute(select(channels).where(channels.c.name == name))).one_or_none()
        return _channel(row) if row else None

    async def list_channels(self, product: str, page: PageRequest) -> Page[Channel]:
        """Channels of a product (its id), or of all if it is empty; oldest first."""
        statement = select(channels).order_by(channels.c.id).limit(page.size + 1)
        if product:
            statement = statement.where(channels.c.product == product)
        if page.after is not None:
            statement = statement.where(channels.c.id > _id(page.after))
        async with self._database.read() as session:
            rows = (await session.execute(statement)).all()
        fitting = replace(page, size=min(page.size, _fitting([len(row.body) for row in rows])))
        keys = fitting.page(rows, lambda row: str(row.id))
        return Page(tuple(_channel(row) for row in keys.items), keys.next_page_token)

    async def delete_some(self, limit: int) -> bool:
        """Delete at most ``limit`` reports of tallies that are over; False if there were none."""
        async with self._database.read() as session:
            tally = await session.scalar(select(rollout_leftovers.c.tally).limit(1))
        if tally is None:
            return False
        key = rollout_reports.c.key
        async with self._database.transaction() as session:
            some = select(key).where(key.between(*report_keys(tally))).limit(limit)
            keys = (await session.scalars(some)).all()
            for part in _parts(keys):
                await session.execute(delete(rollout_reports).where(key.in_(part)))
            if len(keys) < limit:
                await session.execute(delete(rollout_leftovers).where(rollout_leftovers.c.tally == tally))
        return True

    async def head(self) -> int:
        """The newest sequence of the audit log."""
        async with self._database.read() as session:
            return (await head(session))[0]

    async def changed_after(self, sequence: int, limit: int) -> Sequence[tuple[int, str]]:
        """Sequences and resources of the changes that follow, in order."""
        statement = (
            select(audit_table.c.sequence, audit_table.c.resource)
            .where(audit_table.c.sequence > sequence)
            .order_by(audit_table.c.sequence)
            .limit(limit)
        )
        async with self._database.read() as session:
            return [(row.sequence, row.resource) for row in (await session.execute(statement)).all()]

    async def channels(self, names: Collection[str] | None) -> Sequence[Channel]:
        """Those of these channels that exist; all for None."""
        async with self._database.read() as session:
            if names is None:
                return [_channel(row) for row in (await session.execute(select(channels))).all()]
            rows = [
                row
                for part in _parts(sorted(names))
                for row in (await session.execute(select(channels).where(channels.c.name.in_(part)))).all()
            ]
        return [_channel(row) for row in rows]

    async def servables(self, wanted: Collection[tuple[str, int]]) -> dict[tuple[str, int], Servable]:
        """Those of these versions that exist and are not deleted."""
        async with self._database.read() as session:
            return await versions.read_servables(session, wanted)


class RolloutTransaction:
    """One transaction of :class:`RolloutStore`."""

    def __init__(self, session: AsyncSession, outbox: Outbox) -> None:
        self._session = session
        self._outbox = outbox

    async def lock(self, names: Collection[str]) -> dict[str, Channel]:
        """Those of the channels that exist, locked until the end of the transaction, always in one order."""
        locked = {}
        for part in _parts(sorted(names)):
            statement = (
                select(channels).where(channels.c.name.in_(part)).order_by(channels.c.name).with_for_update()
            )
            for row in (await self._session.execute(statement)).all():
                locked[row.name] = _channel(row)
        return locked

    async def add(self, channel: Channel) -> bool:
        """Insert a channel; False if its name is taken, the transaction stays usable."""
        product = names.CHANNEL.parse(channel.name)[0]
        insert = channels.insert().values(name=channel.name, product=product, **_row(channel))
        try:
            async with self._session.begin_nested():
                await self._session.execute(insert)
        except IntegrityError:
            return False
        return True

    async def save(self, channels: Collection[Channel]) -> None:
        """Write locked channels, with their counts."""
        await self._session.execute(
            _UPDATE, [{"the_name": channel.name, **_row(channel)} for channel in channels]
        )

    async def delete(self, channel: Channel) -> None:
        """Delete a locked channel."""
        await self._session.execute(delete(channels).where(channels.c.name == channel.name))

    async def has_model(self, model: str) -> bool:
        """Whether there is such a model, not deleted; it stays so until the end of the transaction."""
        return await versions.lock_live_model(self._session, model)

    async def servable(self, model: str, number: int) -> Servable | None:
        """The version, if it exists and is not deleted; it stays so until the end of the transaction."""
        if not await versions.lock_live_model(self._session, model):
            return None
        return (await versions.read_servables(self._session, [(model, number)])).get((model, number))

    async def reported(self, keys: Collection[bytes]) -> dict[bytes, bool]:
        """Those of the reports that were counted, and whether as failures."""
        found = {}
        for part in _parts(sorted(keys)):
            statement = select(rollout_reports).where(rollout_reports.c.key.in_(part))
            for row in (await self._session.execute(statement)).all():
                found[row.key] = row.failed
        return found

    async def write_reports(self, failed: Mapping[bytes, bool]) -> None:
        """Keep reports as counted, over what was kept of the devices. Their channels are locked."""
        insert = _INSERTS[self._session.get_bind().dialect.name](rollout_reports)
        over = insert.on_conflict_do_update(index_elements=["key"], set_={"failed": insert.excluded.failed})
        await self._session.execute(over, [{"key": key, "failed": bad} for key, bad in failed.items()])

    async def leave(self, tally: str) -> None:
        """Have the reports of a tally deleted some time after the commit."""
        await self._session.execute(rollout_leftovers.insert().values(tally=tally))

    async def resource_of_request(self, key: str) -> str | None:
        """What the request with this key changed; None if there was none."""
        entry = await audit.find_key(self._session, key)
        return entry.draft.resource if entry else None

    async def tell(self, draft: AuditDraft, channel: Channel | None, now: datetime) -> None:
        """Write a change into the audit log and send its event; the last act of a transaction."""
        entry = await audit.append(self._session, draft, now)
        await self._outbox.add(
            self._session,
            event_subject(Event.CHANNEL_CHANGED, "-".join(names.CHANNEL.parse(draft.resource))),
            wire.changed_to(entry, channel).SerializeToString(),
            derived_id(Event.CHANNEL_CHANGED.value, str(entry.sequence), entry.sha256),
        )


def _parts(items: Sequence[T]) -> Iterator[Sequence[T]]:
    for start in range(0, len(items), _PARAMETERS):
        yield items[start : start + _PARAMETERS]


def _fitting(sizes: Sequence[int]) -> int:
    """How many of the first go out in one message, at least one."""
    totals = accumulate(sizes)
    return max(1, sum(1 for total in totals if total <= _PAGE_BYTES))


def _id(key: str) -> int:
    # Whoever forges a token can put anything into it.
    if not (key.isascii() and key.isdigit() and len(key) <= 18):
        raise InvalidArgumentError("page_token", "page_token is not one this list gave out; leave it empty")
    return int(key)


def _channel(row: Row[Any]) -> Channel:
    message = rollouts_pb2.Channel.FromString(row.body)
    return wire.channel_from(message, row.uid, row.revision, tuple(row.history), row.tally or "")


def _row(channel: Channel) -> dict[str, Any]:
    rollout = channel.rollout
    return {
        "model": channel.model,
        "uid": channel.uid,
        "revision": channel.revision,
        "version": channel.version,
        "rollout_version": rollout.version if rollout else None,
        "tally": rollout.tally if rollout else None,
        "history": list(channel.history),
        "body": wire.channel_to(channel).SerializeToString(),
    }

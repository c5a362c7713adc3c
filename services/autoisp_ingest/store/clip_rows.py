"""Clips and unowned frames in SQL."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, cast

from autoisp_core.errors import AbortedError, FailedPreconditionError, NotFoundError
from autoisp_core.ids import new_id
from autoisp_core.names import clip_name, dataset_name
from autoisp_core.pagination import Page, PageRequest
from autoisp_runtime.database import Database
from autoisp_runtime.outbox import Outbox
from sqlalchemy import ColumnElement, CursorResult, Delete, Update, delete, insert, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from autoisp_ingest.domain import Clip
from autoisp_ingest.store import tables
from autoisp_ingest.store.rows import clip_from_row, clip_to_row, to_us

_NAMED_DATASETS = 5
_GIVEN_UP_US = 0
"""Instead of the time of a note: no clip will have these frames."""


@dataclass(frozen=True)
class OutgoingEvent:
    """An event ready for the outbox."""

    subject: str
    payload: bytes
    event_id: str


class ClipRows:
    """The part of :class:`autoisp_ingest.usecases.IngestStore` about clips.

    Args:
        clip_ingested: encodes the event that a new clip is announced with.
    """

    def __init__(
        self, database: Database, outbox: Outbox, clip_ingested: Callable[[Clip], OutgoingEvent]
    ) -> None:
        self._database = database
        self._outbox = outbox
        self._clip_ingested = clip_ingested

    async def reserve_frames(self, uri: str, owner: str, at: datetime) -> None:
        """See the port."""
        async with self._database.transaction() as session:
            await session.execute(
                insert(tables.unowned_frames).values(uri=uri, owner=owner, noted_time_us=to_us(at))
            )

    async def renew_frames(self, uri: str, at: datetime) -> bool:
        """See the port."""
        table = tables.unowned_frames
        statement = update(table).where(_reserved(uri)).values(noted_time_us=to_us(at))
        async with self._database.transaction() as session:
            return await _changed(session, statement) == 1

    async def give_up_frames(self, uri: str, owner: str, before: datetime) -> bool:
        """See the port."""
        table = tables.unowned_frames
        statement = update(table).where(table.c.uri == uri, _left(owner, before))
        async with self._database.transaction() as session:
            return await _changed(session, statement.values(noted_time_us=_GIVEN_UP_US)) == 1

    async def release_frames(self, uri: str) -> None:
        """See the port."""
        async with self._database.transaction() as session:
            await session.execute(delete(tables.unowned_frames).where(tables.unowned_frames.c.uri == uri))

    async def unowned_frames(self, owner: str, before: datetime) -> list[str]:
        """See the port."""
        statement = select(tables.unowned_frames.c.uri).where(_left(owner, before))
        async with self._database.read() as session:
            return list(await session.scalars(statement))

    async def add_clip(self, clip: Clip) -> Clip:
        """See the port."""
        try:
            return await self._add_clip(clip)
        except IntegrityError:
            winner = await self.get_clip(clip.id)  # PostgreSQL: another replica was first
            if winner is None:
                raise
            return winner

    async def _add_clip(self, clip: Clip) -> Clip:
        outgoing = self._clip_ingested(clip)
        async with self._database.transaction() as session:
            row = (await session.execute(select(tables.clips).where(tables.clips.c.id == clip.id))).first()
            if row:
                return clip_from_row(row)
            await session.execute(insert(tables.clips).values(clip_to_row(clip, new_id())))
            # Of two that clear up and commit at once, the database lets one have the note.
            taken = delete(tables.unowned_frames).where(_reserved(clip.frames_uri))
            if await _changed(session, taken) != 1:
                raise AbortedError(
                    f"{clip.display_name!r} took so long that its frames were cleared up meanwhile; send it "
                    "again",
                    reason="FRAMES_CLEARED_UP",
                )
            await self._outbox.add(session, outgoing.subject, outgoing.payload, outgoing.event_id)
        return clip

    async def get_clip(self, clip_id: str) -> Clip | None:
        """See the port."""
        return (await self.find_clips([clip_id])).get(clip_id)

    async def find_clips(self, clip_ids: Sequence[str]) -> dict[str, Clip]:
        """See the port."""
        wanted, found = sorted(set(clip_ids)), {}
        async with self._database.read() as session:
            for start in range(0, len(wanted), 500):  # databases limit the parameters of one statement
                some = wanted[start : start + 500]
                statement = select(tables.clips).where(tables.clips.c.id.in_(some))
                found.update({row.id: clip_from_row(row) for row in await session.execute(statement)})
        return found

    async def list_clips(self, request: PageRequest) -> Page[Clip]:
        """See the port."""
        statement = select(tables.clips).order_by(tables.clips.c.order_key).limit(request.size + 1)
        if request.after is not None:
            statement = statement.where(tables.clips.c.order_key > request.after)
        async with self._database.read() as session:
            rows = (await session.execute(statement)).all()
        page = request.page(rows, key=lambda row: str(row.order_key))
        return Page(tuple(clip_from_row(row) for row in page.items), page.next_page_token)

    async def remove_clip(self, clip_id: str, owner: str, at: datetime) -> Clip:
        """See the port."""
        users = (
            select(tables.dataset_clips.c.dataset_id)
            .where(tables.dataset_clips.c.clip_id == clip_id)
            .distinct()
            .order_by(tables.dataset_clips.c.dataset_id)
            .limit(_NAMED_DATASETS)
        )
        try:
            async with self._database.transaction() as session:
                row = (
                    await session.execute(select(tables.clips).where(tables.clips.c.id == clip_id))
                ).first()
                if row is None:
                    raise NotFoundError(clip_name(clip_id))
                datasets = list(await session.scalars(users))
                if datasets:
                    raise _in_use(clip_id, datasets)
                clip = clip_from_row(row)
                await session.execute(
                    insert(tables.unowned_frames).values(
                        uri=clip.frames_uri, owner=owner, noted_time_us=to_us(at)
                    )
                )
                await session.execute(delete(tables.clips).where(tables.clips.c.id == clip_id))
        except IntegrityError as error:
            raise AbortedError(
                f"{clip_name(clip_id)} was put into a dataset or deleted meanwhile; get it and try again"
            ) from error
        return clip


def _reserved(uri: str) -> ColumnElement[bool]:
    table = tables.unowned_frames
    return (table.c.uri == uri) & (table.c.noted_time_us != _GIVEN_UP_US)


def _left(owner: str, before: datetime) -> ColumnElement[bool]:
    table = tables.unowned_frames
    return or_(table.c.owner == owner, table.c.noted_time_us < to_us(before))


async def _changed(session: AsyncSession, statement: Update | Delete) -> int:
    """How many rows."""
    return cast(CursorResult[Any], await session.execute(statement)).rowcount


def _in_use(clip_id: str, dataset_ids: Sequence[str]) -> FailedPreconditionError:
    names = ", ".join(dataset_name(dataset_id) for dataset_id in dataset_ids)
    return FailedPreconditionError(
        f"{clip_name(clip_id)} is used by {names}; delete what uses it first",
        reason="CLIP_IN_USE",
        metadata={"resource": clip_name(clip_id), "datasets": names},
    )

"""Datasets in SQL."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import groupby
from typing import Any

from autoisp_core.errors import AbortedError, AlreadyExistsError, AutoISPError, NotFoundError
from autoisp_core.ids import new_id
from autoisp_core.names import dataset_name
from autoisp_core.pagination import Page, PageRequest
from autoisp_runtime.database import Database
from sqlalchemy import ColumnElement, Row, delete, insert, or_, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from autoisp_ingest.domain import Dataset
from autoisp_ingest.store.rows import dataset_from_rows, dataset_to_row, parts_to_rows
from autoisp_ingest.store.tables import clips, dataset_clips, datasets


class DatasetRows:
    """The part of :class:`autoisp_ingest.usecases.IngestStore` about datasets."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add_dataset(self, dataset: Dataset) -> None:
        """See the port."""
        try:
            async with self._database.transaction() as session:
                conflict = await _conflict(session, dataset)
                if conflict:
                    raise conflict
                await session.execute(insert(datasets).values(dataset_to_row(dataset, new_id())))
                await session.execute(insert(dataset_clips), parts_to_rows(dataset))
        except IntegrityError as error:  # PostgreSQL: another transaction got in between
            async with self._database.read() as session:
                raise await _conflict(session, dataset) or _changed(dataset) from error

    async def mark_published(self, dataset_id: str) -> None:
        """See the port."""
        async with self._database.transaction() as session:
            await session.execute(update(datasets).where(datasets.c.id == dataset_id).values(published=True))

    async def unpublished_datasets(self) -> list[Dataset]:
        """See the port."""
        return await self._select(datasets.c.published.is_(False))

    async def get_dataset(self, dataset_id: str) -> Dataset | None:
        """See the port."""
        found = await self._select(datasets.c.id == dataset_id)
        return found[0] if found else None

    async def find_request(self, request_id: str) -> Dataset | None:
        """See the port."""
        found = await self._select(datasets.c.request_id == request_id)
        return found[0] if found else None

    async def list_datasets(self, request: PageRequest) -> Page[Dataset]:
        """See the port."""
        statement = select(datasets).order_by(datasets.c.order_key).limit(request.size + 1)
        if request.after is not None:
            statement = statement.where(datasets.c.order_key > request.after)
        async with self._database.read() as session:
            rows = (await session.execute(statement)).all()
            page = request.page(rows, key=lambda row: str(row.order_key))
            return Page(tuple(await _with_parts(session, page.items)), page.next_page_token)

    async def remove_dataset(self, dataset_id: str) -> None:
        """See the port."""
        async with self._database.transaction() as session:
            known = await session.scalar(select(datasets.c.id).where(datasets.c.id == dataset_id))
            if known is None:
                raise NotFoundError(dataset_name(dataset_id))
            await session.execute(delete(datasets).where(datasets.c.id == dataset_id))

    async def _select(self, condition: ColumnElement[bool]) -> list[Dataset]:
        async with self._database.read() as session:
            statement = select(datasets).where(condition).order_by(datasets.c.order_key)
            return await _with_parts(session, (await session.execute(statement)).all())


async def _with_parts(session: AsyncSession, rows: Sequence[Row[Any]]) -> list[Dataset]:
    """The datasets of ``rows``, with one query for all their clips."""
    statement = (
        select(dataset_clips)
        .where(dataset_clips.c.dataset_id.in_([row.id for row in rows]))
        .order_by(dataset_clips.c.dataset_id, dataset_clips.c.position)
    )
    parts = (await session.execute(statement)).all() if rows else []
    by_dataset = {key: list(group) for key, group in groupby(parts, key=lambda part: part.dataset_id)}
    return [dataset_from_rows(row, by_dataset.get(row.id, [])) for row in rows]


async def _conflict(session: AsyncSession, dataset: Dataset) -> AutoISPError | None:
    """Why ``dataset`` can't be added, or None."""
    taken = datasets.c.id == dataset.id
    if dataset.request_id:
        taken = or_(taken, datasets.c.request_id == dataset.request_id)
    holder = await session.scalar(select(datasets.c.id).where(taken).limit(1))
    if holder is not None:
        return AlreadyExistsError(dataset_name(holder))
    wanted = {part.clip_id for part in dataset.clips}
    found = set(await session.scalars(select(clips.c.id).where(clips.c.id.in_(wanted))))
    return _changed(dataset) if wanted - found else None


def _changed(dataset: Dataset) -> AbortedError:
    return AbortedError(
        f"a clip of {dataset.name} was deleted meanwhile; list the clips and try again",
        metadata={"resource": dataset.name},
    )

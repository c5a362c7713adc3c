"""Sensor profiles in SQL."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

from autoisp_core.errors import AbortedError, AlreadyExistsError, NotFoundError
from autoisp_core.names import sensor_profile_name, sensor_profile_version_name
from autoisp_core.pagination import Page, PageRequest
from autoisp_runtime.database import Database
from sqlalchemy import Row, Select, and_, delete, insert, select, update
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncSession

from autoisp_ingest.sensor_profiles.domain import SensorProfileVersion
from autoisp_ingest.sensor_profiles.rows import version_from_row, version_to_row
from autoisp_ingest.store.tables import sensor_profile_versions as versions
from autoisp_ingest.store.tables import sensor_profiles as profiles

_ATTEMPTS = 8


class SqlSensorProfileStore:
    """:class:`autoisp_ingest.sensor_profiles.ports.SensorProfileStore` in SQLite or PostgreSQL.

    Args:
        database: migrated.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def add(self, version: SensorProfileVersion) -> SensorProfileVersion:
        """See the port."""
        for _ in range(_ATTEMPTS):
            try:
                async with self._database.transaction() as session:
                    return await _add(session, version)
            except IntegrityError:
                continue  # PostgreSQL: another replica was first; now its version is seen
        raise AbortedError(
            f"{sensor_profile_name(version.profile_id)} got versions from others all the time; try again"
        )

    async def get(self, profile_id: str, number: int | None = None) -> SensorProfileVersion | None:
        """See the port."""
        wanted = _newest() if number is None else select(versions).where(versions.c.number == number)
        return await self._one(wanted.where(versions.c.profile_id == profile_id))

    async def find_request(self, request_id: str) -> SensorProfileVersion | None:
        """See the port."""
        return await self._one(select(versions).where(versions.c.request_id == request_id))

    async def list_versions(self, profile_id: str, request: PageRequest) -> Page[SensorProfileVersion]:
        """See the port."""
        statement = select(versions).where(versions.c.profile_id == profile_id)
        if request.after is not None:
            statement = statement.where(versions.c.number < int(request.after))
        rows = await self._rows(statement.order_by(versions.c.number.desc()).limit(request.size + 1))
        return _page(request, rows, "number")

    async def list_newest(self, request: PageRequest) -> Page[SensorProfileVersion]:
        """See the port."""
        statement = _newest()
        if request.after is not None:
            statement = statement.where(versions.c.profile_id > request.after)
        rows = await self._rows(statement.order_by(versions.c.profile_id).limit(request.size + 1))
        return _page(request, rows, "profile_id")

    async def remove(self, profile_id: str) -> None:
        """See the port."""
        async with self._database.transaction() as session:
            known = await session.scalar(select(profiles.c.id).where(profiles.c.id == profile_id))
            if known is None:
                raise NotFoundError(sensor_profile_name(profile_id))
            await session.execute(delete(profiles).where(profiles.c.id == profile_id))

    async def _one(self, statement: Select[Any]) -> SensorProfileVersion | None:
        rows = await self._rows(statement)
        return version_from_row(rows[0]) if rows else None

    async def _rows(self, statement: Select[Any]) -> Sequence[Row[Any]]:
        async with self._database.read() as session:
            rows: Sequence[Row[Any]] = (await session.execute(statement)).all()
        return rows


async def _add(session: AsyncSession, version: SensorProfileVersion) -> SensorProfileVersion:
    if version.request_id:
        taken = select(versions.c.profile_id, versions.c.number)
        row = (await session.execute(taken.where(versions.c.request_id == version.request_id))).first()
        if row:
            raise AlreadyExistsError(sensor_profile_version_name(row.profile_id, str(row.number)))
    known = profiles.c.id == version.profile_id
    newest = await session.scalar(select(profiles.c.newest).where(known))
    numbered = replace(version, number=(newest or 0) + 1)
    if newest is None:
        await session.execute(insert(profiles).values(id=version.profile_id, newest=numbered.number))
    else:
        await session.execute(update(profiles).where(known).values(newest=numbered.number))
    await session.execute(insert(versions).values(version_to_row(numbered)))
    return numbered


def _newest() -> Select[Any]:
    joined = and_(profiles.c.id == versions.c.profile_id, profiles.c.newest == versions.c.number)
    return select(versions).join(profiles, joined)


def _page(request: PageRequest, rows: Sequence[Row[Any]], key: str) -> Page[SensorProfileVersion]:
    page = request.page(rows, key=lambda row: str(getattr(row, key)))
    return Page(tuple(version_from_row(row) for row in page.items), page.next_page_token)

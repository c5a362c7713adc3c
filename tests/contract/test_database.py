"""What a database that has no room for one more caller answers, over SQLite and PostgreSQL."""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack

import pytest
from autoisp_core.errors import UnavailableError
from autoisp_runtime.database import Database
from sqlalchemy import text


async def test_who_gets_no_connection_may_try_again(
    database: Database, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database.engine.sync_engine.pool, "_timeout", 0.05)
    async with AsyncExitStack() as stack:
        for _ in range(15):  # 5 that are kept and 10 more
            session = await stack.enter_async_context(database.read())
            await session.execute(text("SELECT 1"))
        with pytest.raises(UnavailableError) as caught:
            await database.ping()
    assert caught.value.reason == "DATABASE_UNAVAILABLE"
    await database.ping()


async def test_of_two_that_wait_for_each_other_one_may_try_again(database: Database) -> None:
    if database.dialect != "postgresql":
        pytest.skip("SQLite has one writer")
    both = asyncio.Barrier(2)

    async def lock(first: int, second: int) -> None:
        async with database.transaction() as session:
            await session.execute(text(f"SELECT pg_advisory_xact_lock({first})"))
            await both.wait()
            await session.execute(text(f"SELECT pg_advisory_xact_lock({second})"))

    ended = await asyncio.gather(lock(1, 2), lock(2, 1), return_exceptions=True)
    assert sorted(type(one).__name__ for one in ended) == ["NoneType", "UnavailableError"]

"""Transactions and migrations over SQLite and PostgreSQL."""

import asyncio
import contextlib
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
import pytest_asyncio
from alembic.util import CommandError
from autoisp_core.errors import InvalidArgumentError, ResourceExhaustedError, UnavailableError
from autoisp_runtime.database import Database
from autoisp_runtime.migrations import differences, migrate
from autoisp_runtime.outbox import outbox_table
from autoisp_testing.postgres import PostgresServer
from sqlalchemy import Column, Integer, MetaData, String, Table, text
from sqlalchemy.exc import IntegrityError

FIRST = """
import sqlalchemy as sa
from alembic import op
from autoisp_runtime.outbox import outbox_columns

revision, down_revision = "0001", None


def upgrade():
    name = sa.Column("name", sa.String(20), primary_key=True)
    op.create_table("counters", name, sa.Column("value", sa.Integer))
    op.create_table("outbox", *outbox_columns())
"""
SECOND = """
import sqlalchemy as sa
from alembic import op

revision, down_revision = "0002", "0001"


def upgrade():
    with op.batch_alter_table("counters") as batch:
        batch.alter_column("value", nullable=False, existing_type=sa.Integer())
"""


def metadata() -> MetaData:
    found = MetaData()
    Table(
        "counters",
        found,
        Column("name", String(20), primary_key=True),
        Column("value", Integer, nullable=False),
    )
    outbox_table(found)
    return found


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    versions = tmp_path / "src" / "demo_migrations" / "versions"
    versions.mkdir(parents=True)
    (versions.parent / "__init__.py").touch()
    (versions / "0001_first.py").write_text(FIRST)
    (versions / "0002_second.py").write_text(SECOND)
    monkeypatch.syspath_prepend(str(tmp_path / "src"))
    return "demo_migrations"


@pytest_asyncio.fixture
async def replica(database_url: str) -> AsyncIterator[Database]:
    opened = Database(database_url, "testing")
    yield opened
    await opened.close()


async def increment(database: Database) -> None:
    async with database.transaction() as session:
        value = await session.scalar(text("SELECT value FROM counters WHERE name = 'a'"))
        await asyncio.sleep(0)
        await session.execute(text("UPDATE counters SET value = :v WHERE name = 'a'"), {"v": value + 1})


async def count(database: Database) -> int:
    async with database.read() as session:
        return int(await session.scalar(text("SELECT value FROM counters WHERE name = 'a'")))


async def insert(database: Database) -> None:
    async with database.transaction() as session:
        await session.execute(text("INSERT INTO counters VALUES ('a', 0)"))


async def test_migrations_make_what_the_metadata_says(database: Database, package: str) -> None:
    await migrate(database, package, "0001")
    assert len(await differences(database, metadata())) == 1
    await migrate(database, package)
    assert await differences(database, metadata()) == []
    await migrate(database, package)


async def test_replicas_may_migrate_at_once(database: Database, replica: Database, package: str) -> None:
    await asyncio.gather(*(migrate(db, package) for db in (database, replica) * 3))
    await insert(database)
    assert await count(replica) == 0


@pytest.mark.parametrize("state", ["57P03", "57P01", "53300", "08006"])
async def test_a_postgresql_that_starts_stops_or_is_full_is_waited_for(
    postgres: PostgresServer, state: str
) -> None:
    database = Database(postgres.new_database(), "testing")
    raised = (
        f"DO $$ BEGIN RAISE EXCEPTION 'the database system is starting up' USING ERRCODE = '{state}'; END $$"
    )
    with pytest.raises(UnavailableError, match="starting up"):
        async with database.transaction() as session:
            await session.execute(text(raised))
    await database.close()


async def test_a_database_of_a_newer_program_is_refused(database: Database, package: str) -> None:
    await migrate(database, package)
    async with database.transaction() as session:
        await session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
    with pytest.raises(CommandError, match="9999"):
        await migrate(database, package)


async def test_an_exception_rolls_everything_back(database: Database, package: str) -> None:
    await migrate(database, package)
    with contextlib.suppress(ZeroDivisionError):
        async with database.transaction() as session:
            await session.execute(text("INSERT INTO counters VALUES ('a', 0)"))
            raise ZeroDivisionError
    await insert(database)
    with pytest.raises(IntegrityError):
        await insert(database)


async def test_schemas_keep_services_apart(postgres: PostgresServer, package: str) -> None:
    url = postgres.new_database()
    first, second = Database(url, "first"), Database(url, "second")
    for database in (first, second):
        await migrate(database, package)
    await insert(first)
    await insert(second)
    await increment(second)
    assert (await count(first), await count(second)) == (0, 1)
    await first.close()
    await second.close()


async def test_sqlite_loses_no_update_under_contention(tmp_path: Path, package: str) -> None:
    url = f"sqlite+aiosqlite:///{tmp_path}/contended.db"
    databases = [Database(url) for _ in range(3)]
    await migrate(databases[0], package)
    await insert(databases[0])
    writing = asyncio.gather(*(increment(databases[i % 3]) for i in range(60)))
    while not writing.done():
        await count(databases[0])  # readers neither wait nor fail
    await writing
    assert await count(databases[1]) == 60
    async with databases[0].read() as session:
        assert await session.scalar(text("PRAGMA journal_mode")) == "wal"
        assert await session.scalar(text("PRAGMA foreign_keys")) == 1
    for database in databases:
        await database.close()


async def test_a_full_disk_is_said_and_nothing_is_written(tmp_path: Path, package: str) -> None:
    database = Database(f"sqlite+aiosqlite:///{tmp_path}/full.db")
    await migrate(database, package)

    async def write_too_much() -> None:
        async with database.transaction() as session:
            pages = await session.scalar(text("PRAGMA page_count"))
            await session.execute(text(f"PRAGMA max_page_count = {pages}"))
            await session.execute(text("INSERT INTO counters VALUES ('a', 0)"))
            statement = text("INSERT INTO outbox VALUES (1, 'e', 's', :p, '{}', CURRENT_TIMESTAMP)")
            await session.execute(statement, {"p": bytes(100_000)})

    with pytest.raises(ResourceExhaustedError, match=r"full\.db is out of disk space"):
        await write_too_much()
    await insert(database)
    await database.close()


async def test_an_absent_database_is_unavailable(tmp_path: Path) -> None:
    for url in (
        "postgresql+asyncpg://user:secret@127.0.0.1:9/nothing",
        f"sqlite+aiosqlite:///{tmp_path}/no/folder/x.db",
    ):
        database = Database(url)
        with pytest.raises(UnavailableError) as caught:
            await database.ping()
        assert "secret" not in str(caught.value)
        await database.close()


@pytest.mark.parametrize("url", ["", "mysql://x/y", "sqlite:///x.db", "nonsense"])
def test_other_databases_are_refused(url: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        Database(url)
    assert caught.value.field == "database_url"

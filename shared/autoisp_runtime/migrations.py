"""Alembic without its files: a service only brings a package with a ``versions`` folder."""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from importlib.resources import as_file, files
from typing import Any

import structlog
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.runtime.environment import EnvironmentContext
from alembic.runtime.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, MetaData, text

from autoisp_runtime.database import Database

_log = structlog.get_logger(__name__)


async def migrate(database: Database, package: str, revision: str = "head") -> None:
    """Bring the database to ``revision``; safe when several replicas start at once.

    Args:
        package: import name of the package that has the ``versions`` folder, for example
            ``autoisp_search.migrations``.

    Raises:
        UnavailableError: the database can't be reached.
        alembic.util.CommandError: the database is at a revision this program does not know (it is newer).
    """
    with as_file(files(package)) as location:
        script = ScriptDirectory(str(location))
        async with database.transaction() as session:
            connection = await session.connection()
            await connection.run_sync(_upgrade, script, database.schema, revision)


async def differences(database: Database, metadata: MetaData, apart_from: str = "\0") -> list[Any]:
    """What the migrated database and ``metadata`` disagree on, in Alembic's words; empty when equal.

    Args:
        apart_from: beginning of the names of tables that only the migrations know.
    """

    def compare(connection: Connection) -> list[Any]:
        opts = {
            "compare_type": True,
            "include_name": lambda name, kind, _: kind != "table" or not name.startswith(apart_from),
        }
        context = MigrationContext.configure(connection, opts=opts)
        return list(compare_metadata(context, metadata))

    async with database.read() as session:
        return await (await session.connection()).run_sync(compare)


def _upgrade(connection: Connection, script: ScriptDirectory, schema: str | None, revision: str) -> None:
    if connection.dialect.name == "postgresql":
        # One replica migrates, the others wait here and then find nothing to do.
        key = zlib.crc32(f"autoisp/{schema}".encode())
        connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": key})
        if schema:
            connection.execute(text(f'CREATE SCHEMA IF NOT EXISTS "{schema}"'))

    def steps(current: str | Sequence[str], _context: MigrationContext) -> Any:
        found = script._upgrade_revs(revision, current)  # type: ignore[arg-type]
        for step in found:
            _log.info("migrating", to=step.to_revisions)
        return found

    environment = EnvironmentContext(Config(), script, fn=steps, destination_rev=revision)
    with environment:
        environment.configure(connection=connection, render_as_batch=True, transactional_ddl=False)
        environment.run_migrations()

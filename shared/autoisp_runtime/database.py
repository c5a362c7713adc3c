"""The one way to a database: SQLite (one file per service) or PostgreSQL (one schema per service)."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from autoisp_core.errors import InvalidArgumentError, ResourceExhaustedError, UnavailableError
from sqlalchemy import event, text
from sqlalchemy.engine import Connection, make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, OperationalError
from sqlalchemy.exc import TimeoutError as PoolTimeoutError
from sqlalchemy.ext.asyncio import AsyncEngine, AsyncSession, async_sessionmaker, create_async_engine

from autoisp_runtime.telemetry.metrics import DATABASE_SECONDS

_WRITE_SECONDS, _READ_SECONDS = DATABASE_SECONDS.labels("write"), DATABASE_SECONDS.labels("read")
_BUSY_TIMEOUT_MS = 15_000
_READ_ONLY = "autoisp_read_only"
_FULL = ("database or disk is full", "No space left on device")
# PostgreSQL's SQLSTATE: the connection failed, it is starting or stopping, all its connections are taken, it
# ended the transaction for others' sake (a deadlock).
_AWAY = ("08", "57P0", "53300", "40001", "40P01")


class Database:
    """An engine with the house's transactions.

    Args:
        url: ``sqlite+aiosqlite:///file`` or ``postgresql+asyncpg://…``.
        schema: the service's own PostgreSQL schema; SQLite has none and ignores it.

    Raises:
        InvalidArgumentError: the URL is of another kind.
    """

    def __init__(self, url: str, schema: str | None = None) -> None:
        self.url = url
        self.schema = schema
        self.engine = _create_engine(url, schema)
        self._write = async_sessionmaker(self.engine, expire_on_commit=False)
        reading = self.engine.execution_options(**{_READ_ONLY: True})
        self._read = async_sessionmaker(reading, expire_on_commit=False)

    @property
    def dialect(self) -> str:
        """``sqlite`` or ``postgresql``."""
        return self.engine.dialect.name

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[AsyncSession]:
        """A session that commits at the end of the block, or rolls back if it raises.

        On SQLite the write lock is taken at the start: a transaction that reads and then writes can't lose
        its snapshot in between (``SQLITE_BUSY`` that no timeout helps against). Keep the block short.

        Raises:
            ResourceExhaustedError: the disk is full; nothing of the block was written.
            UnavailableError: the database can't be reached, or stayed locked.
        """
        with _WRITE_SECONDS.time():
            async with _typed_errors(self.url), self._write() as session, session.begin():
                yield session

    @asynccontextmanager
    async def read(self) -> AsyncIterator[AsyncSession]:
        """A session for reading only; takes no lock.

        Raises:
            UnavailableError: the database can't be reached.
        """
        with _READ_SECONDS.time():
            async with _typed_errors(self.url), self._read() as session:
                yield session

    async def ping(self) -> None:
        """Ask the database for a sign of life.

        Raises:
            UnavailableError: none came.
        """
        async with self.read() as session:
            await session.execute(text("SELECT 1"))

    async def close(self) -> None:
        """Close all connections."""
        await self.engine.dispose()


def _create_engine(url: str, schema: str | None) -> AsyncEngine:
    try:
        parsed = make_url(url)
    except ArgumentError as error:
        raise _bad_url(url) from error
    if parsed.drivername == "sqlite+aiosqlite":
        engine = create_async_engine(parsed)
        event.listen(engine.sync_engine, "connect", _prepare_sqlite)
        event.listen(engine.sync_engine, "begin", _begin_sqlite)
        return engine
    if parsed.drivername == "postgresql+asyncpg":
        settings = {"search_path": f'"{schema}"'} if schema else {}
        return create_async_engine(
            parsed, pool_pre_ping=True, connect_args={"server_settings": settings, "timeout": 10}
        )
    raise _bad_url(url)


def _prepare_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # the driver must not begin transactions on its own; _begin_sqlite does
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")
    cursor.execute("PRAGMA synchronous=NORMAL")
    cursor.execute(f"PRAGMA busy_timeout={_BUSY_TIMEOUT_MS}")
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _begin_sqlite(connection: Connection) -> None:
    read_only = connection.get_execution_options().get(_READ_ONLY, False)
    connection.exec_driver_sql("BEGIN" if read_only else "BEGIN IMMEDIATE")


@asynccontextmanager
async def _typed_errors(url: str) -> AsyncIterator[None]:
    try:
        yield
    except PoolTimeoutError as error:
        raise UnavailableError(
            f"the database at {_shown(url)} can't be used now: all connections to it are taken",
            reason="DATABASE_UNAVAILABLE",
        ) from error
    except (DBAPIError, OSError) as error:
        if any(sign in str(error) for sign in _FULL):
            raise ResourceExhaustedError(
                f"the database at {_shown(url)} is out of disk space; free some, nothing was written",
                reason="DATABASE_FULL",
            ) from error
        if _lost(error) or isinstance(error, OperationalError):
            raise UnavailableError(
                f"the database at {_shown(url)} can't be used now: {_root(error)}",
                reason="DATABASE_UNAVAILABLE",
            ) from error
        raise


def _lost(error: DBAPIError | OSError) -> bool:
    if isinstance(error, OSError) or error.connection_invalidated:
        return True
    return str(getattr(error.orig, "sqlstate", None) or "").startswith(_AWAY)


def _root(error: BaseException) -> str:
    cause = error.orig if isinstance(error, DBAPIError) and error.orig else error
    return str(cause).splitlines()[0] if str(cause) else type(cause).__name__


def _shown(url: str) -> str:
    return make_url(url).render_as_string(hide_password=True)


def _bad_url(url: str) -> InvalidArgumentError:
    return InvalidArgumentError(
        "database_url",
        "the database URL must be sqlite+aiosqlite:///PATH or postgresql+asyncpg://USER:PASSWORD@HOST/DATABASE,"
        f" not of the kind {url.split(':', 1)[0]!r}",
    )

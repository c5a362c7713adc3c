"""Pytest fixtures for real parts; a ``conftest.py`` imports the ones it wants."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import pytest_asyncio
from autoisp_runtime.database import Database
from autoisp_runtime.jetstream import NatsConnection, ensure_topology

from autoisp_testing.nats import NatsServer
from autoisp_testing.postgres import PostgresServer, postgres_server


@pytest.fixture
def nats_server(tmp_path: Path) -> Iterator[NatsServer]:
    """A nats-server of one's own, empty."""
    with NatsServer(tmp_path / "nats") as server:
        yield server


@pytest_asyncio.fixture
async def nats_connection(nats_server: NatsServer) -> AsyncIterator[NatsConnection]:
    """A connection with the topology made; messages come again after 1.5 s of silence."""
    connection = await NatsConnection.open(nats_server.url)
    await ensure_topology(connection.js, ack_wait_s=1.5)
    yield connection
    await connection.close()


@pytest.fixture(scope="session")
def postgres(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PostgresServer]:
    """One PostgreSQL for the whole run."""
    with postgres_server(tmp_path_factory.mktemp("postgres")) as server:
        yield server


@pytest.fixture(params=["sqlite", "postgresql"])
def database_url(request: pytest.FixtureRequest, tmp_path: Path) -> str:
    """The URL of an empty database, once per kind: for contract tests."""
    if request.param == "sqlite":
        return f"sqlite+aiosqlite:///{tmp_path / 'test.db'}"
    server: PostgresServer = request.getfixturevalue("postgres")
    return server.new_database()


@pytest_asyncio.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """An open, empty database, once per kind."""
    opened = Database(database_url, "testing")
    yield opened
    await opened.close()

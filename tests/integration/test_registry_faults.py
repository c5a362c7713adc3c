"""A database that goes away, a disk that fills: clear errors, nothing half-registered, the log intact."""

from __future__ import annotations

import asyncio
import resource
from pathlib import Path

import grpc
import pytest
from autoisp.registry.v1 import registry_pb2
from autoisp_core.errors import ErrorCode
from autoisp_testing.nats import NatsServer
from autoisp_testing.postgres import postgres_server
from evaluation_calls import refused, until
from registry_calls import network, running_registry


async def test_a_database_that_was_killed_comes_back(tmp_path: Path, nats_server: NatsServer) -> None:
    (tmp_path / "pg").mkdir()
    with postgres_server(tmp_path / "pg") as postgres:
        url = postgres.new_database()
        async with running_registry(tmp_path, nats_server.url, database_url=url) as registry:
            await registry.register()
            postgres.kill()
            for call in (
                registry.stub.GetModel(registry_pb2.GetModelRequest(name="models/m")),
                registry.stub.RegisterModelVersion(
                    registry_pb2.RegisterModelVersionRequest(
                        parent="models/m",
                        model_version=registry_pb2.ModelVersion(onnx=network(registry.store)),
                    )
                ),
                registry.stub.VerifyAuditLog(registry_pb2.VerifyAuditLogRequest()),
            ):
                assert (await refused(call)).code is ErrorCode.UNAVAILABLE
            await asyncio.to_thread(postgres.start)

            async def back() -> bool:
                try:
                    return bool(await registry.version("models/m/versions/1"))
                except grpc.aio.AioRpcError as error:
                    if error.code() is not grpc.StatusCode.UNAVAILABLE:
                        raise
                    return False

            await until(back)
            assert (await registry.register()).name == "models/m/versions/2"
            assert await registry.actions() == ["version.register", "version.register"]


@pytest.mark.parametrize("room", [0, 12_000])
async def test_a_disk_that_fills_leaves_nothing_half_registered(
    tmp_path: Path, nats_server: NatsServer, room: int
) -> None:
    async with running_registry(tmp_path, nats_server.url, convert=False) as registry:
        await registry.register("models/other")
        # No file can grow past this, as on a disk that is full; the log and the files so far are smaller.
        limit = registry.process._log_path.stat().st_size + 4_000 + room
        unlimited = resource.RLIM_INFINITY
        onnx = network(registry.store)
        request = registry_pb2.RegisterModelVersionRequest(
            parent="models/m", model_version=registry_pb2.ModelVersion(onnx=onnx), request_id="r"
        )
        resource.prlimit(registry.process.pid, resource.RLIMIT_FSIZE, (limit, unlimited))
        error = await refused(registry.stub.RegisterModelVersion(request))
        assert error.code in (ErrorCode.RESOURCE_EXHAUSTED, ErrorCode.UNAVAILABLE)
        resource.prlimit(registry.process.pid, resource.RLIMIT_FSIZE, (unlimited, unlimited))
        missing = await refused(registry.stub.GetModel(registry_pb2.GetModelRequest(name="models/m")))
        assert missing.code is ErrorCode.NOT_FOUND
        assert await registry.actions() == ["version.register"]
        version = await registry.stub.RegisterModelVersion(request)
        assert version.name == "models/m/versions/1"
        assert await registry.actions() == ["version.register", "version.register"]

"""The registry as a process, and what tests ask of it."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path

import grpc
from autoisp.common.v1 import common_pb2
from autoisp.registry.v1 import registry_pb2, registry_pb2_grpc
from autoisp_runtime.artifacts import ArtifactStore
from autoisp_testing.graphs import root_of
from autoisp_testing.processes import ServiceProcess
from evaluation_calls import ACK_WAIT_S, put_bytes, store_in

Stub = registry_pb2_grpc.RegistryServiceStub

_factors = count(2)


def network(store: ArtifactStore) -> common_pb2.Artifact:
    """A small network that no other test has."""
    return put_bytes(store, root_of(next(_factors)))


@dataclass
class Registry:
    """A running registry: its process, its interface, and its artifact store."""

    process: ServiceProcess
    stub: Stub
    store: ArtifactStore

    async def register(
        self, model: str = "models/m", request_id: str = "", **fields: object
    ) -> registry_pb2.ModelVersion:
        """Register a network that no version has."""
        version = registry_pb2.ModelVersion(**{"onnx": network(self.store), **fields})  # type: ignore[arg-type]
        return await self.stub.RegisterModelVersion(
            registry_pb2.RegisterModelVersionRequest(
                parent=model, model_version=version, request_id=request_id
            ),
            metadata=(("autoisp-actor", "ann"),),
            timeout=30,
        )

    async def version(self, name: str) -> registry_pb2.ModelVersion:
        """A version by name."""
        return await self.stub.GetModelVersion(registry_pb2.GetModelVersionRequest(name=name), timeout=30)

    async def actions(self) -> list[str]:
        """What the audit log says was done; it is intact."""
        verified = await self.stub.VerifyAuditLog(registry_pb2.VerifyAuditLogRequest(), timeout=30)
        assert verified.intact, verified.problem
        listed = await self.stub.ListAuditEntries(
            registry_pb2.ListAuditEntriesRequest(page_size=1000), timeout=30
        )
        assert verified.entries == len(listed.audit_entries)
        return [f"({e.action})" if e.refused else e.action for e in listed.audit_entries]


@asynccontextmanager
async def running_registry(folder: Path, nats_url: str, **settings: object) -> AsyncIterator[Registry]:
    """A registry over a folder, which is stopped at the end."""
    settings = {"nats_url": nats_url, "ack_wait_seconds": ACK_WAIT_S, **settings}
    with ServiceProcess("autoisp_registry", folder, **settings) as process:
        async with grpc.aio.insecure_channel(process.address) as channel:
            yield Registry(process, Stub(channel), store_in(folder))

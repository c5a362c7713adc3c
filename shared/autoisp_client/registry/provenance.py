"""What the clients offer about where versions came from, and who vouches for them."""

from __future__ import annotations

from autoisp.registry.v1 import registry_pb2 as wire
from autoisp.registry.v1 import registry_pb2_grpc

from autoisp_client.aio_connection import AsyncConnection
from autoisp_client.connection import Connection


class ProvenanceCalls:
    """The part of :class:`autoisp_client.Client` about lineage, cards and signing keys."""

    _registry: Connection
    _registry_stub: registry_pb2_grpc.RegistryServiceStub

    def get_lineage(self, name: str) -> wire.LineageGraph:
        """What ``models/{m}/versions/{v}`` was made from and what was made from it, as a graph."""
        return self._registry.unary(self._registry_stub.GetLineage, wire.GetLineageRequest(name=name))

    def get_model_card(self, name: str) -> wire.ModelCard:
        """The card of ``models/{m}/versions/{v}``, for people, as Markdown."""
        return self._registry.unary(self._registry_stub.GetModelCard, wire.GetModelCardRequest(name=name))

    def list_signing_keys(self) -> list[wire.SigningKey]:
        """Public keys whose signatures of manifests are good."""
        request = wire.ListSigningKeysRequest()
        return list(self._registry.unary(self._registry_stub.ListSigningKeys, request).keys)


class AsyncProvenanceCalls:
    """The part of :class:`autoisp_client.AsyncClient` about lineage, cards and signing keys."""

    _registry: AsyncConnection
    _registry_stub: registry_pb2_grpc.RegistryServiceAsyncStub

    async def get_lineage(self, name: str) -> wire.LineageGraph:
        """What ``models/{m}/versions/{v}`` was made from and what was made from it, as a graph."""
        return await self._registry.unary(self._registry_stub.GetLineage, wire.GetLineageRequest(name=name))

    async def get_model_card(self, name: str) -> wire.ModelCard:
        """The card of ``models/{m}/versions/{v}``, for people, as Markdown."""
        request = wire.GetModelCardRequest(name=name)
        return await self._registry.unary(self._registry_stub.GetModelCard, request)

    async def list_signing_keys(self) -> list[wire.SigningKey]:
        """Public keys whose signatures of manifests are good."""
        request = wire.ListSigningKeysRequest()
        return list((await self._registry.unary(self._registry_stub.ListSigningKeys, request)).keys)

"""What the clients offer about models."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

from autoisp.registry.v1 import registry_pb2 as wire
from autoisp.registry.v1 import registry_pb2_grpc

from autoisp_client.aio_connection import AsyncConnection
from autoisp_client.connection import Connection
from autoisp_client.registry import messages
from autoisp_client.registry.messages import Tags


class ModelCalls:
    """The part of :class:`autoisp_client.Client` about models."""

    _registry: Connection
    _registry_stub: registry_pb2_grpc.RegistryServiceStub

    def get_model(self, name: str) -> wire.Model:
        """The model ``models/{m}``."""
        return self._registry.unary(self._registry_stub.GetModel, wire.GetModelRequest(name=name))

    def list_models(
        self, *, filter: str = "", order_by: str = "", show_deleted: bool = False, page_size: int = 0
    ) -> Iterator[wire.Model]:
        """All models, or those that the text ``filter`` lets through.

        Args:
            filter: such as ``tags.sensor = "phone" AND night``; words are looked for in names,
                descriptions and tags.
            order_by: ``name``, ``create_time`` or ``update_time``, with `` desc`` after it; empty: oldest
                first.

        Raises:
            InvalidArgumentError: field ``filter`` or ``order_by``, with the place in the text.
        """
        request = messages.model_list(filter, order_by, show_deleted, page_size)
        return self._registry.pages(self._registry_stub.ListModels, request, lambda page: page.models)

    def update_model(
        self,
        name: str,
        *,
        display_name: str | None = None,
        description: str | None = None,
        tags: Tags = {},  # noqa: B006 - only read
        promotion_gate: str | None = None,
        etag: str = "",
    ) -> wire.Model:
        """Changes what is not None.

        Args:
            tags: those to set; the value None removes one, and those not named stay.
            promotion_gate: TOML that :meth:`promote` checks if it is told nothing else.
            etag: if given, only if nobody was faster.
        """
        request = messages.model_change(name, display_name, description, tags, promotion_gate, etag)
        # Repeated with an etag, a call that had succeeded unheard would fail. So everywhere.
        return self._registry.unary(self._registry_stub.UpdateModel, request, repeat=not etag)

    def delete_model(self, name: str, *, etag: str = "") -> wire.Model:
        """Hides a model with its versions until its ``purge_time``; refused while a channel serves it."""
        request = wire.DeleteModelRequest(name=name, etag=etag)
        return self._registry.unary(self._registry_stub.DeleteModel, request, repeat=not etag)

    def undelete_model(self, name: str) -> wire.Model:
        """Brings back a deleted model."""
        return self._registry.unary(self._registry_stub.UndeleteModel, wire.UndeleteModelRequest(name=name))

    def set_alias(self, model: str, alias: str, version: int, *, etag: str = "") -> wire.Model:
        """Points a free name such as ``night`` at a version; ``champion`` moves by :meth:`promote` only."""
        request = wire.SetAliasRequest(model=model, alias=alias, version=version, etag=etag)
        return self._registry.unary(self._registry_stub.SetAlias, request, repeat=not etag)

    def delete_alias(self, model: str, alias: str, *, etag: str = "") -> wire.Model:
        """Takes a free name away."""
        request = wire.DeleteAliasRequest(model=model, alias=alias, etag=etag)
        return self._registry.unary(self._registry_stub.DeleteAlias, request, repeat=not etag)


class AsyncModelCalls:
    """The part of :class:`autoisp_client.AsyncClient` about models."""

    _registry: AsyncConnection
    _registry_stub: registry_pb2_grpc.RegistryServiceAsyncStub

    async def get_model(self, name: str) -> wire.Model:
        """The model ``models/{m}``."""
        return await self._registry.unary(self._registry_stub.GetModel, wire.GetModelRequest(name=name))

    def list_models(
        self, *, filter: str = "", order_by: str = "", show_deleted: bool = False, page_size: int = 0
    ) -> AsyncIterator[wire.Model]:
        """As :meth:`autoisp_client.Client.list_models`."""
        request = messages.model_list(filter, order_by, show_deleted, page_size)
        return self._registry.pages(self._registry_stub.ListModels, request, lambda page: page.models)

    async def update_model(
        self,
        name: str,
        *,
        display_name: str | None = None,
        description: str | None = None,
        tags: Tags = {},  # noqa: B006 - only read
        promotion_gate: str | None = None,
        etag: str = "",
    ) -> wire.Model:
        """As :meth:`autoisp_client.Client.update_model`."""
        request = messages.model_change(name, display_name, description, tags, promotion_gate, etag)
        return await self._registry.unary(self._registry_stub.UpdateModel, request, repeat=not etag)

    async def delete_model(self, name: str, *, etag: str = "") -> wire.Model:
        """As :meth:`autoisp_client.Client.delete_model`."""
        request = wire.DeleteModelRequest(name=name, etag=etag)
        return await self._registry.unary(self._registry_stub.DeleteModel, request, repeat=not etag)

    async def undelete_model(self, name: str) -> wire.Model:
        """Brings back a deleted model."""
        request = wire.UndeleteModelRequest(name=name)
        return await self._registry.unary(self._registry_stub.UndeleteModel, request)

    async def set_alias(self, model: str, alias: str, version: int, *, etag: str = "") -> wire.Model:
        """As :meth:`autoisp_client.Client.set_alias`."""
        request = wire.SetAliasRequest(model=model, alias=alias, version=version, etag=etag)
        return await self._registry.unary(self._registry_stub.SetAlias, request, repeat=not etag)

    async def delete_alias(self, model: str, alias: str, *, etag: str = "") -> wire.Model:
        """Takes a free name away."""
        request = wire.DeleteAliasRequest(model=model, alias=alias, etag=etag)
        return await self._registry.unary(self._registry_stub.DeleteAlias, request, repeat=not etag)

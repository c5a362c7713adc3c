"""What the clients offer about channels."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

from autoisp.registry.v1 import rollouts_pb2 as wire
from autoisp.registry.v1 import rollouts_pb2_grpc

from autoisp_client.aio_connection import AsyncConnection
from autoisp_client.connection import Connection
from autoisp_client.requests import request_id as request_id_of

EVERY_PRODUCT = "products/-"


class ChannelCalls:
    """The part of :class:`autoisp_client.Client` about channels."""

    _registry: Connection
    _rollout_stub: rollouts_pb2_grpc.RolloutServiceStub

    def create_channel(self, channel: wire.Channel, *, request_id: str = "") -> wire.Channel:
        """Makes a channel, with its ``name``, ``model``, ``version``, ``constraints`` and ``description``."""
        request = wire.CreateChannelRequest(channel=channel, request_id=request_id_of(request_id))
        return self._registry.unary(self._rollout_stub.CreateChannel, request)

    def get_channel(self, name: str) -> wire.Channel:
        """The channel ``products/{p}/channels/{c}``."""
        return self._registry.unary(self._rollout_stub.GetChannel, wire.GetChannelRequest(name=name))

    def list_channels(self, product: str = EVERY_PRODUCT, *, page_size: int = 0) -> Iterator[wire.Channel]:
        """All channels of ``products/{p}``, or of all products."""
        request = wire.ListChannelsRequest(parent=product, page_size=page_size)
        return self._registry.pages(self._rollout_stub.ListChannels, request, lambda page: page.channels)

    def delete_channel(self, name: str, *, etag: str = "") -> None:
        """Deletes a channel: devices that ask for it get NOT_FOUND."""
        request = wire.DeleteChannelRequest(name=name, etag=etag)
        self._registry.unary(self._rollout_stub.DeleteChannel, request, repeat=not etag)


class AsyncChannelCalls:
    """The part of :class:`autoisp_client.AsyncClient` about channels."""

    _registry: AsyncConnection
    _rollout_stub: rollouts_pb2_grpc.RolloutServiceAsyncStub

    async def create_channel(self, channel: wire.Channel, *, request_id: str = "") -> wire.Channel:
        """As :meth:`autoisp_client.Client.create_channel`."""
        request = wire.CreateChannelRequest(channel=channel, request_id=request_id_of(request_id))
        return await self._registry.unary(self._rollout_stub.CreateChannel, request)

    async def get_channel(self, name: str) -> wire.Channel:
        """The channel ``products/{p}/channels/{c}``."""
        return await self._registry.unary(self._rollout_stub.GetChannel, wire.GetChannelRequest(name=name))

    def list_channels(
        self, product: str = EVERY_PRODUCT, *, page_size: int = 0
    ) -> AsyncIterator[wire.Channel]:
        """All channels of ``products/{p}``, or of all products."""
        request = wire.ListChannelsRequest(parent=product, page_size=page_size)
        return self._registry.pages(self._rollout_stub.ListChannels, request, lambda page: page.channels)

    async def delete_channel(self, name: str, *, etag: str = "") -> None:
        """Deletes a channel: devices that ask for it get NOT_FOUND."""
        request = wire.DeleteChannelRequest(name=name, etag=etag)
        await self._registry.unary(self._rollout_stub.DeleteChannel, request, repeat=not etag)

"""What the clients offer for following the registry's changes."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

from autoisp.registry.v1 import registry_pb2 as wire
from autoisp.registry.v1 import registry_pb2_grpc

from autoisp_client.aio_connection import AsyncConnection
from autoisp_client.connection import Connection


class WatchingCalls:
    """The part of :class:`autoisp_client.Client` that follows changes."""

    _registry: Connection
    _registry_stub: registry_pb2_grpc.RegistryServiceStub

    def watch_models(self, model: str = "", *, after_sequence: int = 0) -> Iterator[wire.WatchModelsResponse]:
        """A snapshot of the models, ``synced_sequence``, then every change as it is made, without an end.

        After a break it goes on where it was: no change is told twice or left out. One that comes before the
        snapshot is complete begins the snapshot again.

        Args:
            model: only ``models/{m}``; empty: all, and channels too.
            after_sequence: go on after this entry of the audit log, without a snapshot.

        Raises:
            UnavailableError: nobody answers for longer than the client's patience.
        """
        request = wire.WatchModelsRequest(model=model, after_sequence=after_sequence)
        follower = Follower(request)
        for message in self._registry.watch(self._registry_stub.WatchModels, request, lambda _: False):
            if follower.is_new(message):
                yield message


class AsyncWatchingCalls:
    """The part of :class:`autoisp_client.AsyncClient` that follows changes."""

    _registry: AsyncConnection
    _registry_stub: registry_pb2_grpc.RegistryServiceAsyncStub

    async def watch_models(
        self, model: str = "", *, after_sequence: int = 0
    ) -> AsyncIterator[wire.WatchModelsResponse]:
        """As :meth:`autoisp_client.Client.watch_models`."""
        request = wire.WatchModelsRequest(model=model, after_sequence=after_sequence)
        follower = Follower(request)
        async for message in self._registry.watch(self._registry_stub.WatchModels, request, lambda _: False):
            if follower.is_new(message):
                yield message


class Follower:
    """Keeps how far a watch is in its request, with which it is opened again after a break."""

    def __init__(self, request: wire.WatchModelsRequest) -> None:
        self._request = request
        self._synced = False

    def is_new(self, message: wire.WatchModelsResponse) -> bool:
        """Takes note of a message; whether the caller is to see it."""
        match message.WhichOneof("payload"):
            case "synced_sequence":
                new, self._synced = not self._synced, True
                self._request.after_sequence = max(self._request.after_sequence, message.synced_sequence)
            case "change":
                new = message.change.entry.sequence > self._request.after_sequence
                self._request.after_sequence = max(
                    self._request.after_sequence, message.change.entry.sequence
                )
            case _:
                new = True
        return new

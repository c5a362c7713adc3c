"""What the clients offer to those who keep the services running."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator

from autoisp.operations.v1 import operations_pb2 as wire
from autoisp.operations.v1 import operations_pb2_grpc
from autoisp_core.errors import InvalidArgumentError
from grpc_health.v1 import health_pb2, health_pb2_grpc

from autoisp_client import requests
from autoisp_client.aio_connection import AsyncConnection
from autoisp_client.connection import Connection

SERVICES = ("ingest", "search", "evaluation", "registry", "live")
"""What has an address and a status, see :class:`autoisp_client.Endpoints`."""

_DEADLINE_S = 5.0


class OperationsCalls:
    """The part of :class:`autoisp_client.Client` about the services themselves.

    Dead letters are asked of the registry, which knows who asks; every service has the same ones.
    """

    _ingest: Connection
    _search: Connection
    _evaluation: Connection
    _registry: Connection
    _live: Connection

    def get_status(self, service: str, *, own_only: bool = False) -> wire.ServiceStatus:
        """How ``service`` is, and what it sees of the broker and of all processes unless ``own_only``.

        Raises:
            InvalidArgumentError: there is no such service.
            UnavailableError: it does not answer.
        """
        connection: Connection = getattr(self, _attribute(service))
        stub = operations_pb2_grpc.OperationsServiceStub(connection.channel)
        request = wire.GetStatusRequest(own_only=own_only)
        return connection.unary(stub.GetStatus, request, repeat=False, deadline=_DEADLINE_S)

    def is_serving(self, service: str) -> bool:
        """Whether ``service`` says that it can work: its gRPC health.

        Raises:
            InvalidArgumentError, UnavailableError: as :meth:`get_status`.
        """
        connection: Connection = getattr(self, _attribute(service))
        stub = health_pb2_grpc.HealthStub(connection.channel)
        request = health_pb2.HealthCheckRequest()
        answer = connection.unary(stub.Check, request, repeat=False, deadline=_DEADLINE_S)
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)

    def list_dead_letters(self, *, consumer: str = "", page_size: int = 0) -> Iterator[wire.DeadLetter]:
        """What nobody could handle, oldest first, without payloads; of one consumer, or of all."""
        request = wire.ListDeadLettersRequest(consumer=consumer, page_size=page_size)
        stub = operations_pb2_grpc.OperationsServiceStub(self._registry.channel)
        return self._registry.pages(stub.ListDeadLetters, request, lambda page: page.dead_letters)

    def get_dead_letter(self, name: str) -> wire.DeadLetter:
        """The dead letter ``deadLetters/{n}``, with its payload."""
        stub = operations_pb2_grpc.OperationsServiceStub(self._registry.channel)
        return self._registry.unary(stub.GetDeadLetter, wire.GetDeadLetterRequest(name=name))

    def replay_dead_letter(self, name: str, *, request_id: str = "") -> wire.DeadLetter:
        """Sends it again to where it came from, under a new id."""
        stub = operations_pb2_grpc.OperationsServiceStub(self._registry.channel)
        request = wire.ReplayDeadLetterRequest(name=name, request_id=requests.request_id(request_id))
        return self._registry.unary(stub.ReplayDeadLetter, request)

    def drop_dead_letter(self, name: str) -> None:
        """Deletes it for good."""
        stub = operations_pb2_grpc.OperationsServiceStub(self._registry.channel)
        self._registry.unary(stub.DropDeadLetter, wire.DropDeadLetterRequest(name=name), repeat=False)


class AsyncOperationsCalls:
    """As :class:`OperationsCalls`, to be awaited."""

    _ingest: AsyncConnection
    _search: AsyncConnection
    _evaluation: AsyncConnection
    _registry: AsyncConnection
    _live: AsyncConnection

    async def get_status(self, service: str, *, own_only: bool = False) -> wire.ServiceStatus:
        """As :meth:`OperationsCalls.get_status`."""
        connection: AsyncConnection = getattr(self, _attribute(service))
        stub = operations_pb2_grpc.OperationsServiceStub(connection.channel)
        request = wire.GetStatusRequest(own_only=own_only)
        return await connection.unary(stub.GetStatus, request, repeat=False, deadline=_DEADLINE_S)

    async def is_serving(self, service: str) -> bool:
        """As :meth:`OperationsCalls.is_serving`."""
        connection: AsyncConnection = getattr(self, _attribute(service))
        stub = health_pb2_grpc.HealthStub(connection.channel)
        request = health_pb2.HealthCheckRequest()
        answer = await connection.unary(stub.Check, request, repeat=False, deadline=_DEADLINE_S)
        return bool(answer.status == health_pb2.HealthCheckResponse.SERVING)

    def list_dead_letters(self, *, consumer: str = "", page_size: int = 0) -> AsyncIterator[wire.DeadLetter]:
        """As :meth:`OperationsCalls.list_dead_letters`."""
        request = wire.ListDeadLettersRequest(consumer=consumer, page_size=page_size)
        stub = operations_pb2_grpc.OperationsServiceStub(self._registry.channel)
        return self._registry.pages(stub.ListDeadLetters, request, lambda page: page.dead_letters)

    async def get_dead_letter(self, name: str) -> wire.DeadLetter:
        """As :meth:`OperationsCalls.get_dead_letter`."""
        stub = operations_pb2_grpc.OperationsServiceStub(self._registry.channel)
        return await self._registry.unary(stub.GetDeadLetter, wire.GetDeadLetterRequest(name=name))

    async def replay_dead_letter(self, name: str, *, request_id: str = "") -> wire.DeadLetter:
        """As :meth:`OperationsCalls.replay_dead_letter`."""
        stub = operations_pb2_grpc.OperationsServiceStub(self._registry.channel)
        request = wire.ReplayDeadLetterRequest(name=name, request_id=requests.request_id(request_id))
        return await self._registry.unary(stub.ReplayDeadLetter, request)

    async def drop_dead_letter(self, name: str) -> None:
        """As :meth:`OperationsCalls.drop_dead_letter`."""
        stub = operations_pb2_grpc.OperationsServiceStub(self._registry.channel)
        await self._registry.unary(stub.DropDeadLetter, wire.DropDeadLetterRequest(name=name), repeat=False)


def _attribute(service: str) -> str:
    if service not in SERVICES:
        raise InvalidArgumentError("service", f"{service!r} is none of {', '.join(SERVICES)}")
    return f"_{service}"

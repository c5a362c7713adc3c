"""The gRPC servicer: decode, do, encode."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

from autoisp.operations.v1 import operations_pb2, operations_pb2_grpc
from autoisp_core.errors import AutoISPError, InvalidArgumentError, UnavailableError
from autoisp_core.pagination import PageRequest
from google.protobuf.empty_pb2 import Empty

from autoisp_runtime.actor import actor_of
from autoisp_runtime.jetstream import NatsConnection
from autoisp_runtime.operations import broker, processes
from autoisp_runtime.operations.dead_letters import DeadLetters
from autoisp_runtime.operations.health import OutboxHealth, ProcessHealth
from autoisp_runtime.operations.wire import broker_to, dead_letter_to, sequence_from

_MOST_REQUEST_ID_CHARS = 128
_OUTBOX_S = 2.0


class OperationsServicer(operations_pb2_grpc.OperationsServiceServicer):
    """Implements ``autoisp.operations.v1.OperationsService``.

    Args:
        describe: this process, now.
    """

    def __init__(
        self,
        describe: Callable[[], operations_pb2.Process],
        health: ProcessHealth,
        nats: NatsConnection,
        letters: DeadLetters,
    ) -> None:
        self._describe = describe
        self._health = health
        self._nats = nats
        self._letters = letters

    async def GetStatus(  # noqa: N802
        self, request: operations_pb2.GetStatusRequest, context: Any
    ) -> operations_pb2.ServiceStatus:
        """A status is given whatever is away: that is when it is asked for."""
        own = self._describe()
        dependencies, outbox, seen = await asyncio.gather(
            self._health.dependencies(), self._outbox(), self._seen(request)
        )
        status = operations_pb2.ServiceStatus(
            service=own.service,
            instance=own.instance,
            version=own.version,
            start_time=own.start_time,
            dependencies=[
                operations_pb2.Dependency(name=each.name, ok=not each.error, error=each.error)
                for each in dependencies
            ],
        )
        if outbox is not None:
            status.outbox.messages, status.outbox.oldest_age_seconds = outbox.messages, outbox.oldest_age_s
        status.MergeFrom(seen)
        return status

    async def ListDeadLetters(  # noqa: N802
        self, request: operations_pb2.ListDeadLettersRequest, context: Any
    ) -> operations_pb2.ListDeadLettersResponse:
        """One page."""
        asked = PageRequest.parse(request.page_size, request.page_token, query=request.consumer)
        page = await self._letters.page(asked, request.consumer)
        return operations_pb2.ListDeadLettersResponse(
            dead_letters=[dead_letter_to(letter, whole=False) for letter in page.items],
            next_page_token=page.next_page_token,
        )

    async def GetDeadLetter(  # noqa: N802
        self, request: operations_pb2.GetDeadLetterRequest, context: Any
    ) -> operations_pb2.DeadLetter:
        """With its payload."""
        return dead_letter_to(await self._letters.get(sequence_from(request.name)))

    async def ReplayDeadLetter(  # noqa: N802
        self, request: operations_pb2.ReplayDeadLetterRequest, context: Any
    ) -> operations_pb2.DeadLetter:
        """As it is afterwards."""
        if len(request.request_id) > _MOST_REQUEST_ID_CHARS:
            raise InvalidArgumentError(
                "request_id", f"request_id has more than {_MOST_REQUEST_ID_CHARS} characters; a UUID will do"
            )
        letter = await self._letters.replay(
            sequence_from(request.name), actor_of(context), request.request_id
        )
        return dead_letter_to(letter, whole=False)

    async def DropDeadLetter(  # noqa: N802
        self, request: operations_pb2.DropDeadLetterRequest, context: Any
    ) -> Empty:
        """For good."""
        await self._letters.drop(sequence_from(request.name), actor_of(context))
        return Empty()

    async def _outbox(self) -> OutboxHealth | None:
        try:
            async with asyncio.timeout(_OUTBOX_S):
                return await self._health.outbox()
        except (AutoISPError, TimeoutError):  # the dependencies say that the database is away
            return None

    async def _seen(self, request: operations_pb2.GetStatusRequest) -> operations_pb2.ServiceStatus:
        """What all services see alike."""
        status = operations_pb2.ServiceStatus()
        if request.own_only:
            return status
        view, found = await asyncio.gather(
            broker.look(self._nats), processes.ask(self._nats), return_exceptions=True
        )
        if isinstance(view, broker.BrokerView):
            status.broker.CopyFrom(broker_to(view))
        if isinstance(found, list):
            status.processes.extend(found)
        if isinstance(view, UnavailableError):
            status.broker_error = view.message
        for failure in (view, found):
            if isinstance(failure, BaseException) and not isinstance(failure, UnavailableError):
                raise failure
        return status

"""A server with one method of each kind, protected as a test wants."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import grpc
from autoisp_runtime.actor import actor_of
from autoisp_runtime.grpc_server import GrpcServer
from autoisp_runtime.security import SecurityConfig, security_of
from google.protobuf.wrappers_pb2 import StringValue

SERVICE = "autoisp.testing.v1.EchoService"
KINDS = ("unary_unary", "unary_stream", "stream_unary", "stream_stream")
VERBS = {"Get": "read", "Create": "write", "Delete": "admin"}


class Echo:
    """Says who calls."""

    async def unary(self, request: Any, context: Any) -> StringValue:
        if hasattr(request, "__aiter__"):
            async for _ in request:
                pass
        return StringValue(value=actor_of(context))

    async def stream(self, request: Any, context: Any) -> AsyncIterator[StringValue]:
        while True:
            yield StringValue(value=actor_of(context))


def register(servicer: Echo, server: Any) -> None:
    """``Get…``, ``Create…`` and ``Delete…`` of each kind, and a method without a scope."""

    def handler(kind: str) -> Any:
        return getattr(grpc, f"{kind}_rpc_method_handler")(
            servicer.stream if kind.endswith("_stream") else servicer.unary,
            request_deserializer=StringValue.FromString,
            response_serializer=StringValue.SerializeToString,
        )

    handlers = {f"{verb}{kind.title()}": handler(kind) for verb in VERBS for kind in KINDS}
    handlers["Frobnicate"] = handler("unary_unary")
    server.add_registered_method_handlers(SERVICE, handlers)


@asynccontextmanager
async def serving(**settings: Any) -> AsyncIterator[str]:
    """The address of a server with these settings of :class:`SecurityConfig`."""
    config = SecurityConfig(**settings)
    server = GrpcServer("127.0.0.1:0", security_of(config, "127.0.0.1:0"))
    server.add(register, Echo())
    await server.start()
    try:
        yield f"127.0.0.1:{server.port}"
    finally:
        await server.stop(0)


async def call(
    channel: grpc.aio.Channel, method: str, kind: str = "unary_unary", text: str = "", **options: Any
) -> str:
    """The first answer."""
    made = getattr(channel, kind)(
        f"/{SERVICE}/{method}",
        request_serializer=StringValue.SerializeToString,
        response_deserializer=StringValue.FromString,
    )
    request = StringValue(value=text)
    answer = made(iter([request]) if kind.startswith("stream_") else request, timeout=10, **options)
    if not kind.endswith("_stream"):
        return (await answer).value
    first = await anext(aiter(answer))
    answer.cancel()
    return first.value

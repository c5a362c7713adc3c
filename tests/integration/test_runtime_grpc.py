"""A real server and real clients: every error class over every kind of call, health, reflection."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator
from typing import Any

import grpc
import prometheus_client
import pytest
import pytest_asyncio
from autoisp_client.errors import from_rpc_error
from autoisp_core.errors import (
    AlreadyExistsError,
    AutoISPError,
    InternalError,
    InvalidArgumentError,
    NotFoundError,
    UnavailableError,
    error_classes,
)
from autoisp_runtime.grpc_server import GrpcServer
from autoisp_runtime.logging import configure_logging
from autoisp_runtime.tracing import current_traceparent
from google.protobuf.wrappers_pb2 import StringValue
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import ProtoReflectionDescriptorDatabase

SERVICE = "autoisp.testing.v1.EchoService"
KINDS = ["unary_unary", "unary_stream", "stream_unary", "stream_stream"]
SECRET = "password=hunter2"


def raised_for(what: str) -> Exception:
    by_name = {cls.__name__: cls for cls in error_classes()}
    if what not in by_name:
        return RuntimeError(SECRET)
    cls = by_name[what]
    if cls in (InvalidArgumentError, NotFoundError, AlreadyExistsError):
        return cls("some/thing", "what is wrong: größe; the fix", metadata={"more": "ü"})  # type: ignore[call-arg]
    return cls("what is wrong: größe; the fix", metadata={"more": "ü"})


class Echo:
    """Echoes, or fails with what it is asked to fail with, after an answer if it streams."""

    async def unary(self, request: Any, context: Any) -> StringValue:
        if hasattr(request, "__aiter__"):
            request = [r async for r in request][-1]
        if request.value == "trace":
            return StringValue(value=current_traceparent() or "")
        if request.value == "wait":
            await asyncio.sleep(30)
        if request.value == "fail slowly":
            await asyncio.sleep(0.2)
            raise UnavailableError("the database is away")
        if request.value == "abort":
            await context.abort(grpc.StatusCode.DATA_LOSS, "by hand")
        if request.value.startswith("raise "):
            raise raised_for(request.value.removeprefix("raise "))
        return StringValue(value=request.value)

    async def stream(self, request: Any, context: Any) -> AsyncIterator[StringValue]:
        yield StringValue(value="first")
        yield await self.unary(request, context)


def register(servicer: Echo, server: Any) -> None:
    def handler(kind: str) -> Any:
        behaviour = servicer.stream if kind.endswith("_stream") else servicer.unary
        factory = getattr(grpc, f"{kind}_rpc_method_handler")
        return factory(
            behaviour,
            request_deserializer=StringValue.FromString,
            response_serializer=StringValue.SerializeToString,
        )

    handlers = {kind: handler(kind) for kind in KINDS}
    server.add_generic_rpc_handlers((grpc.method_handlers_generic_handler(SERVICE, handlers),))
    server.add_registered_method_handlers(SERVICE, handlers)


async def healthy() -> None:
    pass


@pytest_asyncio.fixture
async def server() -> AsyncIterator[GrpcServer]:
    server = GrpcServer("127.0.0.1:0")
    server.add(register, Echo())
    await server.start()
    await server.check_dependencies({"nothing": healthy})
    yield server
    await server.stop(0)


@pytest_asyncio.fixture
async def channel(server: GrpcServer) -> AsyncIterator[grpc.aio.Channel]:
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        yield channel


def stub(channel: Any, kind: str) -> Any:
    return getattr(channel, kind)(
        f"/{SERVICE}/{kind}",
        request_serializer=StringValue.SerializeToString,
        response_deserializer=StringValue.FromString,
    )


async def call(channel: grpc.aio.Channel, kind: str, text: str, **options: Any) -> list[str]:
    request = StringValue(value=text)
    sent = iter([request]) if kind.startswith("stream_") else request
    answer = stub(channel, kind)(sent, **options)
    if kind.endswith("_stream"):
        return [response.value async for response in answer]
    return [(await answer).value]


def call_blocking(port: int, kind: str, text: str) -> list[str]:
    with grpc.insecure_channel(f"127.0.0.1:{port}") as channel:
        request = StringValue(value=text)
        sent = iter([request]) if kind.startswith("stream_") else request
        answer = stub(channel, kind)(sent)
        return [r.value for r in answer] if kind.endswith("_stream") else [answer.value]


@pytest.mark.parametrize("kind", KINDS)
async def test_good_calls_pass(channel: grpc.aio.Channel, kind: str) -> None:
    assert (await call(channel, kind, "hello"))[-1] == "hello"


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("cls", error_classes())
async def test_every_error_arrives_as_itself(
    server: GrpcServer, channel: grpc.aio.Channel, kind: str, cls: type[AutoISPError]
) -> None:
    original = raised_for(cls.__name__)
    assert isinstance(original, AutoISPError)
    with pytest.raises(grpc.RpcError) as asynchronous:
        await call(channel, kind, f"raise {cls.__name__}")
    with pytest.raises(grpc.RpcError) as blocking:
        await asyncio.to_thread(call_blocking, server.port, kind, f"raise {cls.__name__}")
    for caught in (asynchronous.value, blocking.value):
        error = from_rpc_error(caught)
        assert type(error) is cls
        assert (str(error), error.reason, error.metadata) == (
            str(original),
            original.reason,
            original.metadata,
        )


@pytest.mark.parametrize("kind", KINDS)
async def test_unknown_exceptions_are_internal_and_leak_nothing(
    channel: grpc.aio.Channel, kind: str, caplog: pytest.LogCaptureFixture
) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        await call(channel, kind, "raise Unexpected")
    error = from_rpc_error(caught.value)
    assert type(error) is InternalError
    assert SECRET not in str(caught.value)
    assert error.metadata["error_id"] in str(error)


@pytest.mark.parametrize("char", ["x", "ä", "象"])
async def test_a_very_long_message_still_arrives(char: str) -> None:
    async def long(request: Any, context: Any) -> StringValue:
        raise InvalidArgumentError(
            "clip", char * 100_000, metadata={f"key{i}": "x" * 10_000 for i in range(50)}
        )

    second = GrpcServer("127.0.0.1:0")
    echo = Echo()
    echo.unary = long  # type: ignore[method-assign]
    second.add(register, echo)
    await second.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{second.port}") as other:
        with pytest.raises(grpc.RpcError) as caught:
            await call(other, "unary_unary", "x")
    await second.stop(0)
    error = from_rpc_error(caught.value)
    assert isinstance(error, InvalidArgumentError)
    assert error.field == "clip"
    assert 100 < len(str(error)) < 2500


@pytest.mark.parametrize("kind", KINDS)
async def test_an_abort_by_hand_passes_through(channel: grpc.aio.Channel, kind: str) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        await call(channel, kind, "abort")
    assert (caught.value.code(), caught.value.details()) == (grpc.StatusCode.DATA_LOSS, "by hand")


@pytest.mark.parametrize("kind", KINDS)
async def test_a_cancelled_call_is_cancelled(channel: grpc.aio.Channel, kind: str) -> None:
    with pytest.raises(grpc.RpcError) as caught:
        await call(channel, kind, "wait", timeout=0.2)
    assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED


async def test_trace_context_arrives(channel: grpc.aio.Channel) -> None:
    traceparent = f"00-{'a' * 32}-{'b' * 16}-01"
    assert await call(channel, "unary_unary", "trace", metadata=(("traceparent", traceparent),)) == [
        traceparent
    ]
    assert await call(channel, "unary_unary", "trace", metadata=(("traceparent", "nonsense"),)) == [""]


async def test_a_dead_server_is_unavailable_without_origin() -> None:
    async with grpc.aio.insecure_channel("127.0.0.1:9") as channel:
        with pytest.raises(grpc.RpcError) as caught:
            await call(channel, "unary_unary", "x", timeout=5)
    error = from_rpc_error(caught.value)
    assert type(error) is UnavailableError
    assert error.metadata == {}


async def test_health_follows_the_dependencies(server: GrpcServer, channel: grpc.aio.Channel) -> None:
    async def broken() -> None:
        raise UnavailableError("the broker is gone")

    watch = health_pb2_grpc.HealthStub(channel).Watch(health_pb2.HealthCheckRequest(service=SERVICE))
    updates = watch.__aiter__()
    assert (await anext(updates)).status == health_pb2.HealthCheckResponse.SERVING
    await server.check_dependencies({"nats": broken})
    assert (await anext(updates)).status == health_pb2.HealthCheckResponse.NOT_SERVING
    await server.check_dependencies({"nats": healthy})
    assert (await anext(updates)).status == health_pb2.HealthCheckResponse.SERVING
    watch.cancel()


async def test_services_are_not_serving_before_the_first_check() -> None:
    server = GrpcServer("127.0.0.1:0")
    server.add(register, Echo())
    await server.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{server.port}") as channel:
        for service in ("", SERVICE):
            answer = await health_pb2_grpc.HealthStub(channel).Check(
                health_pb2.HealthCheckRequest(service=service)
            )
            assert answer.status == health_pb2.HealthCheckResponse.NOT_SERVING
    await server.stop(0)


async def test_reflection_lists_the_services(server: GrpcServer) -> None:
    def services() -> list[str]:
        with grpc.insecure_channel(f"127.0.0.1:{server.port}") as channel:
            return list(ProtoReflectionDescriptorDatabase(channel).get_services())

    found = await asyncio.to_thread(services)
    assert {SERVICE, "grpc.health.v1.Health", "grpc.reflection.v1alpha.ServerReflection"} <= set(found)


async def test_a_taken_port_is_refused(server: GrpcServer) -> None:
    second = GrpcServer(f"127.0.0.1:{server.port}")
    with pytest.raises(InvalidArgumentError) as caught:
        await second.start()
    assert caught.value.field == "listen"


async def test_every_call_is_one_json_line(
    server: GrpcServer, channel: grpc.aio.Channel, capsys: pytest.CaptureFixture[str]
) -> None:
    handlers, level = logging.getLogger().handlers[:], logging.getLogger().level
    try:
        configure_logging("testing", "json")
        await call(channel, "unary_unary", "x")
        with pytest.raises(grpc.RpcError):
            await call(channel, "stream_stream", "raise NotFoundError")
        logging.getLogger("some.library").warning("hello from %s", "elsewhere")
    finally:
        logging.getLogger().handlers[:] = handlers
        logging.getLogger().setLevel(level)
    lines = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    calls = [line for line in lines if line["event"] == "call"]
    assert [(c["method"].rsplit("/")[-1], c["code"]) for c in calls] == [
        ("unary_unary", "OK"),
        ("stream_stream", "NOT_FOUND"),
    ]
    assert all(c["service"] == "testing" and c["ms"] >= 0 for c in calls)
    assert lines[-1]["event"] == "hello from elsewhere"


@pytest.mark.parametrize("quiet", [True, False])
async def test_a_failed_call_took_as_long_as_it_did(quiet: bool) -> None:
    server = GrpcServer("127.0.0.1:0")
    server.add(register, Echo(), quiet=["unary_unary"] if quiet else [])
    labels = {"method": f"/{SERVICE}/unary_unary", "code": "UNAVAILABLE"}

    def measured() -> float:
        return prometheus_client.REGISTRY.get_sample_value("autoisp_rpc_duration_seconds_sum", labels) or 0.0

    before = measured()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{await server.start()}") as channel:
        with pytest.raises(grpc.RpcError):
            await call(channel, "unary_unary", "fail slowly")
    await server.stop(0)
    assert measured() - before >= 0.2

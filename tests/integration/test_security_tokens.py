"""Tokens, scopes, limits and the log of denials, with a real server and real clients."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import grpc
import prometheus_client
import pytest
from autoisp_client.access import Access
from autoisp_client.aio_connection import AsyncConnection
from autoisp_client.errors import from_rpc_error
from autoisp_core.errors import AutoISPError, ErrorCode, ResourceExhaustedError
from autoisp_runtime.logging import configure_logging
from autoisp_runtime.security import Scope, guard
from autoisp_runtime.security.denials import DenialLog
from autoisp_runtime.security.tokens import new_token
from google.rpc import error_details_pb2
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_status import rpc_status
from guarded_server import KINDS, SERVICE, VERBS, call, serving


@pytest.fixture
def secrets(tmp_path: Path) -> dict[str, str]:
    """A token of each scope, and an expired one, in ``tokens.toml``."""
    made = {scope.word: new_token(f"{scope.word}-token", scope) for scope in Scope}
    made["expired"] = new_token("old", Scope.ADMIN, datetime.now(UTC) - timedelta(seconds=1))
    (tmp_path / "tokens.toml").write_text("\n".join(token.to_toml() for _, token in made.values()))
    return {word: secret for word, (secret, _) in made.items()}


@pytest.fixture
def logged(caplog: pytest.LogCaptureFixture) -> Iterator[pytest.LogCaptureFixture]:
    """Logs as a service's, for one test."""
    handlers, level = logging.getLogger().handlers[:], logging.getLogger().level
    configure_logging("testing", "json")
    logging.getLogger().addHandler(caplog.handler)
    yield caplog
    logging.getLogger().handlers[:] = handlers
    logging.getLogger().setLevel(level)


def denials(caplog: pytest.LogCaptureFixture) -> list[dict[str, Any]]:
    """What has been logged of them so far."""
    fields = [record.msg for record in caplog.records if isinstance(record.msg, dict)]
    return [line for line in fields if line["event"] == "denied"]


async def refused(channel: grpc.aio.Channel, *arguments: Any, **options: Any) -> AutoISPError:
    with pytest.raises(grpc.RpcError) as caught:
        await call(channel, *arguments, **options)
    return from_rpc_error(caught.value)


@pytest.mark.parametrize("kind", KINDS)
async def test_a_scope_includes_those_before_it(tmp_path: Path, secrets: dict[str, str], kind: str) -> None:
    order = ["read", "write", "admin"]
    async with serving(tokens_file=tmp_path / "tokens.toml") as address:
        for held in order:
            channel = Access(token=secrets[held]).aio_channel(address)
            for verb, needed in VERBS.items():
                if order.index(held) >= order.index(needed):
                    claimed = (("autoisp-actor", "somebody else"),)
                    assert (
                        await call(channel, f"{verb}{kind.title()}", kind, metadata=claimed)
                        == f"{held}-token"
                    )
                    continue
                error = await refused(channel, f"{verb}{kind.title()}", kind)
                assert (error.code, error.reason) == (ErrorCode.PERMISSION_DENIED, "SCOPE_MISSING")
                assert error.metadata["scope"] == needed
                assert f"--scope {needed}" in error.message
            await channel.close()


@pytest.mark.parametrize("kind", KINDS)
async def test_without_a_good_token_nothing_goes(tmp_path: Path, secrets: dict[str, str], kind: str) -> None:
    cases = {
        "NO_TOKEN": (),
        "UNKNOWN_TOKEN": (("authorization", "Bearer autoisp_nonsense"),),
        "TOKEN_EXPIRED": (("authorization", f"Bearer {secrets['expired']}"),),
    }
    async with (
        serving(tokens_file=tmp_path / "tokens.toml") as address,
        grpc.aio.insecure_channel(address) as channel,
    ):
        for reason, metadata in cases.items():
            error = await refused(channel, f"Get{kind.title()}", kind, metadata=metadata)
            assert (error.code, error.reason) == (ErrorCode.UNAUTHENTICATED, reason)
        wrong_scheme = (("authorization", f"Basic {secrets['admin']}"),)
        assert (
            await refused(channel, f"Get{kind.title()}", kind, metadata=wrong_scheme)
        ).reason == "NO_TOKEN"


async def test_a_method_without_a_scope_is_nobodys(tmp_path: Path, secrets: dict[str, str]) -> None:
    async with serving(tokens_file=tmp_path / "tokens.toml") as address:
        channel = Access(token=secrets["admin"]).aio_channel(address)
        assert (await refused(channel, "Frobnicate")).reason == "NO_SCOPE"
        await channel.close()


async def test_health_is_everybodys_and_reflection_is_not(tmp_path: Path, secrets: dict[str, str]) -> None:
    async with (
        serving(tokens_file=tmp_path / "tokens.toml") as address,
        grpc.aio.insecure_channel(address) as channel,
    ):
        assert await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
        info = channel.stream_stream("/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo")
        with pytest.raises(grpc.RpcError) as caught:
            await anext(aiter(info(iter([b""]))))
        assert from_rpc_error(caught.value).reason == "NO_TOKEN"


async def test_garbage_is_told_so_and_fills_no_log(
    tmp_path: Path, secrets: dict[str, str], logged: pytest.LogCaptureFixture
) -> None:
    """What everybody may call: a traceback for each would be a way to fill a disk from outside."""
    read = (("authorization", f"Bearer {secrets['read']}"),)
    reflection = "/grpc.reflection.v1alpha.ServerReflection/ServerReflectionInfo"
    async with (
        serving(tokens_file=tmp_path / "tokens.toml") as address,
        grpc.aio.insecure_channel(address) as channel,
    ):
        for answer in (
            channel.unary_unary("/grpc.health.v1.Health/Check")(b"\xff\xff"),
            anext(aiter(channel.unary_stream("/grpc.health.v1.Health/Watch")(b"\xff\xff"))),
            anext(aiter(channel.stream_stream(reflection)(iter([b"\xff\xff"]), metadata=read))),
        ):
            with pytest.raises(grpc.RpcError) as caught:
                await answer
            error = from_rpc_error(caught.value)
            assert (error.code, error.reason) == (ErrorCode.INVALID_ARGUMENT, "MALFORMED_REQUEST")
        with pytest.raises(grpc.RpcError) as caught:
            await channel.unary_unary("/grpc.health.v1.Health/List")(b"")
        assert caught.value.code() is grpc.StatusCode.UNIMPLEMENTED
    assert [record.getMessage() for record in logged.records if record.levelno >= logging.WARNING] == []


async def test_no_token_passes_for_the_registry_itself(tmp_path: Path) -> None:
    secret, token = new_token("registry", Scope.READ)
    (tmp_path / "tokens.toml").write_text(token.to_toml())
    async with serving(tokens_file=tmp_path / "tokens.toml") as address:
        channel = Access(token=secret).aio_channel(address)
        assert await call(channel, "GetUnary_Unary") == "registry (a caller)"
        await channel.close()


async def test_a_changed_file_counts_without_a_restart(tmp_path: Path, secrets: dict[str, str]) -> None:
    path = tmp_path / "tokens.toml"
    async with serving(tokens_file=path) as address:
        channel = Access(token=secrets["read"]).aio_channel(address)
        assert await call(channel, "GetUnary_Unary") == "read-token"
        path.write_text("[[token]]\nname = 1")  # somebody is in the middle of editing
        await asyncio.sleep(0.6)
        assert await call(channel, "GetUnary_Unary") == "read-token"
        path.write_text(new_token("other", Scope.READ)[1].to_toml())
        await asyncio.sleep(0.6)
        assert (await refused(channel, "GetUnary_Unary")).reason == "UNKNOWN_TOKEN"
        await channel.close()


async def test_denials_are_logged_once_and_then_counted(
    tmp_path: Path, secrets: dict[str, str], logged: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    logs: list[DenialLog] = []

    def made() -> DenialLog:
        logs.append(DenialLog(window_s=1000))
        return logs[0]

    monkeypatch.setattr(guard, "DenialLog", made)
    method = f"/{SERVICE}/DeleteUnary_Unary"

    def counted() -> float:
        labels = {"method": method, "reason": "SCOPE_MISSING"}
        return prometheus_client.REGISTRY.get_sample_value("autoisp_rpc_denied_total", labels) or 0.0

    before = counted()
    async with serving(tokens_file=tmp_path / "tokens.toml") as address:
        channel = Access(token=secrets["read"]).aio_channel(address)
        for _ in range(30):
            await refused(channel, "DeleteUnary_Unary")
        logs[0]._end_window()
        await channel.close()
        async with grpc.aio.insecure_channel(address) as nobody:
            await refused(nobody, "GetUnary_Unary")
    denied = denials(logged)
    told = [(line["who"], line["peer"], line["method"], line["reason"], line["count"]) for line in denied]
    assert told == [
        ("read-token", "127.0.0.1", method, "SCOPE_MISSING", 1),
        ("read-token", "127.0.0.1", method, "SCOPE_MISSING", 29),
        ("", "127.0.0.1", f"/{SERVICE}/GetUnary_Unary", "NO_TOKEN", 1),
    ]
    assert denied[-1]["total"] == 31
    assert counted() - before == 30


async def test_too_many_calls_are_told_when_to_come_again(tmp_path: Path, secrets: dict[str, str]) -> None:
    async with serving(tokens_file=tmp_path / "tokens.toml", rate_limit=2, rate_burst=3) as address:
        channel = Access(token=secrets["read"]).aio_channel(address)
        for _ in range(3):
            await call(channel, "GetUnary_Unary")
        with pytest.raises(grpc.RpcError) as caught:
            await call(channel, "GetUnary_Unary")
        error = from_rpc_error(caught.value)
        assert (error.code, error.reason) == (ErrorCode.RESOURCE_EXHAUSTED, "RATE_LIMITED")
        assert 0 < float(error.metadata["retry_after_seconds"]) <= 0.5
        details = rpc_status.from_call(caught.value).details  # type: ignore[union-attr, arg-type]
        retry = error_details_pb2.RetryInfo()
        assert details[1].Unpack(retry)
        assert 0 < retry.retry_delay.ToMilliseconds() <= 500
        other = Access(token=secrets["write"]).aio_channel(address)
        assert await call(other, "GetUnary_Unary") == "write-token"  # limits are each caller's own
        await asyncio.sleep(0.6)
        assert await call(channel, "GetUnary_Unary") == "read-token"
        await channel.close()
        await other.close()


async def test_our_client_waits_as_long_as_it_is_told_to(tmp_path: Path, secrets: dict[str, str]) -> None:
    async with serving(tokens_file=tmp_path / "tokens.toml", rate_limit=4, rate_burst=1) as address:
        connection = AsyncConnection("echo", address, 10.0, access=Access(token=secrets["read"]))
        method = connection.channel.unary_unary(f"/{SERVICE}/GetUnary_Unary", request_serializer=bytes)
        started = time.monotonic()
        for _ in range(5):
            await connection.unary(method, b"")
        assert time.monotonic() - started > 0.9
        with pytest.raises(ResourceExhaustedError):
            await connection.unary(method, b"", repeat=False)
        await connection.close()


async def test_streams_of_one_caller_are_limited_and_end() -> None:
    async with serving(stream_limit=2) as address, grpc.aio.insecure_channel(address) as channel:
        method = channel.unary_stream(f"/{SERVICE}/GetUnary_Stream", request_serializer=bytes)
        for _ in range(3):  # an ended stream makes room
            open_streams = [method(b"") for _ in range(2)]
            for stream in open_streams:
                await anext(aiter(stream))
            error = await refused(channel, "GetUnary_Stream", "unary_stream")
            assert (error.code, error.reason) == (ErrorCode.RESOURCE_EXHAUSTED, "TOO_MANY_STREAMS")
            assert await call(channel, "GetUnary_Unary") == "unknown"
            for stream in open_streams:
                stream.cancel()
            async with asyncio.timeout(10):
                while True:
                    try:
                        await call(channel, "GetUnary_Stream", "unary_stream")
                        break
                    except grpc.RpcError:
                        await asyncio.sleep(0.02)
            await asyncio.sleep(0.1)


async def test_watches_of_health_are_counted_too(tmp_path: Path, secrets: dict[str, str]) -> None:
    async with (
        serving(tokens_file=tmp_path / "tokens.toml", stream_limit=2, rate_limit=1) as address,
        grpc.aio.insecure_channel(address) as channel,
    ):
        stub = health_pb2_grpc.HealthStub(channel)
        watches = [stub.Watch(health_pb2.HealthCheckRequest()) for _ in range(2)]
        for watch in watches:
            assert await anext(aiter(watch))
        with pytest.raises(grpc.RpcError) as caught:
            await anext(aiter(stub.Watch(health_pb2.HealthCheckRequest())))
        assert from_rpc_error(caught.value).reason == "TOO_MANY_STREAMS"
        for _ in range(5):  # probes go on
            assert await stub.Check(health_pb2.HealthCheckRequest())


async def test_messages_stay_below_four_mebibytes() -> None:
    async with serving() as address, grpc.aio.insecure_channel(address) as channel:
        await call(channel, "GetUnary_Unary", text="x" * ((4 << 20) - 1024))
        error = await refused(channel, "GetUnary_Unary", text="x" * (5 << 20))
        assert error.code is ErrorCode.RESOURCE_EXHAUSTED

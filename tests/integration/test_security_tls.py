"""TLS with certificates of both sides: who gets in, what the others are told, and files that are replaced."""

from __future__ import annotations

import asyncio
import socket
import ssl
import struct
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest
from autoisp_client import AsyncClient, Client, Tls
from autoisp_client.access import Access
from autoisp_core.errors import AutoISPError, InvalidArgumentError, UnauthenticatedError, UnavailableError
from autoisp_runtime.security import SecurityConfig, security_of, server
from autoisp_testing.certificates import Authority
from guarded_server import call, serving

GONE = timedelta(seconds=-5)


@pytest.fixture
def ours(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "ours", "ours")


@pytest.fixture
def foreign(tmp_path: Path) -> Authority:
    return Authority(tmp_path / "foreign", "foreign")


def server_files(authority: Authority, **options: Any) -> dict[str, Path]:
    """The settings of a server that asks for certificates of its own authority."""
    files = authority.issue("server", **options)
    client_ca = authority.ca.with_name("clients.pem")
    client_ca.write_bytes(authority.ca.read_bytes())
    return {"tls_cert": files.cert, "tls_key": files.key, "tls_client_ca": client_ca}


def client_files(trusted: Authority, authority: Authority, name: str = "client", **options: Any) -> Tls:
    files = authority.issue(name, **options)
    return Tls(trusted.ca, files.cert, files.key)


async def say(address: str, tls: Tls | None, method: str = "GetUnary_Unary") -> str:
    channel = Access(tls).aio_channel(address)
    try:
        return await call(channel, method)
    finally:
        await channel.close()


async def refusals(address: str, tls: Tls | None) -> list[AutoISPError]:
    """What both clients raise."""

    def blocking() -> None:
        with Client(address, patience=0, tls=tls) as client:
            client.get_clip("clips/c")

    async def asynchronous() -> None:
        async with AsyncClient(address, patience=0, tls=tls) as client:
            await client.get_clip("clips/c")

    errors = []
    for attempt in (lambda: asyncio.to_thread(blocking), asynchronous):
        with pytest.raises(AutoISPError) as caught:
            await attempt()
        errors.append(caught.value)
    return errors


async def test_a_certificate_of_ours_gets_in_and_names_the_caller(ours: Authority) -> None:
    async with serving(**server_files(ours)) as address:
        assert await say(address, client_files(ours, ours, "camera lab"), "DeleteUnary_Unary") == "camera lab"


async def test_a_server_may_ask_for_no_certificate(ours: Authority) -> None:
    files = server_files(ours) | {"tls_client_ca": None}
    async with serving(**files) as address:
        assert await say(address, Tls(ours.ca)) == "unknown"


async def test_those_that_are_refused_are_told_why(ours: Authority, foreign: Authority) -> None:
    async with serving(**server_files(ours)) as address:
        for tls in (client_files(ours, foreign), Tls(ours.ca), None):
            for error in await refusals(address, tls):
                assert type(error) is UnavailableError
                assert error.reason == "TLS_REFUSED"
                assert "--cert" in error.message
                assert "--ca" in error.message
        for error in await refusals(address, client_files(foreign, ours)):
            assert type(error) is UnauthenticatedError
            assert error.reason == "TLS_FAILED"
            assert "not of an authority that AUTOISP_CA" in error.message


async def test_a_connection_that_is_reset_was_refused_too(ours: Authority) -> None:
    """What is read of a closed connection depends on who was faster."""
    files = ours.issue("server")
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(files.cert, files.key)
    context.set_alpn_protocols(["h2"])

    async def refuse(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.get_extra_info("socket").setsockopt(
            socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0)
        )
        writer.transport.abort()

    async with await asyncio.start_server(refuse, "127.0.0.1", 0, ssl=context) as listening:
        port = listening.sockets[0].getsockname()[1]
        for error in await refusals(f"127.0.0.1:{port}", Tls(ours.ca)):
            assert error.reason == "TLS_REFUSED"


async def test_a_slow_link_is_no_refusal(ours: Authority) -> None:
    async with serving(**server_files(ours)) as address:

        async def carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while data := await reader.read(1 << 16):
                writer.write(data)
            writer.close()

        async def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            await asyncio.sleep(0.7)
            there, back = await asyncio.open_connection(*address.split(":"))
            await asyncio.gather(carry(reader, back), carry(there, writer), return_exceptions=True)

        async with await asyncio.start_server(accept, "127.0.0.1", 0) as link:
            port = link.sockets[0].getsockname()[1]
            assert await say(f"127.0.0.1:{port}", client_files(ours, ours)) == "client"


async def test_expired_certificates_of_either_side(ours: Authority) -> None:
    good = client_files(ours, ours)
    async with serving(**server_files(ours, valid_for=GONE)) as address:
        for error in await refusals(address, good):
            assert error.reason == "TLS_FAILED"
            assert "the server's certificate has expired" in error.message
    async with serving(**server_files(ours)) as address:
        for error in await refusals(address, client_files(ours, ours, "late", valid_for=GONE)):
            assert error.reason == "CERTIFICATE_EXPIRED"
            assert "late.crt" in error.message
        # A client that does not look first is refused by the server.
        files = ours.issue("late", valid_for=GONE)
        pem = (files.key.read_bytes(), files.cert.read_bytes())
        credentials = grpc.ssl_channel_credentials(ours.ca.read_bytes(), *pem)
        async with grpc.aio.secure_channel(address, credentials) as channel:
            with pytest.raises(grpc.RpcError) as caught:
                await call(channel, "GetUnary_Unary")
    assert caught.value.code() is grpc.StatusCode.UNAVAILABLE


async def test_tls_to_a_server_without_it(ours: Authority) -> None:
    async with serving() as address:
        for error in await refusals(address, Tls(ours.ca)):
            assert error.reason == "TLS_FAILED"
            assert "does not speak TLS" in error.message


async def test_replaced_files_count_without_a_restart(ours: Authority, foreign: Authority) -> None:
    files = server_files(ours)
    before, after = client_files(ours, ours), client_files(foreign, foreign)
    async with serving(**files) as address:
        assert await say(address, before) == "client"
        files["tls_key"].write_text("half a ")  # the old ones stay while the new ones are not whole
        assert await say(address, before) == "client"
        new = foreign.issue("server")
        files["tls_client_ca"].write_bytes(foreign.ca.read_bytes())
        files["tls_cert"].write_bytes(new.cert.read_bytes())
        assert await say(address, before) == "client"
        files["tls_key"].write_bytes(new.key.read_bytes())
        assert await say(address, after) == "client"
        old = Tls(foreign.ca, before.cert, before.key)
        assert [error.reason for error in await refusals(address, old)] == ["TLS_REFUSED"] * 2


async def test_running_calls_outlive_a_rotation(ours: Authority, foreign: Authority) -> None:
    files = server_files(ours)
    async with serving(**files) as address:
        channel = Access(client_files(ours, ours)).aio_channel(address)
        stream = channel.unary_stream("/autoisp.testing.v1.EchoService/GetUnary_Stream")(b"")
        answers = aiter(stream)
        await anext(answers)
        new = foreign.issue("server")
        for name, source in (("tls_client_ca", foreign.ca), ("tls_cert", new.cert), ("tls_key", new.key)):
            files[name].write_bytes(source.read_bytes())
        assert await say(address, client_files(foreign, foreign)) == "client"
        await anext(answers)
        stream.cancel()
        await channel.close()


async def until_refused(channel: grpc.aio.Channel) -> grpc.StatusCode:
    async with asyncio.timeout(20):
        while True:
            try:
                assert await call(channel, "GetUnary_Unary") == "client"
            except grpc.RpcError as error:
                return error.code()
            await asyncio.sleep(0.05)


async def test_whoever_stays_connected_proves_itself_again(
    ours: Authority, foreign: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also: files that change as a secret does that Kubernetes has mounted, by one link for all."""
    monkeypatch.setattr(server, "_CONNECTION_AGE_MS", 300)
    files = ours.issue("server")
    for day, clients in (("monday", ours), ("tuesday", foreign)):
        (tmp_path / day).mkdir()
        for name, source in (("tls.crt", files.cert), ("tls.key", files.key), ("ca.crt", clients.ca)):
            (tmp_path / day / name).write_bytes(source.read_bytes())
    (tmp_path / "..data").symlink_to("monday")
    for name in ("tls.crt", "tls.key", "ca.crt"):
        (tmp_path / name).symlink_to(f"..data/{name}")
    paths = {"tls_cert": "tls.crt", "tls_key": "tls.key", "tls_client_ca": "ca.crt"}
    async with serving(**{setting: tmp_path / name for setting, name in paths.items()}) as address:
        channel = Access(client_files(ours, ours)).aio_channel(address)
        stream = channel.unary_stream("/autoisp.testing.v1.EchoService/GetUnary_Stream")(b"")
        answers = aiter(stream)
        await anext(answers)
        (tmp_path / "next").symlink_to("tuesday")
        (tmp_path / "next").replace(tmp_path / "..data")
        assert await until_refused(channel) is grpc.StatusCode.UNAVAILABLE
        assert await say(address, client_files(ours, foreign)) == "client"
        await anext(answers)
        stream.cancel()
        await channel.close()


async def test_a_certificate_without_a_common_name_has_another(ours: Authority) -> None:
    async with serving(**server_files(ours)) as address:
        assert await say(address, client_files(ours, ours, "")) == "localhost"
        assert await say(address, client_files(ours, ours, "two\nlines")) == "localhost"


async def test_files_of_the_client_that_can_not_be_used(ours: Authority, tmp_path: Path) -> None:
    good, other = ours.issue("client"), ours.issue("other")
    (tmp_path / "nonsense").write_text("nonsense")
    async with serving(**server_files(ours)) as address:
        for tls in (
            Tls(tmp_path / "nonsense"),
            Tls(ours.ca, good.cert, tmp_path / "nonsense"),
            Tls(ours.ca, good.cert, other.key),
        ):
            for error in await refusals(address, tls):
                assert error.reason == "TLS_FAILED"
                assert "a file of yours can't be used" in error.message


@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_1, ssl.TLSVersion.TLSv1_2])
async def test_old_versions_of_tls_are_refused(ours: Authority, version: ssl.TLSVersion) -> None:
    files = ours.issue("client")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.load_verify_locations(ours.ca)
    context.load_cert_chain(files.cert, files.key)
    context.set_ciphers("ALL:@SECLEVEL=0")
    context.set_alpn_protocols(["h2"])
    context.minimum_version = context.maximum_version = version
    async with serving(**server_files(ours)) as address:
        opening = asyncio.open_connection(*address.split(":"), ssl=context)
        if version is ssl.TLSVersion.TLSv1_2:
            _, writer = await opening
            writer.close()
        else:
            with pytest.raises((ssl.SSLError, ConnectionError)):
                await opening


@pytest.mark.parametrize(
    ("break_it", "field"),
    [
        (lambda files: files.pop("tls_key"), "tls_key"),
        (lambda files: files.pop("tls_cert"), "tls_cert"),
        (lambda files: files["tls_cert"].unlink(), "tls_cert"),
        (lambda files: files["tls_key"].write_text("nonsense"), "tls_key"),
        (lambda files: files["tls_client_ca"].write_text("nonsense"), "tls_client_ca"),
        (lambda files: files["tls_key"].write_bytes(files["other"].read_bytes()), "tls_key"),
    ],
    ids=["no key", "no certificate", "missing", "nonsense key", "nonsense ca", "another key"],
)
def test_a_wrong_file_is_named(
    ours: Authority, break_it: Callable[[dict[str, Path]], object], field: str
) -> None:
    files = server_files(ours) | {"other": ours.issue("other").key}
    break_it(files)
    files.pop("other")
    with pytest.raises(InvalidArgumentError) as caught:
        security_of(SecurityConfig(**files), "0.0.0.0:1")  # type: ignore[arg-type]
    assert caught.value.field == field


@pytest.mark.parametrize(
    ("environment", "field"),
    [
        ({"AUTOISP_CA": "/nowhere.pem"}, "ca"),
        ({"AUTOISP_CLIENT_CERT": "/nowhere.pem"}, "key"),
        ({"AUTOISP_TOKEN_FILE": "/nowhere"}, "token-file"),
        ({"AUTOISP_TOKEN": "two words"}, "token"),
    ],
)
def test_a_wrong_setting_of_the_client_is_named(
    monkeypatch: pytest.MonkeyPatch, environment: dict[str, str], field: str
) -> None:
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(InvalidArgumentError) as caught:
        Client("127.0.0.1:9")
    assert caught.value.field == field


async def test_the_environment_is_enough(
    ours: Authority, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    tls = client_files(ours, ours)
    (tmp_path / "token").write_text("autoisp_x\n")
    monkeypatch.setenv("AUTOISP_CA", str(tls.ca))
    monkeypatch.setenv("AUTOISP_CLIENT_CERT", str(tls.cert))
    monkeypatch.setenv("AUTOISP_CLIENT_KEY", str(tls.key))
    monkeypatch.setenv("AUTOISP_TOKEN_FILE", str(tmp_path / "token"))
    assert Access.chosen(None, None) == Access(tls, "autoisp_x")
    assert "autoisp_x" not in repr(Access.chosen(None, None))

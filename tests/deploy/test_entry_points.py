"""The commands that containers run besides the services: probe, migrations, topology."""

import asyncio
import os
import subprocess
import sys
from datetime import timedelta
from pathlib import Path

import pytest
from autoisp_core.errors import UnavailableError
from autoisp_runtime import probe
from autoisp_runtime.database import Database
from autoisp_runtime.grpc_server import LIVENESS, GrpcServer
from autoisp_runtime.jetstream import CONSUMERS, NatsConnection
from autoisp_runtime.security import SecurityConfig, security_of
from autoisp_testing.certificates import Authority
from autoisp_testing.nats import NatsServer
from autoisp_testing.postgres import PostgresServer
from sqlalchemy import text

SERVICES = ("ingest", "search", "evaluation", "registry")


def start(module: str, *arguments: str, **settings: str) -> subprocess.Popen[str]:
    told = {"AUTOISP_" + name.upper(): value for name, value in settings.items()}
    kept = {name: value for name, value in os.environ.items() if not name.startswith("AUTOISP_")}
    return subprocess.Popen(
        [sys.executable, "-m", module, *arguments],
        env=kept | told,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def ended(process: subprocess.Popen[str]) -> tuple[int, str]:
    said, _ = process.communicate(timeout=60)
    return process.returncode, said


async def away() -> None:
    raise UnavailableError("it is away")


async def there() -> None:
    return None


async def test_a_server_whose_database_is_away_is_alive_but_not_ready() -> None:
    server = GrpcServer("127.0.0.1:0")
    address = f"127.0.0.1:{await server.start()}"
    try:
        await server.check_dependencies({"database": away})
        assert await asyncio.to_thread(probe.status, address) == "NOT_SERVING"
        assert await asyncio.to_thread(probe.status, address, LIVENESS) == "SERVING"
        assert await asyncio.to_thread(probe.main, [address]) == 1

        await server.check_dependencies({"database": there})
        assert await asyncio.to_thread(probe.main, [address]) == 0
        assert await asyncio.to_thread(probe.main, [address, "--service", "nobody"]) == 1
    finally:
        await server.stop(0)


async def asked(arguments: list[str], **environment: str) -> tuple[int, str]:
    """As a container's engine runs it: with the variables of the process."""
    process = start("autoisp_runtime.probe", *arguments, **environment)
    return await asyncio.to_thread(ended, process)


async def test_under_tls_a_probe_trusts_its_own_certificate(tmp_path: Path) -> None:
    """Of whatever authority and for whatever names; and no other."""
    authority = Authority(tmp_path / "ours", "ours")
    own, other = authority.issue("server"), authority.issue("other")
    tls = SecurityConfig(tls_cert=own.cert, tls_key=own.key)  # type: ignore[call-arg]
    server = GrpcServer("127.0.0.1:0", security_of(tls, "127.0.0.1:0"))
    address = f"127.0.0.1:{await server.start()}"
    told = {"listen": address, "tls_cert": str(own.cert), "tls_key": str(own.key)}
    try:
        assert await asked(["--service", LIVENESS], **told) == (0, f"{address}: SERVING\n")
        assert await asked([], **told) == (1, f"{address}: NOT_SERVING\n")
        code, said = await asked(["--service", LIVENESS], **told | {"tls_cert": str(other.cert)})
        assert code == 1
        assert "CERTIFICATE_VERIFY_FAILED" in said
        code, said = await asked(["--service", LIVENESS], listen=address)
        assert (code, "UNAVAILABLE" in said) == (1, True), said
    finally:
        await server.stop(0)


async def test_a_probe_shows_its_own_certificate_where_clients_must_have_one(tmp_path: Path) -> None:
    authority = Authority(tmp_path, "ours")
    own = authority.issue("server")
    files = {"tls_cert": own.cert, "tls_key": own.key, "tls_client_ca": authority.ca}
    server = GrpcServer("127.0.0.1:0", security_of(SecurityConfig(**files), "127.0.0.1:0"))  # type: ignore[arg-type]
    address = f"127.0.0.1:{await server.start()}"
    told = {name: str(path) for name, path in files.items()}
    try:
        assert (await asked(["--service", LIVENESS], listen=address, **told))[0] == 0
        del told["tls_client_ca"]
        assert (await asked(["--service", LIVENESS], listen=address, **told))[0] == 1
    finally:
        await server.stop(0)


@pytest.mark.parametrize("places", [["*.autoisp.svc", "10.0.0.1"], ["10.0.0.1"], []], ids=str)
def test_a_probe_finds_a_name_in_any_certificate(tmp_path: Path, places: list[str]) -> None:
    own = Authority(tmp_path, "ours", places).issue("server")
    tls = probe.OwnTls.of({"AUTOISP_TLS_CERT": str(own.cert), "AUTOISP_TLS_KEY": str(own.key)})
    assert tls is not None
    assert tls.name == (places[0].replace("*", "any") if places else "server")
    assert tls.key is None, "the key is shown to nobody who does not ask"


def test_an_expired_certificate_is_not_ready_and_no_reason_for_a_restart(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    own = Authority(tmp_path, "ours").issue("server", valid_for=timedelta(seconds=-5))
    monkeypatch.setenv("AUTOISP_TLS_CERT", str(own.cert))
    assert probe.main(["127.0.0.1:1"]) == 1
    assert probe.main(["127.0.0.1:1", "--service", LIVENESS]) == 0
    assert "its certificate is good from" in capsys.readouterr().err


@pytest.mark.parametrize("content", [None, b"nonsense"])
def test_a_probe_without_a_certificate_that_it_was_promised_fails(
    content: bytes | None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    if content is not None:
        (tmp_path / "tls.crt").write_bytes(content)
    monkeypatch.setenv("AUTOISP_TLS_CERT", str(tmp_path / "tls.crt"))
    assert probe.main(["127.0.0.1:1", "--service", LIVENESS]) == 1
    assert "AUTOISP_TLS_CERT" in capsys.readouterr().err


def test_a_server_that_is_not_there_is_not_healthy(capsys: pytest.CaptureFixture[str]) -> None:
    assert probe.main(["127.0.0.1:1", "--timeout", "0.3"]) == 1
    assert "127.0.0.1:1" in capsys.readouterr().err


@pytest.mark.parametrize("listen", ["", "0.0.0.0:0", "nonsense", "127.0.0.1:99999"])
def test_a_probe_without_a_port_says_what_to_give(
    listen: str, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("AUTOISP_LISTEN", listen)
    with pytest.raises(SystemExit) as stopped:
        probe.main([])
    assert stopped.value.code == 2
    assert "AUTOISP_LISTEN" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("listen", "dialled"),
    [("0.0.0.0:50051", "127.0.0.1:50051"), ("[::]:7", "127.0.0.1:7"), ("10.0.0.1:7", "10.0.0.1:7")],
)
def test_a_probe_asks_on_loopback_whoever_listens_on_all_addresses(listen: str, dialled: str) -> None:
    assert probe.dialled(listen) == dialled


async def test_the_job_migrates_every_service_and_finds_nothing_to_do_then(postgres: PostgresServer) -> None:
    url = postgres.new_database()
    for _ in range(2):
        code, said = ended(start("autoisp_runtime.migrate", *SERVICES, database_url=url))
        assert code == 0, said
    database = Database(url)
    async with database.read() as session:
        found = await session.scalars(
            text("SELECT table_schema FROM information_schema.tables WHERE table_name = 'alembic_version'")
        )
        assert sorted(found) == sorted(SERVICES)
    await database.close()


@pytest.mark.parametrize(
    ("arguments", "settings", "says"),
    [
        (["search"], {}, "AUTOISP_DATABASE_URL"),
        (["search"], {"database_url": "sqlite+aiosqlite:///x.db"}, "must be the PostgreSQL database"),
        (["search"], {"database_url": "postgresql://x/y"}, "AUTOISP_DATABASE_URL"),
        (["worker"], {"database_url": "postgresql+asyncpg://x/y"}, "no service with tables"),
        (["../search"], {"database_url": "postgresql+asyncpg://x/y"}, "no service with tables"),
        ([], {}, "SERVICE"),
    ],
)
def test_a_wrong_migration_job_says_so(arguments: list[str], settings: dict[str, str], says: str) -> None:
    code, said = ended(start("autoisp_runtime.migrate", *arguments, **settings))
    assert code == 2
    assert says in said
    assert "Traceback" not in said


async def test_the_job_waits_for_nats_and_makes_every_consumer(tmp_path: Path) -> None:
    server = NatsServer(tmp_path / "nats")
    with server:
        url = server.url
        server.kill()
        process = start("autoisp_runtime.jetstream", nats_url=url)
        with pytest.raises(subprocess.TimeoutExpired):
            process.wait(1.5)
        server.start()
        code, said = await asyncio.to_thread(ended, process)
        assert code == 0, said
        connection = await NatsConnection.open(url)
        for spec in CONSUMERS:
            await connection.js.consumer_info(spec.stream, spec.durable)
        await connection.close()

"""A small service as a real process: start, stop, crash, and a broker that comes and goes."""

import asyncio
import json
import os
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import grpc
import pytest
from autoisp_runtime.jetstream import Event, NatsConnection, Publisher, ensure_topology, event_subject
from autoisp_runtime.jetstream.topology import EVENT_STREAM
from autoisp_runtime.lifecycle import _unless
from autoisp_testing.nats import NatsServer
from autoisp_testing.processes import ServiceProcess
from grpc_health.v1 import health_pb2, health_pb2_grpc

MIGRATION = """
from alembic import op
from autoisp_runtime.outbox import outbox_columns

revision, down_revision = "0001", None


def upgrade():
    op.create_table("outbox", *outbox_columns())
"""
# Answers every search.completed with an evaluation.completed of the same id, through its outbox.
MAIN = """
import asyncio
import os

from autoisp_runtime.config import ServiceConfig
from autoisp_runtime.jetstream import Event, event_subject
from autoisp_runtime.jetstream.topology import EVALUATION_TRIGGERS
from autoisp_runtime.lifecycle import run_service
from autoisp_runtime.outbox import outbox_table
from autoisp_runtime.runtime import Runtime, Tables
from sqlalchemy import MetaData


class DemoConfig(ServiceConfig):
    service = "demo"
    crash: str = ""


async def build(runtime: Runtime[DemoConfig]) -> None:
    async def handle(envelope):
        async with runtime.database.transaction() as session:
            subject = event_subject(Event.EVALUATION_COMPLETED, envelope.resource_id)
            await runtime.outbox.add(session, subject, b"", f"done-{envelope.event_id}")
        if runtime.config.crash == "after commit":
            os._exit(9)

    async def task():
        if runtime.config.crash == "task":
            raise RuntimeError("boom")

    if runtime.config.crash == "build":
        raise RuntimeError("boom")
    runtime.consume(EVALUATION_TRIGGERS, handle, batch=10)
    runtime.spawn("a task", task())


run_service(DemoConfig, build, tables=Tables("demo_service.migrations", outbox_table(MetaData())))
"""


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    package = tmp_path / "src" / "demo_service"
    (package / "migrations" / "versions").mkdir(parents=True)
    (package / "__init__.py").touch()
    (package / "migrations" / "__init__.py").touch()
    (package / "migrations" / "versions" / "0001_first.py").write_text(MIGRATION)
    (package / "__main__.py").write_text(MAIN)
    # In front, not instead: the child must not run another installation than the test.
    monkeypatch.setenv("PYTHONPATH", str(tmp_path / "src"), prepend=os.pathsep)
    state = tmp_path / "state"
    state.mkdir()
    return state


def until(condition: Callable[[], bool], timeout_s: float = 15) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.02)


def health(address: str) -> str:
    with grpc.insecure_channel(address) as channel:
        answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest(), timeout=5)
        return health_pb2.HealthCheckResponse.ServingStatus.Name(answer.status)


def events(service: ServiceProcess) -> list[str]:
    return [json.loads(line)["event"] for line in service.log.splitlines()]


async def completed(url: str) -> list[str]:
    nats = await NatsConnection.open(url)
    state = (await nats.js.stream_info(EVENT_STREAM, subjects_filter="autoisp.v1.evt.evaluation.>")).state
    await nats.close()
    return sorted(state.subjects or {})


async def complete_searches(url: str, *ids: str) -> None:
    nats = await NatsConnection.open(url)
    publisher = Publisher(nats, "autoisp/testing")
    for search_id in ids:
        await publisher.publish(event_subject(Event.SEARCH_COMPLETED, search_id), b"", search_id)
    await nats.close()


def subjects(*ids: str) -> list[str]:
    return [f"autoisp.v1.evt.evaluation.completed.{i}" for i in ids]


def test_it_serves_and_stops_gracefully(folder: Path, nats_server: NatsServer) -> None:
    with ServiceProcess("demo_service", folder, nats_url=nats_server.url) as service:
        assert health(service.address) == "SERVING"
        asyncio.run(complete_searches(nats_server.url, "a", "b"))
        until(lambda: asyncio.run(completed(nats_server.url)) == subjects("a", "b"))
        started = time.monotonic()
        assert service.stop() == 0
        assert time.monotonic() - started < 3
    assert events(service)[-1] == "stopped"
    assert all(json.loads(line)["service"] == "demo" for line in service.log.splitlines())


def test_it_waits_for_nats_and_says_so(folder: Path, tmp_path: Path) -> None:
    server = NatsServer(tmp_path / "late")
    server.start()
    server.kill()
    service = ServiceProcess("demo_service", folder, nats_url=server.url)
    service.start(wait=False)
    with service:
        until(lambda: f"waiting for NATS at {server.url}" in service.log)
        with server:
            service.wait_ready()
            assert health(service.address) == "SERVING"
            assert service.stop() == 0


def test_it_can_be_stopped_while_it_waits(folder: Path) -> None:
    service = ServiceProcess("demo_service", folder, nats_url="nats://127.0.0.1:9")
    service.start(wait=False)
    with service:
        until(lambda: "waiting for NATS" in service.log)
        assert service.stop(timeout_s=5) == 0


class Opened:
    def __init__(self) -> None:
        self.closed = False

    async def close(self) -> None:
        self.closed = True


@pytest.mark.parametrize("opens", [True, False])
async def test_a_swallowed_cancellation_does_not_keep_it_from_stopping(opens: bool) -> None:
    runtime = Opened()

    async def opening() -> Opened:
        try:
            await asyncio.sleep(60)
        except asyncio.CancelledError:
            if opens:
                return runtime
        await asyncio.sleep(60)
        raise AssertionError("nobody asked again")

    stop = asyncio.Event()
    asyncio.get_running_loop().call_later(0.05, stop.set)
    async with asyncio.timeout(10):
        assert await _unless(stop, opening()) is None  # type: ignore[arg-type]
    assert runtime.closed == opens


def test_it_outlives_a_broker_that_comes_back_empty(
    folder: Path, nats_server: NatsServer, tmp_path: Path
) -> None:
    with ServiceProcess("demo_service", folder, nats_url=nats_server.url) as service:
        nats_server.kill()
        until(lambda: health(service.address) == "NOT_SERVING")
        shutil.rmtree(tmp_path / "nats" / "data")
        nats_server.start()
        until(lambda: health(service.address) == "SERVING")
        until(lambda: "reconnected to NATS" in events(service))
        asyncio.run(complete_searches(nats_server.url, "a"))
        until(lambda: asyncio.run(completed(nats_server.url)) == subjects("a"))
        assert service.stop() == 0


def test_an_event_committed_before_a_crash_goes_out_after_it(folder: Path, nats_server: NatsServer) -> None:
    with ServiceProcess(
        "demo_service", folder, nats_url=nats_server.url, crash="after commit", ack_wait_seconds=1
    ) as service:
        asyncio.run(complete_searches(nats_server.url, "a"))
        assert service.wait() == 9
    with ServiceProcess("demo_service", folder, nats_url=nats_server.url, ack_wait_seconds=1) as service:
        until(lambda: asyncio.run(completed(nats_server.url)) == subjects("a"))
        assert service.stop() == 0


@pytest.mark.parametrize("crash", ["task", "build"])
def test_a_crash_ends_the_process_with_an_error(folder: Path, nats_server: NatsServer, crash: str) -> None:
    service = ServiceProcess("demo_service", folder, nats_url=nats_server.url, crash=crash)
    service.start(wait=False)
    with service:
        assert service.wait() == 1
    assert "boom" in service.log


@pytest.mark.parametrize(
    ("setting", "value"),
    [
        ("nats_url", "localhost"),
        ("database_url", "mysql://x/y"),
        ("store_url", "ftp://x/y"),
        ("max_deliver", "many"),
    ],
)
def test_a_wrong_setting_ends_with_code_2_and_its_name(
    folder: Path, nats_server: NatsServer, setting: str, value: str
) -> None:
    service = ServiceProcess("demo_service", folder, **{"nats_url": nats_server.url, setting: value})
    service.start(wait=False)
    with service:
        assert service.wait() == 2
    assert f"error: AUTOISP_{setting.upper()}: " in service.log


def test_a_taken_port_ends_with_code_2(folder: Path, nats_server: NatsServer) -> None:
    with ServiceProcess("demo_service", folder, nats_url=nats_server.url) as first:
        second = ServiceProcess("demo_service", folder, nats_url=nats_server.url, listen=first.address)
        second.start(wait=False)
        with second:
            assert second.wait() == 2
        assert f"error: AUTOISP_LISTEN: can't listen on {first.address}" in second.log


def test_it_goes_when_its_parent_is_killed(folder: Path, nats_server: NatsServer) -> None:
    script = (
        "import subprocess, sys, time; child = subprocess.Popen([sys.executable, '-m', 'demo_service']);"
        "print(child.pid, flush=True); time.sleep(60)"
    )
    port_file = folder / "port"
    settings = {
        "AUTOISP_NATS_URL": nats_server.url,
        "AUTOISP_STATE_DIR": str(folder),
        "AUTOISP_PORT_FILE": str(port_file),
        "AUTOISP_EXIT_WITH_PARENT": "true",
    }
    with subprocess.Popen(
        [sys.executable, "-c", script], env=os.environ | settings, stdout=subprocess.PIPE, text=True
    ) as parent:
        assert parent.stdout is not None
        child = int(parent.stdout.readline())
        until(port_file.exists)
        parent.send_signal(signal.SIGKILL)
    until(lambda: not Path(f"/proc/{child}").exists() or "Z" in Path(f"/proc/{child}/stat").read_text())


async def test_the_topology_is_there_when_a_service_is_ready(folder: Path, nats_server: NatsServer) -> None:
    service = ServiceProcess("demo_service", folder, nats_url=nats_server.url)
    with await asyncio.to_thread(service.start):
        nats = await NatsConnection.open(nats_server.url)
        assert (await nats.js.consumer_info(EVENT_STREAM, "evaluation-triggers")).config.ack_wait == 30
        await ensure_topology(nats.js)
        await nats.close()

"""NATS with a user for each service: the whole product works, and each publishes and hears its own only."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import ExitStack
from pathlib import Path

import nats.errors
import pytest
import pytest_asyncio
from autoisp.registry.v1.registry_pb2 import CONVERSION_STATE_SUCCEEDED
from autoisp_client import Client, Endpoints
from autoisp_core.errors import AutoISPError, InvalidArgumentError
from autoisp_runtime.jetstream import (
    CONSUMERS,
    Command,
    Event,
    NatsConnection,
    Publisher,
    command_subject,
    credential_options,
    ensure_topology,
    event_subject,
)
from autoisp_runtime.jetstream.permissions import all_permissions, main
from autoisp_runtime.jetstream.roles import OPERATOR, ROLES
from autoisp_runtime.jetstream.topology import dead_letter_subject
from autoisp_testing.nats import NatsServer
from autoisp_testing.processes import ServiceProcess
from autoisp_testing.scenes import moving_scene, write_video

pytestmark = pytest.mark.timeout(300)

MODULES = {role.name: f"autoisp_{role.name}" for role in ROLES} | {"live": "autoisp_worker.live"}


@pytest.fixture
def keys(tmp_path: Path) -> Path:
    """The folder of seeds and permissions."""
    assert main([str(tmp_path / "keys")]) == 0
    return tmp_path / "keys"


@pytest.fixture
def broker(tmp_path: Path, keys: Path) -> Iterator[NatsServer]:
    """A server that knows nobody else."""
    with NatsServer(tmp_path / "nats", keys / "authorization.conf") as server:
        yield server


async def connected(broker: NatsServer, keys: Path, role: str) -> NatsConnection:
    """As a process of the role connects."""
    options = credential_options(keys / f"{role}.nk")
    return await NatsConnection.open(broker.url, name=f"autoisp-{role}", options=options)


@pytest_asyncio.fixture
async def topology(broker: NatsServer, keys: Path) -> AsyncIterator[None]:
    """Streams and consumers, made by the operator."""
    operator = await connected(broker, keys, OPERATOR)
    await ensure_topology(operator.js)
    yield
    await operator.close()


def test_every_kind_has_a_sender_and_every_consumer_a_role() -> None:
    assert {c for role in ROLES for c in role.commands} == set(Command)
    assert {e for role in ROLES for e in role.events} == set(Event)
    consumed = [spec for role in ROLES for spec in role.consumes]
    assert sorted(spec.durable for spec in consumed) == sorted(spec.durable for spec in CONSUMERS)


def test_no_service_may_do_everything() -> None:
    for name, allowed in all_permissions().items():
        if name == OPERATOR:
            continue
        every = (*allowed.publish, *allowed.subscribe)
        assert not [s for s in every if s in (">", "$JS.API.>", "autoisp.>", "_INBOX.>", "$JS.ACK.>")]
        verbs = ("CREATE", "STREAM.DELETE", "CONSUMER.DELETE", "UPDATE", "PURGE")
        assert not [s for s in every if any(verb in s for verb in verbs)]


def test_sending_dead_letters_again_is_asked_for(tmp_path: Path) -> None:
    plain, replaying = all_permissions(), all_permissions(replays=True)
    assert {name for name in plain if plain[name] != replaying[name]} == {"registry"}
    assert set(replaying["registry"].publish) > set(plain["registry"].publish)
    assert main(["--replays", str(tmp_path)]) == 0
    assert "autoisp.v1.cmd.trial.run" in (tmp_path / "authorization.conf").read_text().split("# worker")[0]


def test_seeds_are_private_and_kept(tmp_path: Path, keys: Path) -> None:
    seeds = {path: path.read_bytes() for path in keys.glob("*.nk")}
    assert len(seeds) == len(ROLES) + 1
    assert all(path.stat().st_mode & 0o777 == 0o600 for path in seeds)
    before = (keys / "authorization.conf").read_text()
    assert not any(seed.decode() in before for seed in seeds.values())
    assert main([str(keys)]) == 0
    assert (keys / "authorization.conf").read_text() == before
    assert {path: path.read_bytes() for path in keys.glob("*.nk")} == seeds


def test_what_can_not_be_written_is_told(
    tmp_path: Path, keys: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (keys / "search.nk").write_text("SUNONSENSE")
    assert main([str(keys)]) == 2
    assert "search.nk is no nkey seed" in capsys.readouterr().err
    (tmp_path / "file").touch()
    assert main([str(tmp_path / "file" / "folder")]) == 2
    for content in ("nonsense", "UABC", "ü"):
        (tmp_path / "file").write_text(content)
        with pytest.raises(InvalidArgumentError) as caught:
            credential_options(tmp_path / "file")
        assert caught.value.field == "nats_credentials"


@pytest.mark.parametrize("role", [role.name for role in ROLES])
async def test_a_service_publishes_its_own_subjects_only(
    broker: NatsServer, keys: Path, topology: None, role: str
) -> None:
    connection = await connected(broker, keys, role)
    publisher = Publisher(connection, f"autoisp/{role}")
    mine = next(r for r in ROLES if r.name == role)
    for command in Command:
        await published(publisher, command_subject(command, f"x-{role}"), command in mine.commands)
    for event in Event:
        await published(publisher, event_subject(event, f"x-{role}"), event in mine.events)
    await published(publisher, "other.subject", False)
    foreign = event_subject(Event.CHANNEL_CHANGED, "x")  # that nobody consumes
    for spec in CONSUMERS:
        for kind in spec.filter_subjects:
            subject = dead_letter_subject(spec.durable, kind.replace("*", f"x-{role}"))
            await published(publisher, subject, spec in mine.consumes)
        await published(publisher, dead_letter_subject(spec.durable, foreign), False)
    # Nor does it take away a stream, another's messages, or what others are told.
    with pytest.raises((nats.errors.Error, TimeoutError)):
        await connection.client.request("$JS.API.STREAM.PURGE.AUTOISP_CMD", b"", timeout=0.3)
    for spec in CONSUMERS:
        request = connection.client.request(
            f"$JS.API.CONSUMER.MSG.NEXT.{spec.stream}.{spec.durable}", b'{"no_wait": true}', timeout=0.5
        )
        if spec in mine.consumes:
            await request
        else:
            with pytest.raises((nats.errors.Error, TimeoutError)):
                await request
    await connection.client.subscribe("autoisp.v1.ops.processes")
    for subject in ("autoisp.>", "_INBOX.>", "_INBOX.autoisp-operator.>", ">"):
        await connection.client.subscribe(subject)
    await connection.client.flush()
    await connection.close()
    assert broker.log.count("Subscription Violation") >= 4
    assert "Publish Violation" in broker.log


async def published(publisher: Publisher, subject: str, allowed: bool) -> None:
    if allowed:
        assert await publisher.publish(subject, b"", subject)
        return
    with pytest.raises(AutoISPError):
        await publisher.publish(subject, b"", subject, timeout_s=0.1)


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 100
    while not condition():
        assert time.monotonic() < deadline, "it did not happen in time"
        time.sleep(0.1)


async def poisoned(broker: NatsServer, keys: Path) -> None:
    """Tells the registry something that it can't read."""
    operator = await connected(broker, keys, OPERATOR)
    subject = event_subject(Event.EVALUATION_COMPLETED, "poison")
    await Publisher(operator, "autoisp/testing").publish(subject, b"\xff", "poison")
    await operator.close()


async def test_strangers_are_refused(broker: NatsServer, keys: Path, tmp_path: Path) -> None:
    assert main([str(tmp_path / "others")]) == 0
    for options in ({}, credential_options(tmp_path / "others" / "operator.nk")):
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(1):
                await NatsConnection.open(broker.url, options=options)
    assert "authentication error" in broker.log


async def test_the_whole_product_works_with_one_user_each(
    tmp_path: Path, broker: NatsServer, keys: Path, topology: None
) -> None:
    state = tmp_path / "state"
    state.mkdir()
    with ExitStack() as stack:
        services = {}
        for role, module in MODULES.items():
            settings = {"nats_url": broker.url, "nats_credentials": keys / f"{role}.nk", "profile_seconds": 1}
            settings |= {"nats_topology": "false", "store_url": (tmp_path / "artifacts").as_uri()}
            settings |= {"metrics_listen": "127.0.0.1:0"}  # whose sampler asks the broker
            process = ServiceProcess(module, state, **settings)
            services[role] = stack.enter_context(process.start(wait=False))
        for process in services.values():
            process.wait_ready(120)  # six start at once
        addresses = {role: services[role].address for role in services if role != "worker"}
        (tmp_path / "endpoints.json").write_text(Endpoints(**addresses).to_json())
        (tmp_path / "clips").mkdir()
        for seed, name in enumerate(("alley", "beach", "cliff")):
            write_video(tmp_path / "clips" / f"{name}.mp4", moving_scene(20, 64, 80, seed=seed))
        words = ("tune", "--footage", tmp_path / "clips", "--budget-macs", 1200, "--noise", "0.01,0.0005")
        words += ("--rung", "1x5steps", "--test-frames", 2, "--out", tmp_path / "report", "--json")
        ran = await asyncio.to_thread(
            subprocess.run,
            [sys.executable, "-m", "autoisp_cli", *map(str, words), "--server", tmp_path / "endpoints.json"],
            env={**os.environ, "OMP_NUM_THREADS": "1"},
            capture_output=True,
            text=True,
            timeout=200,
        )
        assert ran.returncode in (0, 1), ran.stderr  # so little training need not pass
        version = json.loads(ran.stdout.splitlines()[-1])["model_version"]
        with Client(str(tmp_path / "endpoints.json")) as client:
            until(lambda: client.get_model_version(version).conversion_state == CONVERSION_STATE_SUCCEEDED)
            for role in addresses:
                status = client.get_status(role)
                assert {process.service for process in status.processes} == set(MODULES)
                assert status.broker.dead_letters == 0
            await poisoned(broker, keys)
            until(lambda: any(client.list_dead_letters()))
            (letter,) = client.list_dead_letters()
            assert client.get_dead_letter(letter.name).payload == b"\xff"
            client.drop_dead_letter(letter.name)
            assert not list(client.list_dead_letters())
        logs = {role: process.log for role, process in services.items()}
    assert "Violation" not in broker.log, [line for line in broker.log.splitlines() if "Violation" in line]
    for role, log in logs.items():
        assert "ermissions" not in log, (role, log[-2000:])

"""Sixteen clients change a registry at random while it is killed: its history stays a valid one.

``AUTOISP_HISTORY_SECONDS=60 pytest tests/e2e/test_registry_history.py`` for longer than by default.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import grpc
import pytest
from autoisp.common.v1 import common_pb2
from autoisp.events.v1 import events_pb2
from autoisp.registry.v1 import registry_pb2
from autoisp_runtime.artifacts import ArtifactStore
from autoisp_runtime.jetstream import Event, NatsConnection
from autoisp_runtime.jetstream.topology import EVENT_STREAM, event_subjects
from autoisp_testing.graphs import root_of
from autoisp_testing.nats import NatsServer
from autoisp_testing.postgres import PostgresServer
from autoisp_testing.processes import ServiceProcess
from nats.errors import TimeoutError as NothingMoreError
from nats.js import api
from registry_history import Act, RandomClient, Stub, check_acts, replay

CLIENTS, KILLS, NETWORKS = 16, 3, 400
SECONDS = float(os.environ.get("AUTOISP_HISTORY_SECONDS", "12"))
MODELS = tuple(f"models/m{number}" for number in range(3))

pytestmark = pytest.mark.timeout(SECONDS + 180)


@pytest.fixture(params=["one process with SQLite", "two processes with PostgreSQL"])
def registries(
    request: pytest.FixtureRequest, tmp_path: Path, nats_server: NatsServer
) -> Iterator[list[ServiceProcess]]:
    settings: dict[str, object] = {
        "nats_url": nats_server.url,
        "store_url": (tmp_path / "artifacts").as_uri(),
        "convert": "false",
        "log_level": "warning",
    }
    count = 1
    if "PostgreSQL" in request.param:
        server: PostgresServer = request.getfixturevalue("postgres")
        settings["database_url"], count = server.new_database(), 2
    with ExitStack() as stack:
        yield [
            stack.enter_context(ServiceProcess("autoisp_registry", tmp_path, **settings))
            for _ in range(count)
        ]


def networks(folder: Path) -> list[common_pb2.Artifact]:
    """Files that differ."""
    store = ArtifactStore((folder / "artifacts").as_uri())
    stored = [
        store.put_bytes(root_of(1 + number / NETWORKS), "application/onnx") for number in range(NETWORKS)
    ]
    return [common_pb2.Artifact(sha256=one.sha256, size_bytes=one.size_bytes) for one in stored]


async def killed(registries: list[ServiceProcess], until: float) -> None:
    """Kill one of them, and start it again at once, at times spread over the run."""
    pause = (until - time.monotonic()) / (KILLS + 1)
    for number in range(KILLS):
        await asyncio.sleep(pause)
        process = registries[number % len(registries)]
        process.kill()
        await asyncio.to_thread(process.start)


async def log_of(stub: Stub) -> list[registry_pb2.AuditEntry]:
    """The whole audit log."""
    entries: list[registry_pb2.AuditEntry] = []
    token = ""
    while True:
        page = await stub.ListAuditEntries(
            registry_pb2.ListAuditEntriesRequest(page_size=1000, page_token=token)
        )
        entries += page.audit_entries
        if not (token := page.next_page_token):
            return entries


async def announced(nats_url: str, wanted: int) -> Counter[int]:
    """Sequences of the entries that events carried, each as often as it came; waits for that many."""
    connection = await NatsConnection.open(nats_url)
    try:
        config = api.ConsumerConfig(ack_policy=api.AckPolicy.NONE)
        pull = await connection.js.pull_subscribe(
            event_subjects(Event.MODEL_CHANGED), stream=EVENT_STREAM, config=config
        )
        seen: Counter[int] = Counter()
        deadline = time.monotonic() + 30
        while seen.total() < wanted and time.monotonic() < deadline:
            try:
                messages = await pull.fetch(500, timeout=1)
            except NothingMoreError:
                continue
            seen.update(events_pb2.ModelChanged.FromString(one.data).entry.sequence for one in messages)
        return seen
    finally:
        await connection.close()


def summary(acts: list[Act], repeats: int) -> str:
    """What happened, for people who watch."""
    kinds = Counter(act.kind if act.refused is None else f"{act.kind} refused" for act in acts)
    waits = sorted(act.ended - act.began for act in acts)
    counted = ", ".join(f"{count} {kind}" for kind, count in sorted(kinds.items()))
    return (
        f"{len(acts)} calls in {SECONDS:.0f} s ({counted}), {repeats} repeated unheard, "
        f"median {1000 * waits[len(waits) // 2]:.0f} ms, longest {waits[-1]:.1f} s"
    )


async def test_the_history_is_one_that_clients_one_by_one_could_have_made(
    registries: list[ServiceProcess], nats_server: NatsServer, tmp_path: Path
) -> None:
    files = networks(tmp_path)
    clients = [
        RandomClient(number, lambda n=number: registries[n % len(registries)].address, MODELS, files)
        for number in range(CLIENTS)
    ]
    # Two versions of each to begin with, so that there is something to promote.
    await asyncio.gather(
        *(clients[number % CLIENTS].act("register", name) for number, name in enumerate(2 * MODELS))
    )
    until = time.monotonic() + SECONDS
    await asyncio.gather(killed(registries, until), *(client.run(until) for client in clients))
    acts = [act for client in clients for act in client.acts]
    print(summary(acts, sum(client.repeats for client in clients)))

    async with grpc.aio.insecure_channel(registries[0].address) as channel:
        stub = Stub(channel)
        entries = await log_of(stub)
        check_acts(acts, entries)
        for name, model in replay(entries).items():
            found = await stub.GetModel(registry_pb2.GetModelRequest(name=name))
            assert found.latest_version == model.versions
            assert found.aliases.get("champion", 0) == model.champion
            versions = await stub.ListModelVersions(
                registry_pb2.ListModelVersionsRequest(parent=name, page_size=1000)
            )
            numbers = [int(version.name.rpartition("/")[2]) for version in versions.model_versions]
            assert numbers == list(range(1, model.versions + 1))
        verified = await stub.VerifyAuditLog(registry_pb2.VerifyAuditLogRequest())
    assert (verified.intact, verified.entries) == (True, len(entries))
    assert verified.head_sha256 == entries[-1].sha256
    assert await announced(nats_server.url, len(entries)) == Counter(range(1, len(entries) + 1))

    done = Counter(act.kind for act in acts if act.refused is None)
    assert min(done[kind] for kind in ("register", "promote", "rollback")) >= 3, done
    assert sum(client.repeats for client in clients) > 0, "no call met a kill: nothing was tried"

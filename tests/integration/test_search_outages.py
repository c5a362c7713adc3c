"""A search goes on through what befalls brokers, database and messages, and records each trial once."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import pytest
from autoisp.prototype.v1 import prototype_pb2
from autoisp.search.v1 import search_pb2, search_pb2_grpc
from autoisp_core.errors import InternalError
from autoisp_core.pagination import PageRequest
from autoisp_runtime.artifacts import ArtifactStore
from autoisp_runtime.jetstream import (
    Command,
    Envelope,
    Event,
    NatsConnection,
    Publisher,
    command_subject,
    event_subject,
)
from autoisp_runtime.jetstream.dead_letters import publish_dead_letter
from autoisp_runtime.jetstream.topology import COMMAND_STREAM, EVENT_STREAM, SEARCH_RESULTS, WORKER_TRIALS
from autoisp_runtime.operations.dead_letters import DeadLetters
from autoisp_testing.nats import NatsServer
from autoisp_testing.nats_cluster import NatsCluster
from autoisp_testing.postgres import postgres_server
from autoisp_testing.processes import ServiceProcess
from nats.js.api import RawStreamMsg
from nats.js.errors import NotFoundError
from search_worker import ScriptedWorker, store_dataset

SEARCH_ID = "outages"
TRIALS = 16
STRIKES_AFTER = 4

Strike = Callable[[NatsConnection], Awaitable[None]]


@asynccontextmanager
async def working(url: str) -> AsyncIterator[tuple[ScriptedWorker, NatsConnection]]:
    connection = await NatsConnection.open(url)
    worker = ScriptedWorker(connection, seconds=0.1)
    task = asyncio.create_task(worker.consumer.run())
    yield worker, connection
    await worker.consumer.stop()
    await task
    await connection.close()


def request(dataset: str) -> search_pb2.CreateSearchRequest:
    search = search_pb2.Search(
        dataset=dataset,
        prototype=prototype_pb2.Prototype(builtin="classical"),
        budget=search_pb2.Budget(macs_per_pixel=2000),
        rungs=[search_pb2.Rung(trials=TRIALS, steps=5)],
        max_parallel_trials=6,  # some always wait in the queue
        strategy="random",
        objectives=["quality", "macs"],
        seed=5,
    )
    return search_pb2.CreateSearchRequest(search_id=SEARCH_ID, search=search)


def received(message: RawStreamMsg) -> Envelope:
    """As a consumer gets it."""
    headers = message.headers or {}
    return Envelope(message.subject or "", message.data or b"", headers["Nats-Msg-Id"], headers, 5)


async def tune(process: ServiceProcess, folder: Path, url: str, strike: Strike) -> ScriptedWorker:
    """A search that is struck in its midst; each trial must be recorded once, with success."""
    dataset = store_dataset(ArtifactStore((folder / "artifacts").as_uri()))
    name = f"searches/{SEARCH_ID}"
    async with working(url) as (worker, connection), grpc.aio.insecure_channel(process.address) as channel:
        stub = search_pb2_grpc.SearchServiceStub(channel)
        await stub.CreateSearch(request(dataset))
        async with asyncio.timeout(60):
            while len(worker.commands) < STRIKES_AFTER:  # noqa: ASYNC110 - messages of another process
                await asyncio.sleep(0.01)
        await strike(connection)
        async with asyncio.timeout(90):
            found = await ended(stub, name)
        trials = (await stub.ListTrials(search_pb2.ListTrialsRequest(parent=name))).trials
    assert found.state == search_pb2.SEARCH_STATE_SUCCEEDED
    assert [trial.state for trial in trials] == [search_pb2.TRIAL_STATE_SUCCEEDED] * TRIALS
    assert len({trial.name for trial in trials}) == found.trial_counts.succeeded == TRIALS
    return worker


async def ended(stub: search_pb2_grpc.SearchServiceAsyncStub, name: str) -> search_pb2.Search:
    """The search at its end; while its database is away the service says so, and is asked again."""
    while True:
        try:
            found = await stub.GetSearch(search_pb2.GetSearchRequest(name=name))
        except grpc.aio.AioRpcError as error:
            if error.code() != grpc.StatusCode.UNAVAILABLE:
                raise
        else:
            if found.state != search_pb2.SEARCH_STATE_RUNNING:
                return found
        await asyncio.sleep(0.1)


@pytest.mark.timeout(240)
async def test_the_broker_that_leads_dies(tmp_path: Path) -> None:
    with NatsCluster(tmp_path / "nats") as brokers:
        process = ServiceProcess(
            "autoisp_search", tmp_path, nats_url=brokers.url(), nats_replicas=3, ack_wait_seconds=3
        )

        async def strike(connection: NatsConnection) -> None:
            cluster = (await connection.js.stream_info(COMMAND_STREAM)).cluster
            assert cluster is not None
            assert cluster.leader is not None
            await asyncio.to_thread(brokers.kill, cluster.leader)

        with process.start():
            worker = await tune(process, tmp_path, brokers.url(), strike)
        assert len(worker.commands) == TRIALS + 1


@pytest.mark.timeout(240)
async def test_the_database_dies(tmp_path: Path, nats_server: NatsServer) -> None:
    with postgres_server(tmp_path / "postgres") as database:
        process = ServiceProcess(
            "autoisp_search",
            tmp_path,
            nats_url=nats_server.url,
            database_url=database.new_database(),
            ack_wait_seconds=3,
        )

        async def strike(_connection: NatsConnection) -> None:
            await asyncio.to_thread(database.kill)
            await asyncio.sleep(1)
            await asyncio.to_thread(database.start)

        with process.start():
            worker = await tune(process, tmp_path, nats_server.url, strike)
        assert len(worker.commands) == TRIALS + 1


@pytest.mark.timeout(240)
async def test_messages_come_again_backwards_and_some_mean_nothing(
    tmp_path: Path, nats_server: NatsServer
) -> None:
    dead_letters = 0
    process = ServiceProcess("autoisp_search", tmp_path, nats_url=nats_server.url, ack_wait_seconds=3)

    async def strike(connection: NatsConnection) -> None:
        nonlocal dead_letters
        js = connection.js
        delivered = (await js.consumer_info(COMMAND_STREAM, WORKER_TRIALS.durable)).delivered
        assert delivered is not None
        copies = []
        for stream, first in ((COMMAND_STREAM, delivered.stream_seq + 1), (EVENT_STREAM, 1)):
            state = (await js.stream_info(stream)).state
            for sequence in range(first, state.last_seq + 1):
                try:
                    copies.append(await js.get_msg(stream, sequence))
                except NotFoundError:  # handled and gone meanwhile
                    continue
        for copy in reversed(copies):
            again = {"Nats-Msg-Id": f"again-{copy.subject}-{copy.seq}"}
            await js.publish(copy.subject or "", copy.data or b"", headers=again)
        # A result that was given up, sent again twice by somebody in a hurry.
        (result, *_) = [copy for copy in copies if ".evt.trial.completed." in (copy.subject or "")]
        await publish_dead_letter(connection, SEARCH_RESULTS, received(result), InternalError("no luck"))
        letters = DeadLetters(connection, Publisher(connection, "autoisp/testing"))
        (letter,) = (await letters.page(PageRequest.parse(0, ""))).items
        replays = [await letters.replay(letter.sequence, "ann") for _ in range(2)]
        assert len({replay.replay.event_id for replay in replays if replay.replay}) == 2
        assert (letter.subject, letter.payload) == (result.subject, result.data)
        await letters.drop(letter.sequence, "ann")
        await js.publish(event_subject(Event.TRIAL_COMPLETED, f"{SEARCH_ID}-r0-9999"), b"\xff\xff")
        await js.publish(event_subject(Event.PROTOTYPE_PROFILED, "nothing"), b"\xff\xff")
        await js.publish(command_subject(Command.TRIAL_RUN, "nothing"), b"\xff\xff")
        async with asyncio.timeout(30):
            while len(given_up := (await letters.page(PageRequest.parse(0, ""))).items) < 3:  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        dead_letters = len(given_up)

    with process.start():
        await tune(process, tmp_path, nats_server.url, strike)
    assert dead_letters == 3


@pytest.mark.timeout(240)
async def test_the_broker_comes_back_without_its_disk(tmp_path: Path, nats_server: NatsServer) -> None:
    process = ServiceProcess("autoisp_search", tmp_path, nats_url=nats_server.url, ack_wait_seconds=3)

    async def strike(_connection: NatsConnection) -> None:
        nats_server.kill()
        shutil.rmtree(tmp_path / "nats" / "data")
        await asyncio.to_thread(nats_server.start)

    with process.start():
        await tune(process, tmp_path, nats_server.url, strike)

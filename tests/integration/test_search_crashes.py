"""A search whose service is killed again and again ends as the one that nobody disturbed."""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import pytest
from autoisp.prototype.v1 import prototype_pb2
from autoisp.search.v1 import search_pb2, search_pb2_grpc
from autoisp_runtime.artifacts import ArtifactStore
from autoisp_runtime.jetstream import NatsConnection
from autoisp_testing.nats import NatsServer
from autoisp_testing.processes import ServiceProcess
from search_worker import ScriptedWorker, store_dataset

STRATEGIES = ("predictor", "evolution", "blockqnn")
"""The default, the simplest that learns, and the one with the largest memory."""
KILLS = 20
RUNGS = (16, 4, 2)


def request(dataset: str, strategy: str) -> search_pb2.CreateSearchRequest:
    search = search_pb2.Search(
        dataset=dataset,
        prototype=prototype_pb2.Prototype(builtin="classical"),
        budget=search_pb2.Budget(macs_per_pixel=2000),
        rungs=[search_pb2.Rung(trials=trials, steps=5) for trials in RUNGS],
        max_parallel_trials=1,
        strategy=strategy,
        objectives=["quality", "macs"],
        seed=5,
    )
    return search_pb2.CreateSearchRequest(search_id=f"by-{strategy}", search=search)


@asynccontextmanager
async def working(url: str) -> AsyncIterator[ScriptedWorker]:
    connection = await NatsConnection.open(url)
    worker = ScriptedWorker(connection)
    task = asyncio.create_task(worker.consumer.run())
    yield worker
    await worker.consumer.stop()
    await task
    await connection.close()


async def create(process: ServiceProcess, dataset: str) -> None:
    async with grpc.aio.insecure_channel(process.address) as channel:
        stub = search_pb2_grpc.SearchServiceStub(channel)
        for strategy in STRATEGIES:
            await stub.CreateSearch(request(dataset, strategy))


async def story(
    process: ServiceProcess, strategy: str
) -> tuple[list[tuple[object, ...]], tuple[object, ...]]:
    """All trials of a search and what it ended with, once it has."""
    async with grpc.aio.insecure_channel(process.address) as channel, asyncio.timeout(60):
        stub = search_pb2_grpc.SearchServiceStub(channel)
        name = f"searches/by-{strategy}"
        watched = [change async for change in stub.WatchSearch(search_pb2.WatchSearchRequest(name=name))]
        found = await stub.ListTrials(search_pb2.ListTrialsRequest(parent=name, page_size=100))
    search = watched[-1].search
    assert search.state == search_pb2.SEARCH_STATE_SUCCEEDED
    trials = [
        (trial.name, trial.spec, trial.parent, trial.quality.psnr_db, trial.predicted_seconds_per_megapixel)
        for trial in found.trials
    ]
    return trials, (list(search.pareto_trials), search.best_trial, dict(search.strategy_figures))


@pytest.mark.timeout(400)  # half a minute, but for the starts of a service that a busy machine makes slow
async def test_twenty_kills_change_nothing(tmp_path: Path, nats_server: NatsServer) -> None:
    stories = []
    for place, kills in (("undisturbed", 0), ("killed", KILLS)):
        folder = tmp_path / place
        dataset = store_dataset(ArtifactStore((folder / "artifacts").as_uri()))
        process = ServiceProcess("autoisp_search", folder, nats_url=nats_server.url, ack_wait_seconds=2)
        chance = random.Random(7)
        commands = len(STRATEGIES) * (1 + sum(RUNGS))
        moments = sorted(chance.sample(range(1, commands), kills))
        with process.start():
            async with working(nats_server.url) as worker:
                await create(process, dataset)
                for moment in moments:
                    async with asyncio.timeout(60):
                        while len(worker.commands) < moment:  # noqa: ASYNC110 - another process
                            await asyncio.sleep(0.001)
                    # While a result is on its way, is handled, is written, or is answered with a command.
                    await asyncio.sleep(chance.uniform(0, 0.04))
                    process.kill()
                    await asyncio.to_thread(process.start)
                stories.append([await story(process, strategy) for strategy in STRATEGIES])
                # No trial was done twice under another name.
                assert len(worker.commands) == commands
    undisturbed, killed = stories
    for trials, ended in undisturbed:
        assert len(trials) == sum(RUNGS)
        assert ended[0]
    assert killed == undisturbed

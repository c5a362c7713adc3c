"""The search service as a real process, with a real nats-server and a worker that answers at once."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import pytest
import pytest_asyncio
from autoisp.events.v1 import events_pb2
from autoisp.prototype.v1 import prototype_pb2
from autoisp.search.v1 import search_pb2, search_pb2_grpc
from autoisp_client.errors import from_rpc_error
from autoisp_core.errors import (
    AlreadyExistsError,
    AutoISPError,
    InvalidArgumentError,
    NotFoundError,
    UnavailableError,
)
from autoisp_runtime.artifacts import ArtifactStore
from autoisp_runtime.jetstream import NatsConnection
from autoisp_testing.nats import NatsServer
from autoisp_testing.processes import ServiceProcess
from search_worker import ScriptedWorker, store_dataset


@pytest.fixture
def process(tmp_path: Path, nats_server: NatsServer) -> ServiceProcess:
    return ServiceProcess("autoisp_search", tmp_path, nats_url=nats_server.url, ack_wait_seconds=2)


@pytest.fixture
def dataset(tmp_path: Path) -> str:
    return store_dataset(ArtifactStore((tmp_path / "artifacts").as_uri()))


@pytest_asyncio.fixture
async def worker(process: ServiceProcess, nats_server: NatsServer) -> AsyncIterator[ScriptedWorker]:
    with process.start():
        connection = await NatsConnection.open(nats_server.url)
        scripted = ScriptedWorker(connection, seconds=0.05)
        task = asyncio.create_task(scripted.consumer.run())
        yield scripted
        await scripted.consumer.stop()
        await task
        await connection.close()


@asynccontextmanager
async def connected(process: ServiceProcess) -> AsyncIterator[search_pb2_grpc.SearchServiceAsyncStub]:
    async with grpc.aio.insecure_channel(process.address) as channel:
        yield search_pb2_grpc.SearchServiceStub(channel)


def request(dataset: str, search_id: str = "", **changes: object) -> search_pb2.CreateSearchRequest:
    search = search_pb2.Search(
        dataset=dataset,
        prototype=prototype_pb2.Prototype(builtin="classical"),
        budget=search_pb2.Budget(reduction=100),
        strategy="evolution",  # takes no time
        rungs=[
            search_pb2.Rung(trials=12, steps=5),
            search_pb2.Rung(trials=4, steps=5),
            search_pb2.Rung(trials=2, seconds=0.1),
        ],
    )
    for name, value in changes.items():
        setattr(search, name, value)
    return search_pb2.CreateSearchRequest(search_id=search_id, search=search)


async def follow(stub: search_pb2_grpc.SearchServiceAsyncStub, name: str) -> list[search_pb2.SearchUpdate]:
    return [update async for update in stub.WatchSearch(search_pb2.WatchSearchRequest(name=name))]


async def ended(process: ServiceProcess, name: str) -> search_pb2.Search:
    """Wait for the end, through a watch that is begun again after a restart of the service."""
    async with asyncio.timeout(60):
        while True:
            try:
                async with connected(process) as stub:
                    return (await follow(stub, name))[-1].search
            except (grpc.aio.AioRpcError, OSError, ValueError):
                await asyncio.sleep(0.05)


async def trials_of(process: ServiceProcess, name: str) -> list[search_pb2.Trial]:
    trials: list[search_pb2.Trial] = []
    token = ""
    async with connected(process) as stub:
        while True:
            page = await stub.ListTrials(
                search_pb2.ListTrialsRequest(parent=name, page_size=5, page_token=token)
            )
            trials += page.trials
            token = page.next_page_token
            if not token:
                return trials


async def completions(nats: str) -> list[events_pb2.SearchCompleted]:
    connection = await NatsConnection.open(nats)
    found = []
    try:
        messages = await connection.js.subscribe("autoisp.v1.evt.search.completed.*", ordered_consumer=True)
        while True:
            message = await messages.next_msg(timeout=0.7)
            found.append(events_pb2.SearchCompleted.FromString(message.data))
    except TimeoutError:
        return found
    finally:
        await connection.close()


def check_whole(search: search_pb2.Search, trials: list[search_pb2.Trial], worker: ScriptedWorker) -> None:
    """No trial is missing, none is there twice, none was asked for twice under another name."""
    assert search.state == search_pb2.SEARCH_STATE_SUCCEEDED
    expected = [f"{search.name}/trials/r0-{n:04d}" for n in range(1, 13)]
    expected += [f"{search.name}/trials/r1-{n:04d}" for n in range(1, 5)]
    expected += [f"{search.name}/trials/r2-{n:04d}" for n in range(1, 3)]
    assert [trial.name for trial in trials] == expected
    assert {trial.state for trial in trials} == {search_pb2.TRIAL_STATE_SUCCEEDED}
    assert len({trial.spec_hash for trial in trials if trial.rung == 0}) == 12
    assert search.trial_counts == search_pb2.TrialCounts(succeeded=18, planned=18)
    assert len(worker.commands) == 18 + 1


async def test_a_whole_search_over_the_bus(
    process: ServiceProcess, worker: ScriptedWorker, dataset: str, nats_server: NatsServer
) -> None:
    async with connected(process) as stub:
        created = await stub.CreateSearch(request(dataset, "whole"))
        assert created.state == search_pb2.SEARCH_STATE_PROFILING
        watches = await asyncio.wait_for(
            asyncio.gather(*(follow(stub, created.name) for _ in range(5))), timeout=60
        )
        again = await stub.CreateSearch(request(dataset, "whole"))
        search = await stub.GetSearch(search_pb2.GetSearchRequest(name=created.name))
        assert again == search
    trials = await trials_of(process, created.name)
    check_whole(search, trials, worker)
    assert search.sensor.identity_ccm  # the prototype has no input for a colour matrix
    assert search.seconds_per_megapixel_limit == pytest.approx(5 / 100 * 0.9)
    for updates in watches:
        assert updates[0].search.name == created.name
        assert updates[-1].search == search
        seen = {update.trial.name: update.trial for update in updates if update.HasField("trial")}
        assert sorted(seen.values(), key=lambda trial: trial.name) == trials
    [event] = await completions(nats_server.url)
    assert event.search == search
    assert event.best_trial.name == search.best_trial
    assert event.manifest.sha256


async def test_kill_9_in_mid_search(
    process: ServiceProcess, worker: ScriptedWorker, dataset: str, nats_server: NatsServer
) -> None:
    async with connected(process) as stub:
        name = (await stub.CreateSearch(request(dataset, "killed", max_parallel_trials=1))).name
    for done in (1, 5, 9):
        while len(await trials_of(process, name)) <= done:  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.01)
        process.kill()
        await asyncio.sleep(0.1)  # results come in the meantime
        await asyncio.to_thread(process.start)
    search = await ended(process, name)
    check_whole(search, await trials_of(process, name), worker)
    assert len(await completions(nats_server.url)) == 1


async def test_kill_9_of_nats_in_mid_search(
    process: ServiceProcess, worker: ScriptedWorker, dataset: str, nats_server: NatsServer
) -> None:
    async with connected(process) as stub:
        name = (await stub.CreateSearch(request(dataset, "offline", max_parallel_trials=1))).name
    while len(await trials_of(process, name)) < 4:  # noqa: ASYNC110 - another process
        await asyncio.sleep(0.01)
    nats_server.kill()
    await asyncio.sleep(0.3)
    nats_server.start()
    search = await ended(process, name)
    check_whole(search, await trials_of(process, name), worker)
    assert len(await completions(nats_server.url)) == 1


async def test_cancelling_over_the_bus(process: ServiceProcess, worker: ScriptedWorker, dataset: str) -> None:
    async with connected(process) as stub:
        name = (await stub.CreateSearch(request(dataset, "cancelled"))).name
        watching = asyncio.create_task(follow(stub, name))
        while not await trials_of(process, name):  # noqa: ASYNC110 - another process
            await asyncio.sleep(0.01)
        cancelled = await stub.CancelSearch(search_pb2.CancelSearchRequest(name=name))
        assert cancelled.state == search_pb2.SEARCH_STATE_CANCELLED
        assert (await asyncio.wait_for(watching, 10))[-1].search == cancelled
        before = await trials_of(process, name)
        await asyncio.sleep(0.3)  # late results
        assert await trials_of(process, name) == before
        assert await stub.CancelSearch(search_pb2.CancelSearchRequest(name=name)) == cancelled


async def test_a_stop_does_not_wait_for_watchers(process: ServiceProcess, dataset: str) -> None:
    with process.start():
        async with connected(process) as stub:
            name = (await stub.CreateSearch(request(dataset))).name
            watching = stub.WatchSearch(search_pb2.WatchSearchRequest(name=name))
            await watching.read()
            began = time.monotonic()
            assert await asyncio.to_thread(process.stop) == 0
            assert time.monotonic() - began < 5
            assert isinstance(await refusal(watching.read()), UnavailableError)


async def test_a_result_that_makes_no_sense_fails_its_trial(
    process: ServiceProcess, worker: ScriptedWorker, dataset: str
) -> None:
    worker.garbage = {"r0-0002", "r0-0003"}
    async with connected(process) as stub:
        name = (await stub.CreateSearch(request(dataset, "a-r0-0001"))).name
    search = await ended(process, name)
    assert search.state == search_pb2.SEARCH_STATE_SUCCEEDED
    assert search.trial_counts.failed == 2
    failed = [trial for trial in await trials_of(process, name) if trial.HasField("failure")]
    assert [trial.failure.reason for trial in failed] == ["UNDECODABLE"] * 2


async def refusal(call: Awaitable[object]) -> AutoISPError:
    """The error that a call ends with, as a client sees it."""
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return from_rpc_error(caught.value)


async def test_wrong_requests_name_the_field(process: ServiceProcess, dataset: str) -> None:
    with process.start():
        async with connected(process) as stub:
            bad = request(dataset)
            bad.search.budget.reduction = 0.5
            error = await refusal(stub.CreateSearch(bad))
            assert isinstance(error, InvalidArgumentError)
            assert error.field == "search.budget.reduction"
            validation = search_pb2.ValidateSearchRequest(search=bad.search)
            assert str(await refusal(stub.ValidateSearch(validation))) == str(error)
            error = await refusal(stub.CreateSearch(request("datasets/none")))
            assert isinstance(error, NotFoundError)
            assert error.metadata["field"] == "search.dataset"
            error = await refusal(stub.GetSearch(search_pb2.GetSearchRequest(name="searches/none")))
            assert isinstance(error, NotFoundError)
            error = await refusal(stub.GetTrial(search_pb2.GetTrialRequest(name="searches/none")))
            assert isinstance(error, InvalidArgumentError)
            assert error.field == "name"
            await stub.CreateSearch(request(dataset, "mine"))
            error = await refusal(stub.CreateSearch(request(dataset, "mine", seed=1)))
            assert isinstance(error, AlreadyExistsError)
            assert error.metadata["field"] == "search_id"
            listed = await stub.ListSearches(search_pb2.ListSearchesRequest(page_size=1))
            assert [search.name for search in listed.searches] == ["searches/mine"]
        assert process.stop() == 0

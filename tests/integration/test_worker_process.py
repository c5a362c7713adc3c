"""The worker as a process, with a real nats-server; both get killed."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import grpc
import pytest
import pytest_asyncio
from autoisp.evaluation.v1 import evaluation_pb2
from autoisp.events.v1 import commands_pb2
from autoisp.search.v1 import search_pb2
from autoisp_core.spec import cost
from autoisp_isp.checkpoint import load_checkpoint
from autoisp_isp.export import export_onnx
from autoisp_isp.network import build
from autoisp_isp.runtime_session import load_session
from autoisp_runtime.jetstream.topology import DEAD_LETTER_STREAM
from autoisp_testing.nats import NatsServer
from autoisp_testing.processes import ServiceProcess
from autoisp_worker.results import Checkpoints, conversion_key, trial_key
from grpc_health.v1 import health_pb2, health_pb2_grpc
from worker_bus import Bus, worker_process
from worker_jobs import ONNX_FORMATS, RECURRENT, Footage, artifact

_LONG = 800
"""Steps of a trial that is still at it when something happens to its worker."""


@pytest_asyncio.fixture
async def bus(nats_server: NatsServer) -> AsyncIterator[Bus]:
    async with Bus.of(nats_server) as connected:
        yield connected


@pytest.fixture
def footage(tmp_path: Path) -> Footage:
    return Footage.make(tmp_path / "artifacts")


@pytest.fixture
def worker(nats_server: NatsServer, tmp_path: Path) -> Iterator[ServiceProcess]:
    with worker_process(nats_server, tmp_path) as process:
        yield process


async def until_checkpoint(footage: Footage, trial: str, worker: ServiceProcess) -> int:
    """Waits until the trial has left a checkpoint; returns its step."""
    deadline = time.monotonic() + 90
    while (data := Checkpoints(footage.store).load(trial)) is None:
        assert time.monotonic() < deadline, worker.log[-3000:]
        await asyncio.sleep(0.05)
    return load_checkpoint(data).step


def attempted(footage: Footage, trial: str) -> bool:
    return footage.store.get_result(f"attempts/{trial_key(trial)}") is not None


async def until_attempted(footage: Footage, trial: str, worker: ServiceProcess) -> None:
    deadline = time.monotonic() + 90
    while not attempted(footage, trial):
        assert time.monotonic() < deadline, worker.log[-3000:]
        await asyncio.sleep(0.05)


def long_trial(footage: Footage) -> commands_pb2.RunTrial:
    return footage.trial(fidelity=search_pb2.Rung(steps=_LONG))


async def test_a_trial_is_done_acknowledged_and_announced(
    bus: Bus, footage: Footage, worker: ServiceProcess
) -> None:
    await bus.send(footage.trial())

    (trial,) = await bus.completed()

    assert trial.state == search_pb2.TRIAL_STATE_SUCCEEDED
    assert (trial.worker, trial.steps, trial.progress) == ("tester", 20, 1.0)
    assert trial.end_time.ToDatetime() > trial.start_time.ToDatetime()
    assert await bus.events("autoisp.v1.evt.trial.reported.s-r0-0000")
    assert worker.stop() == 0


async def test_a_recurrent_trial_and_the_evaluation_of_its_network(
    bus: Bus, footage: Footage, worker: ServiceProcess
) -> None:
    await bus.send(footage.trial(spec=RECURRENT.to_json()))
    (trial,) = await bus.completed(timeout_s=90.0)

    assert trial.state == search_pb2.TRIAL_STATE_SUCCEEDED
    assert trial.cost.macs_per_pixel == cost(RECURRENT).macs_per_pixel
    assert trial.cost.seconds_per_megapixel > 0
    assert 10 < trial.quality.psnr_db < 50

    # The search service sends no spec along: whoever gets the graph sees from itself that it is recurrent.
    await bus.evaluate(footage.evaluation(evaluation_pb2.Subject(label="model", onnx=trial.onnx)))
    (result,) = await bus.judged()
    assert not result.HasField("failure"), result.failure
    assert [frame.frame for frame in result.subjects[0].frames] == [0, 2, 5]
    assert result.subjects[0].cost.macs_per_pixel == cost(RECURRENT).macs_per_pixel


async def test_the_same_command_again_announces_the_same_result(
    bus: Bus, footage: Footage, worker: ServiceProcess
) -> None:
    await bus.send(footage.trial(), "first")
    (first,) = await bus.completed()
    await bus.send(footage.trial(), "second")

    again = await bus.completed()

    assert again == [first]  # JetStream knows the announcement's id
    assert "recorded already" in worker.log


async def test_a_killed_workers_trial_is_resumed_and_recorded_once(
    bus: Bus, footage: Footage, nats_server: NatsServer, tmp_path: Path
) -> None:
    command = long_trial(footage)
    with worker_process(nats_server, tmp_path) as first:
        await bus.send(command)
        step = await until_checkpoint(footage, command.trial, first)
        first.kill()
    assert 0 < step < _LONG
    assert not await bus.events()

    with worker_process(nats_server, tmp_path, worker_id="second") as second:
        (trial,) = await bus.completed()
        assert "resuming" in second.log

    assert (trial.state, trial.worker, trial.steps) == (search_pb2.TRIAL_STATE_SUCCEEDED, "second", _LONG)
    assert Checkpoints(footage.store).load(command.trial) is None


async def test_a_stopped_worker_hands_its_trial_back(
    bus: Bus, footage: Footage, nats_server: NatsServer, tmp_path: Path
) -> None:
    command = long_trial(footage)
    await bus.send(command)
    for _ in range(2):  # hand-backs are no crashes, however many
        with worker_process(nats_server, tmp_path, stop_grace_seconds=0.0, max_deliver=1) as first:
            await until_attempted(footage, command.trial, first)
            assert first.stop() == 0
        assert not attempted(footage, command.trial)
    assert not await bus.events()

    with worker_process(nats_server, tmp_path, worker_id="second", max_deliver=1):
        (trial,) = await bus.completed()

    assert (trial.state, trial.worker) == (search_pb2.TRIAL_STATE_SUCCEEDED, "second")


async def test_a_trial_outlives_its_broker(
    bus: Bus, footage: Footage, nats_server: NatsServer, worker: ServiceProcess
) -> None:
    command = long_trial(footage)
    await bus.send(command)
    await until_checkpoint(footage, command.trial, worker)
    nats_server.kill()
    await asyncio.sleep(1.0)
    nats_server.start()

    (trial,) = await bus.completed()

    assert (trial.state, trial.steps) == (search_pb2.TRIAL_STATE_SUCCEEDED, _LONG)


async def test_cancelling_a_search_stops_its_running_and_its_waiting_trials(
    bus: Bus, footage: Footage, worker: ServiceProcess
) -> None:
    running = footage.trial(fidelity=search_pb2.Rung(seconds=120))
    await bus.send(running)
    await bus.send(footage.trial("r0-0001"))
    await until_checkpoint(footage, running.trial, worker)

    await bus.cancel("s")

    trials = await bus.completed(2)
    assert [trial.state for trial in trials] == [search_pb2.TRIAL_STATE_CANCELLED] * 2


async def test_a_command_that_makes_no_sense_fails_before_it_becomes_a_dead_letter(
    bus: Bus, footage: Footage, worker: ServiceProcess
) -> None:
    command = footage.trial()
    command.sensor.builtin = "nonesuch"
    await bus.send(command)

    (trial,) = await bus.completed()

    assert trial.state == search_pb2.TRIAL_STATE_FAILED
    assert "nonesuch" in trial.failure.message
    assert await bus.queued(DEAD_LETTER_STREAM) == 1


async def test_a_trial_that_kills_its_workers_is_given_up(
    bus: Bus, footage: Footage, nats_server: NatsServer, tmp_path: Path
) -> None:
    command = long_trial(footage)
    await bus.send(command)
    with worker_process(nats_server, tmp_path, max_deliver=1) as first:
        await until_checkpoint(footage, command.trial, first)
        first.kill()

    with worker_process(nats_server, tmp_path, max_deliver=1):
        (trial,) = await bus.completed()

    assert (trial.state, trial.failure.reason) == (search_pb2.TRIAL_STATE_FAILED, "WORKER_CRASHED")
    assert await bus.queued(DEAD_LETTER_STREAM) == 1


async def test_the_worker_says_that_it_is_well(worker: ServiceProcess, bus: Bus) -> None:
    async with grpc.aio.insecure_channel(worker.address) as channel:
        answer = await health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())

    assert answer.status == health_pb2.HealthCheckResponse.SERVING


@pytest.mark.parametrize(
    ("setting", "word"), [({"device": "cuda:7"}, "AUTOISP_DEVICE"), ({"threads": 0}, "AUTOISP_THREADS")]
)
def test_a_wrong_setting_ends_it_with_its_name(
    nats_server: NatsServer, tmp_path: Path, setting: dict[str, object], word: str
) -> None:
    process = worker_process(nats_server, tmp_path, **setting).start(wait=False)

    assert process.wait() == 2
    assert word in process.log


async def test_a_conversion_whose_worker_is_killed_is_done_by_the_next_one(
    bus: Bus, footage: Footage, nats_server: NatsServer, tmp_path: Path
) -> None:
    command = footage.conversion(export_onnx(build(RECURRENT)))
    attempt = "attempts/" + conversion_key(command.model_version, command.conversion_id)
    with worker_process(nats_server, tmp_path) as worker:
        await bus.convert(command)
        deadline = time.monotonic() + 90
        while footage.store.get_result(attempt) is None:
            assert time.monotonic() < deadline, worker.log[-3000:]
            await asyncio.sleep(0.02)
        worker.kill()

    with worker_process(nats_server, tmp_path):
        (event,) = await bus.converted(timeout_s=150.0)

    assert (event.model_version, event.conversion_id) == (command.model_version, command.conversion_id)
    assert [one.format for one in event.formats.formats] == list(ONNX_FORMATS)
    for one in event.formats.formats:
        assert not one.HasField("failure")
        data = footage.store.get_bytes(artifact(one.artifact))
        assert load_session(data).contract.recurrent
    assert footage.store.get_result(attempt) is None

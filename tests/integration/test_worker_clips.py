"""Clips in a worker process with a real nats-server: told as they come, cancelled, judged once."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator
from pathlib import Path

import pytest_asyncio
from autoisp.evaluation.v1 import evaluation_pb2
from autoisp.events.v1 import commands_pb2, events_pb2
from autoisp_isp.export import export_onnx
from autoisp_isp.network import build
from autoisp_testing.graphs import endless
from autoisp_testing.nats import NatsServer
from autoisp_testing.processes import ServiceProcess
from autoisp_worker import wire, wire_evaluation
from autoisp_worker.compute import StopRequest
from autoisp_worker.config import WorkerConfig
from autoisp_worker.jobs import LocalJobs
from autoisp_worker.tools import Tools
from worker_bus import FRAMES_JUDGED, Bus, worker_process
from worker_jobs import RECURRENT, Footage, reference


@pytest_asyncio.fixture
async def bus(nats_server: NatsServer) -> AsyncIterator[Bus]:
    async with Bus.of(nats_server) as connected:
        yield connected


def subject(footage: Footage, model: bytes) -> evaluation_pb2.Subject:
    return evaluation_pb2.Subject(label="model", onnx=reference(footage.store.put_bytes(model)))


async def until_told(bus: Bus, worker: ServiceProcess) -> events_pb2.EvaluationFramesJudged:
    deadline = time.monotonic() + 90
    while not (told := await bus.events(FRAMES_JUDGED)):
        assert time.monotonic() < deadline, worker.log[-3000:]
        await asyncio.sleep(0.05)
    return events_pb2.EvaluationFramesJudged.FromString(told[0])


async def until_attempted(footage: Footage, key: str, worker: ServiceProcess) -> None:
    deadline = time.monotonic() + 90
    while footage.store.get_result(f"attempts/{key}") is None:
        assert time.monotonic() < deadline, worker.log[-3000:]
        await asyncio.sleep(0.05)


async def test_cancelling_an_evaluation_drops_its_running_and_its_waiting_clips(
    bus: Bus, tmp_path: Path, nats_server: NatsServer
) -> None:
    footage = Footage.make(tmp_path / "artifacts")
    model = subject(footage, endless())
    with worker_process(nats_server, tmp_path) as worker:
        for clip in "ab":
            await bus.evaluate(footage.evaluation(model, entry=footage.entries[clip]))
        await until_attempted(footage, "evaluations/e/a", worker)

        await bus.cancel_evaluation("e")

        results = await bus.judged(2)

    assert [result.state for result in results] == [evaluation_pb2.EVALUATION_STATE_CANCELLED] * 2


async def test_a_clip_whose_worker_is_killed_and_whose_broker_restarts_is_judged_once_and_the_same(
    bus: Bus, tmp_path: Path, nats_server: NatsServer
) -> None:
    footage = Footage.make(tmp_path / "artifacts", frames=250)
    command = footage.evaluation(
        subject(footage, export_onnx(build(RECURRENT))),
        frames_per_clip=0,
        metrics=["flicker", "warping_error"],
    )
    undisturbed = values_of(judged_here(footage, command))
    await bus.evaluate(command)
    with worker_process(nats_server, tmp_path) as first:
        told = await until_told(bus, first)
        first.kill()
        assert footage.store.get_result("evaluations/e/c") is None, "killed in the middle"
    nats_server.kill()
    nats_server.start()

    with worker_process(nats_server, tmp_path, worker_id="second"):
        (result,) = await bus.judged()

    assert 0 < told.frames_done <= told.frames_wanted == 250
    assert [frame.frame for frame in result.subjects[0].frames] == list(range(250))
    assert values_of(result) == undisturbed
    part = told.subjects[0].metrics[0].values
    assert list(part) == list(result.subjects[0].metrics[0].values[: len(part)])


def judged_here(footage: Footage, command: commands_pb2.RunEvaluation) -> evaluation_pb2.ClipResult:
    jobs = LocalJobs(Tools.of(WorkerConfig(), footage.store))
    result = jobs.judge(wire.evaluation_job(command), StopRequest(), lambda take: None)
    payload = wire_evaluation.clip_judged(command.evaluation, result)
    return events_pb2.EvaluationClipJudged.FromString(payload).result


def values_of(result: evaluation_pb2.ClipResult) -> dict[str, list[float | None]]:
    return {
        metric.metric: [None if math.isnan(value) else value for value in metric.values]
        for metric in result.subjects[0].metrics
    }

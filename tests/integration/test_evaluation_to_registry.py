"""From a completed search to a registered version: both services as processes, the test plays the worker."""

from __future__ import annotations

from pathlib import Path

import grpc
import pytest
from autoisp.events.v1 import events_pb2
from autoisp.registry.v1 import registry_pb2, registry_pb2_grpc
from autoisp_runtime.jetstream import Event, NatsConnection
from autoisp_testing.nats import NatsServer
from autoisp_testing.processes import ServiceProcess
from evaluation_calls import (
    ACK_WAIT_S,
    CLASSICAL,
    RoteWorker,
    events,
    publish,
    put_dataset,
    search_completed,
    store_in,
    until,
)


async def test_a_completed_search_becomes_one_version(
    tmp_path: Path, nats_server: NatsServer, nats_connection: NatsConnection
) -> None:
    store = store_in(tmp_path)
    event = search_completed(store, "s-1", put_dataset(store, "d", test_clips=2))
    settings = {"nats_url": nats_server.url, "ack_wait_seconds": ACK_WAIT_S}
    with (
        ServiceProcess("autoisp_evaluation", tmp_path, **settings),
        ServiceProcess("autoisp_registry", tmp_path, **settings) as registry,
    ):
        async with (
            RoteWorker(nats_connection, answers=2).working(),
            grpc.aio.insecure_channel(registry.address) as channel,
        ):
            stub = registry_pb2_grpc.RegistryServiceStub(channel)
            for _ in range(2):
                await publish(nats_connection, Event.SEARCH_COMPLETED, "s-1", event)
            (completed,) = await events(nats_connection, Event.EVALUATION_COMPLETED, "s-1", at_least=1)
            await events(nats_connection, Event.MODEL_VERSION_PROMOTED, "s-1-1", at_least=2)
            # The same news as other messages, also after the registry was killed: still one version.
            again = events_pb2.EvaluationCompleted.FromString(completed)
            await publish(nats_connection, Event.EVALUATION_COMPLETED, "s-1", again)
            again.evaluation.name, again.model = "evaluations/last", "models/last"
            await publish(nats_connection, Event.EVALUATION_COMPLETED, "last", again)

            async def arrived() -> bool:
                found = await stub.ListModels(registry_pb2.ListModelsRequest())
                return any(model.name == "models/last" for model in found.models)

            await until(arrived)
            model = await stub.GetModel(registry_pb2.GetModelRequest(name="models/s-1"))
            version = await stub.GetModelVersion(
                registry_pb2.GetModelVersionRequest(name="models/s-1/versions/champion")
            )
        assert registry.stop() == 0
    assert (model.latest_version, dict(model.aliases)) == (1, {"candidate": 1, "champion": 1})
    assert version.onnx == event.best_trial.onnx
    assert version.spec == event.best_trial.spec
    assert version.gate.passed
    assert list(version.gate.checks) == [
        "psnr_model: passed, 25.50 dB >= 20.50 dB (psnr_prototype), by +5.00 dB",
        "latency_ratio: passed, 200.00× >= 100.00× (goal), by +100.00×",
        "clips_judged: passed, 2 of 2",
    ]
    assert dict(version.metrics) == pytest.approx(
        {
            "psnr": 25.5,
            "ssim": 0.9,
            "psnr_model": 25.5,
            "psnr_prototype": 20.5,
            "ssim_model": 0.9,
            "ssim_prototype": 0.9,
            "macs_per_pixel": 250,
            "latency_ratio": 200,
            "seconds_per_megapixel_model": 0.015,
            "seconds_per_megapixel_prototype": 3.0,
            "parameters": 1000,
            "size_bytes": 4000,
        }
    )
    assert version.lineage == registry_pb2.Lineage(
        dataset="datasets/d",
        search="searches/s-1",
        trial="searches/s-1/trials/r1-0001",
        evaluation="evaluations/s-1",
        prototype=CLASSICAL,
        manifest=event.manifest,
    )

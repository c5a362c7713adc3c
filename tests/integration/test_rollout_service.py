"""Rollouts over gRPC: the whole story, bad input, kills, replicas, and a database that goes away."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import grpc
import pytest
from autoisp.events.v1 import events_pb2
from autoisp.registry.v1 import registry_pb2, registry_pb2_grpc, rollouts_pb2, rollouts_pb2_grpc
from autoisp_core.errors import (
    AbortedError,
    AlreadyExistsError,
    ErrorCode,
    FailedPreconditionError,
    NotFoundError,
    UnavailableError,
)
from autoisp_core.ids import new_id
from autoisp_registry.rollouts.domain.buckets import end_of, place, share_from
from autoisp_runtime.jetstream import Event, NatsConnection
from autoisp_testing.nats import NatsServer
from autoisp_testing.postgres import PostgresServer
from autoisp_testing.processes import ServiceProcess
from evaluation_calls import events, refused, until
from rollout_calls import Line, register_versions

Stub = rollouts_pb2_grpc.RolloutServiceStub
Channel, Rollout, HaltRule = rollouts_pb2.Channel, rollouts_pb2.Rollout, rollouts_pb2.HaltRule
Constraints = rollouts_pb2.Constraints
MODEL = "models/m"
DEVICES = 600  # at once; beyond some thousand waiting calls gRPC refuses by itself
ANN = (("autoisp-actor", "ann"),)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("rollouts")


@pytest.fixture(scope="module")
def nats(folder: Path) -> Iterator[NatsServer]:
    with NatsServer(folder / "nats") as server:
        yield server


@pytest.fixture(scope="module")
def service(folder: Path, nats: NatsServer) -> Iterator[ServiceProcess]:
    with ServiceProcess("autoisp_registry", folder, nats_url=nats.url) as process:
        register_versions(process.address, MODEL, 3)
        yield process


@asynccontextmanager
async def calling(process: ServiceProcess) -> AsyncIterator[Stub]:
    async with grpc.aio.insecure_channel(process.address) as channel:
        yield Stub(channel)


@pytest.fixture
async def stub(service: ServiceProcess) -> AsyncIterator[Stub]:
    async with calling(service) as opened:
        yield opened


@pytest.fixture
async def connection(nats: NatsServer, service: ServiceProcess) -> AsyncIterator[NatsConnection]:
    opened = await NatsConnection.open(nats.url)
    yield opened
    await opened.close()


async def create(stub: Stub, name: str, version: int = 1, **more: object) -> Channel:
    channel = Channel(name=name, model=MODEL, version=version, **more)  # type: ignore[arg-type]
    return await stub.CreateChannel(rollouts_pb2.CreateChannelRequest(channel=channel), metadata=ANN)


async def start(stub: Stub, name: str, **fields: object) -> Channel:
    rollout = Rollout(**{"version": 2, **fields})  # type: ignore[arg-type]
    return await stub.StartRollout(
        rollouts_pb2.StartRolloutRequest(channel=name, rollout=rollout), metadata=ANN
    )


def resolve(name: str, device: str = "d", **more: object) -> rollouts_pb2.ResolveModelRequest:
    return rollouts_pb2.ResolveModelRequest(channel=name, device_id=device, **more)  # type: ignore[arg-type]


def report(
    channel: Channel, device: str, reason: str = "", failed: bool = False
) -> rollouts_pb2.ReportOutcomeRequest:
    return rollouts_pb2.ReportOutcomeRequest(
        channel=channel.name,
        rollout_id=channel.rollout.rollout_id,
        device_id=device,
        failed=failed or bool(reason),
        reason=reason,
    )


async def told(stub: Stub, name: str, device: str = "d", **more: object) -> int:
    answer = await stub.ResolveModel(resolve(name, device, **more))
    return int(answer.model_version.rpartition("/")[2])


async def test_a_version_on_its_way_to_everybody(stub: Stub, connection: NatsConnection) -> None:
    name = "products/story/channels/stable"
    await create(stub, name)
    assert await told(stub, name) == 1
    channel = await start(stub, name, percent=25.5, testers=["tester"])
    answer = await stub.ResolveModel(resolve(name, "tester"))
    assert (answer.model_version, answer.format) == ("models/m/versions/2", "onnx-fp32")
    assert answer.rollout_id == channel.rollout.rollout_id
    assert len(answer.artifact.sha256) == 64
    devices = [f"device-{number}" for number in range(1000)]
    batch = rollouts_pb2.BatchResolveModelsRequest(requests=[resolve(name, device) for device in devices])
    results = (await stub.BatchResolveModels(batch)).results
    reached = {
        device
        for device, result in zip(devices, results, strict=True)
        if result.response.model_version.endswith("/2")
    }
    end = end_of(share_from(25.5, "percent"))
    assert reached == {device for device in devices if place(channel.rollout.rollout_id, device) < end}
    for device in devices[:20]:
        assert await told(stub, name, device) == 1 + (device in reached)
    assert await stub.ResolveModel(resolve(name, devices[0])) == results[0].response
    request = rollouts_pb2.UpdateRolloutRequest(channel=name, percent=60, etag=channel.etag)
    await stub.UpdateRollout(request)
    assert isinstance(await refused(stub.UpdateRollout(request)), AbortedError)
    more = (await stub.BatchResolveModels(batch)).results
    kept = {d for d, one in zip(devices, more, strict=True) if one.response.model_version.endswith("/2")}
    assert reached < kept
    await stub.PauseRollout(rollouts_pb2.PauseRolloutRequest(channel=name, comment="lunch"))
    device = min(reached)
    assert await told(stub, name, device) == 1
    assert await told(stub, name, device, current_version=2) == 2
    await stub.ResumeRollout(rollouts_pb2.ResumeRolloutRequest(channel=name))
    done = await stub.CompleteRollout(rollouts_pb2.CompleteRolloutRequest(channel=name))
    assert (done.version, done.HasField("rollout")) == (2, False)
    assert done.last_rollout.state == rollouts_pb2.ROLLOUT_STATE_COMPLETED
    assert await told(stub, name) == 2
    back = await stub.RollbackChannel(rollouts_pb2.RollbackChannelRequest(channel=name))
    assert back.version == 1
    assert await stub.GetChannel(rollouts_pb2.GetChannelRequest(name=name)) == back
    changes = [
        events_pb2.ChannelChanged.FromString(one)
        for one in await events(connection, Event.CHANNEL_CHANGED, "story-stable", at_least=7)
    ]
    assert [change.entry.action for change in changes] == [
        "channel.create",
        "rollout.start",
        "rollout.update",
        "rollout.pause",
        "rollout.resume",
        "rollout.complete",
        "channel.rollback",
    ]
    assert [change.entry.actor for change in changes[:3]] == ["ann", "ann", "unknown"]
    assert changes[3].entry.comment == "lunch"
    assert changes[-1].channel == back
    await stub.DeleteChannel(rollouts_pb2.DeleteChannelRequest(name=name))
    assert isinstance(await refused(stub.ResolveModel(resolve(name))), NotFoundError)


async def test_failures_halt(stub: Stub, connection: NatsConnection) -> None:
    name = "products/halting/channels/stable"
    await create(stub, name)
    rule = HaltRule(max_failure_rate=0.2, min_devices=5)
    channel = await start(stub, name, percent=100, halt_rule=rule)
    for number in range(4):
        assert not (await stub.ReportOutcome(report(channel, f"d{number}"))).resolve_again
    assert not (await stub.ReportOutcome(report(channel, "d4", "TOO_SLOW"))).resolve_again
    assert await told(stub, name, "d4") == 2
    assert (await stub.ReportOutcome(report(channel, "d3", failed=True))).resolve_again
    assert await told(stub, name, "d4", current_version=2) == 1
    halted = await stub.GetChannel(rollouts_pb2.GetChannelRequest(name=name))
    assert halted.rollout.state == rollouts_pb2.ROLLOUT_STATE_HALTED
    outcomes = halted.rollout.outcomes
    assert (outcomes.succeeded, outcomes.failed) == (3, 2)
    assert dict(outcomes.failure_reasons) == {"TOO_SLOW": 1, "OTHER": 1}
    last = (await events(connection, Event.CHANNEL_CHANGED, "halting-stable", at_least=3))[-1]
    entry = events_pb2.ChannelChanged.FromString(last).entry
    assert (entry.action, entry.actor) == ("rollout.halt", "registry")
    refusal = await refused(stub.CompleteRollout(rollouts_pb2.CompleteRolloutRequest(channel=name)))
    assert isinstance(refusal, FailedPreconditionError)
    assert refusal.metadata["possible"] == "abort, resume, update"


async def test_a_version_that_devices_get_can_t_be_deleted(stub: Stub, service: ServiceProcess) -> None:
    name = "products/deleting/channels/stable"
    await create(stub, name, version=0)
    await start(stub, name, version=3, testers=["d"])
    async with grpc.aio.insecure_channel(service.address) as channel:
        registry = registry_pb2_grpc.RegistryServiceStub(channel)
        version = registry_pb2.DeleteModelVersionRequest(name=f"{MODEL}/versions/3")
        error = await refused(registry.DeleteModelVersion(version))
        assert isinstance(error, FailedPreconditionError)
        assert name in str(error)
        model = registry_pb2.DeleteModelRequest(name=MODEL)
        assert name in str(await refused(registry.DeleteModel(model)))
        assert await told(stub, name) == 3
        await stub.AbortRollout(rollouts_pb2.AbortRolloutRequest(channel=name))
        await registry.DeleteModelVersion(version)
        assert isinstance(await refused(start(stub, name, version=3)), NotFoundError)
        await registry.UndeleteModelVersion(
            registry_pb2.UndeleteModelVersionRequest(name=f"{MODEL}/versions/3")
        )
        await start(stub, name, version=3, testers=["d"])


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"channel": ""}, "channel"),
        ({"channel": "products/bad/channels/../../x"}, "channel"),
        ({"device_id": ""}, "device_id"),
        ({"device_id": "x" * 257}, "device_id"),
        ({"device_profile": "NPU 10"}, "device_profile"),
        ({"app_version": "1.2-beta"}, "app_version"),
        ({"app_version": "1.2.3.4.5.6.7.8.9"}, "app_version"),
        ({"current_version": -1}, "current_version"),
        ({"formats": ["onnx-fp32"] * 21}, "formats"),
    ],
)
async def test_bad_devices_name_the_field(stub: Stub, changes: dict[str, object], field: str) -> None:
    asked = resolve("products/bad/channels/none")
    for key, value in changes.items():
        asked = rollouts_pb2.ResolveModelRequest(
            **{
                "channel": asked.channel,
                "device_id": asked.device_id,
                key: value,
            }  # type: ignore[arg-type]
        )
    error = await refused(stub.ResolveModel(asked))
    assert (error.code, error.metadata["field"]) == (ErrorCode.INVALID_ARGUMENT, field)


@pytest.mark.parametrize(
    ("rollout", "field"),
    [
        (Rollout(version=2, percent=100.1), "rollout.percent"),
        (Rollout(version=2, percent=float("nan")), "rollout.percent"),
        (Rollout(version=2, percent=0.00001), "rollout.percent"),
        (Rollout(version=2, cohort="../x"), "rollout.cohort"),
        (Rollout(version=2, testers=[""]), "rollout.testers"),
        (Rollout(version=2, testers=["x"] * 1001), "rollout.testers"),
        (Rollout(version=2, testers=["ü" * 256 + str(n) for n in range(600)]), "rollout.testers"),
        (Rollout(version=2, halt_rule=HaltRule(max_failure_rate=2)), "rollout.halt_rule.max_failure_rate"),
        (
            Rollout(version=2, constraints=Constraints(min_app_version="x")),
            "rollout.constraints.min_app_version",
        ),
        (Rollout(version=4), "rollout.version"),
        (Rollout(), "rollout.version"),
    ],
)
async def test_bad_rollouts_name_the_field(stub: Stub, rollout: Rollout, field: str) -> None:
    name = f"products/bad/channels/{new_id()}"
    await create(stub, name)
    error = await refused(stub.StartRollout(rollouts_pb2.StartRolloutRequest(channel=name, rollout=rollout)))
    assert error.metadata["field"] == field
    assert not (await stub.GetChannel(rollouts_pb2.GetChannelRequest(name=name))).HasField("rollout")


async def test_bad_calls_have_a_clear_status(stub: Stub) -> None:
    name = "products/bad/channels/calls"
    made = await create(stub, name)
    assert isinstance(await refused(create(stub, name)), AlreadyExistsError)
    assert (await refused(create(stub, "products/p/channels/%2e"))).metadata["field"] == "channel.name"
    nothing = await refused(stub.UpdateRollout(rollouts_pb2.UpdateRolloutRequest(channel=name)))
    assert nothing.metadata["field"] == "percent"
    paused = await refused(stub.PauseRollout(rollouts_pb2.PauseRolloutRequest(channel=name)))
    assert isinstance(paused, FailedPreconditionError)
    assert paused.metadata["possible"] == "start"
    rolled = await refused(stub.RollbackChannel(rollouts_pb2.RollbackChannelRequest(channel=name)))
    assert rolled.reason == "NO_EARLIER_VERSION"
    wrong = await refused(stub.ResolveModel(resolve(name, formats=["onnx-int4"])))
    assert (wrong.reason, wrong.metadata["formats"]) == ("NO_FORMAT", "onnx-fp32")
    asked = [resolve(name), resolve("products/bad/channels/none"), resolve(name, ""), resolve(name, "e")]
    batch = await stub.BatchResolveModels(rollouts_pb2.BatchResolveModelsRequest(requests=asked))
    assert [one.failure.reason for one in batch.results] == ["", "NOT_FOUND", "INVALID_ARGUMENT", ""]
    many = rollouts_pb2.BatchResolveModelsRequest(requests=[resolve(name)] * 1001)
    assert (await refused(stub.BatchResolveModels(many))).metadata["field"] == "requests"
    stale = rollouts_pb2.DeleteChannelRequest(name=name, etag="x")
    assert isinstance(await refused(stub.DeleteChannel(stale)), AbortedError)
    assert await stub.GetChannel(rollouts_pb2.GetChannelRequest(name=name)) == made


async def test_only_what_went_wrong_leaves_a_line(stub: Stub, service: ServiceProcess) -> None:
    name = "products/lines/channels/stable"
    await create(stub, name)
    await told(stub, name)
    await refused(stub.ResolveModel(resolve(name, "")))
    lines = [json.loads(line) for line in service.log.splitlines() if line.startswith("{")]
    calls = [line for line in lines if line.get("event") == "call"]
    resolved = [line for line in calls if line["method"].endswith("/ResolveModel")]
    assert resolved
    assert "OK" not in {line["code"] for line in resolved}
    assert any(line["method"].endswith("/CreateChannel") and line["code"] == "OK" for line in calls)


async def test_reports_survive_a_kill(tmp_path: Path, nats: NatsServer) -> None:
    name = "products/killed/channels/stable"
    process = ServiceProcess("autoisp_registry", tmp_path, nats_url=nats.url)
    acknowledged: set[str] = set()
    with process:
        register_versions(process.address, MODEL, 3)
        async with calling(process) as stub:
            await create(stub, name)
            rule = HaltRule(disabled=True)
            channel = await start(stub, name, percent=100, halt_rule=rule)
            enough = asyncio.Event()

            async def send(number: int) -> None:
                device = f"d{number}"
                await stub.ReportOutcome(report(channel, device, "A" if number % 3 == 0 else ""))
                acknowledged.add(device)
                if len(acknowledged) >= 100:
                    enough.set()

            sending = [asyncio.create_task(send(number)) for number in range(DEVICES)]
            await asyncio.wait_for(enough.wait(), 30)
            process.kill()
            await asyncio.gather(*sending, return_exceptions=True)
        process.start()
        async with calling(process) as stub:
            get = rollouts_pb2.GetChannelRequest(name=name)
            kept = (await stub.GetChannel(get)).rollout.outcomes
            assert len(acknowledged) <= kept.succeeded + kept.failed <= DEVICES
            # Whoever was not answered reports again, and is counted once.
            await asyncio.gather(
                *(
                    stub.ReportOutcome(report(channel, f"d{number}", "A" if number % 3 == 0 else ""))
                    for number in range(DEVICES)
                )
            )
            counted = (await stub.GetChannel(get)).rollout.outcomes
            assert (counted.succeeded, counted.failed) == (400, 200)
            assert await told(stub, name) == 2


async def test_replicas_agree_and_answer_while_the_database_is_away(
    tmp_path: Path, nats: NatsServer, postgres: PostgresServer
) -> None:
    store_url = (tmp_path / "store").as_uri()
    folders = [tmp_path / "a", tmp_path / "b"]
    for one in folders:
        one.mkdir()
    async with Line(postgres.new_database()) as line:
        settings = {"nats_url": nats.url, "database_url": line.database_url, "store_url": store_url}
        first, second = (ServiceProcess("autoisp_registry", one, **settings) for one in folders)
        try:
            await asyncio.gather(asyncio.to_thread(first.start), asyncio.to_thread(second.start))
            await asyncio.to_thread(register_versions, first.address, MODEL, 3)
            await _agree(line, first, second)
        finally:
            first.kill()
            second.kill()


async def _agree(line: Line, first: ServiceProcess, second: ServiceProcess) -> None:
    name = "products/replicas/channels/stable"
    async with calling(first) as a, calling(second) as b:
        await create(a, name)

        async def known() -> bool:
            try:
                return await told(b, name) == 1
            except grpc.aio.AioRpcError:
                return False

        await until(known)
        channel = await start(a, name, percent=100, halt_rule=HaltRule(max_failure_rate=0.5, min_devices=4))

        async def reached() -> bool:
            return await told(b, name) == 2

        await until(reached)
        async with line.cut():
            for stub in (a, b):
                assert await told(stub, name, "another") == 2
            assert isinstance(await refused(create(a, "products/replicas/channels/x")), UnavailableError)
            assert isinstance(await refused(b.ReportOutcome(report(channel, "d0"))), UnavailableError)

        async def back() -> bool:
            try:
                await b.ReportOutcome(report(channel, "d0"))
            except grpc.aio.AioRpcError:
                return False
            return True

        await until(back)
        answers = await asyncio.gather(
            *(stub.ReportOutcome(report(channel, f"d{n}", "A")) for n in (1, 2, 3) for stub in (a, b))
        )
        assert any(answer.resolve_again for answer in answers)

        async def halted() -> bool:
            return await told(a, name) == await told(b, name) == 1

        await until(halted)
        outcomes = (await a.GetChannel(rollouts_pb2.GetChannelRequest(name=name))).rollout.outcomes
        assert (outcomes.succeeded, outcomes.failed) == (1, 3)

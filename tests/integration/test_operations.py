"""OperationsService of a real process: statuses, and dead letters from their death to their replay."""

from __future__ import annotations

import asyncio
import os
import re
import signal
import time
from collections.abc import AsyncIterator, Awaitable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import grpc
import pytest
import pytest_asyncio
from autoisp.events.v1 import events_pb2
from autoisp.operations.v1 import operations_pb2 as wire
from autoisp.operations.v1 import operations_pb2_grpc
from autoisp_client.errors import from_rpc_error
from autoisp_core.errors import AutoISPError, ErrorCode, InvalidArgumentError
from autoisp_core.pagination import PageRequest, encode_page_token
from autoisp_runtime.jetstream import (
    Command,
    Consumer,
    Envelope,
    Event,
    NatsConnection,
    Publisher,
    command_subject,
    event_subject,
)
from autoisp_runtime.jetstream.dead_letters import CONSUMER, SUBJECT
from autoisp_runtime.jetstream.topology import (
    COMMAND_STREAM,
    DEAD_LETTER_STREAM,
    EVENT_STREAM,
    REGISTRY_EVALUATIONS,
)
from autoisp_runtime.operations import processes
from autoisp_runtime.operations.dead_letters import REPLAY_OF, DeadLetters
from autoisp_testing.nats import NatsServer
from autoisp_testing.processes import ServiceProcess
from nats.aio.msg import Msg

Stub = operations_pb2_grpc.OperationsServiceStub
ANN = (("autoisp-actor", "Zo%C3%AB"),)
GARBAGE = b"\xff\xff\xff"
POISON = event_subject(Event.EVALUATION_COMPLETED, "e1")


@pytest.fixture(scope="module")
def broker(tmp_path_factory: pytest.TempPathFactory) -> Iterator[NatsServer]:
    with NatsServer(tmp_path_factory.mktemp("nats")) as server:
        yield server


@pytest.fixture(scope="module")
def registry(broker: NatsServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[ServiceProcess]:
    """One for all tests: what they leave behind are messages, which :func:`connection` takes away."""
    process = ServiceProcess(
        "autoisp_registry", tmp_path_factory.mktemp("registry"), nats_url=broker.url, ack_wait_seconds=2
    )
    with process.start():
        yield process


@pytest_asyncio.fixture
async def stub(registry: ServiceProcess) -> AsyncIterator[Stub]:
    async with grpc.aio.insecure_channel(registry.address) as channel:
        yield Stub(channel)


@pytest_asyncio.fixture
async def connection(broker: NatsServer, stub: Stub) -> AsyncIterator[NatsConnection]:
    opened = await NatsConnection.open(broker.url)
    for stream in (COMMAND_STREAM, DEAD_LETTER_STREAM):
        await opened.js.purge_stream(stream)
    yield opened
    await opened.close()


async def refused(call: Awaitable[Any]) -> AutoISPError:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await call
    return from_rpc_error(caught.value)


async def letters(stub: Stub, count: int, **request: Any) -> list[wire.DeadLetter]:
    """So many dead letters, once they are there."""
    async with asyncio.timeout(20):
        while True:
            page = await stub.ListDeadLetters(wire.ListDeadLettersRequest(**request))
            if len(page.dead_letters) >= count:
                return list(page.dead_letters)
            await asyncio.sleep(0.05)


async def poison(connection: NatsConnection, event_id: str, subject: str = POISON) -> None:
    await Publisher(connection, "autoisp/testing").publish(subject, GARBAGE, event_id)


async def test_what_could_not_be_handled_is_told_with_why_when_and_by_whom(
    stub: Stub, connection: NatsConnection, registry: ServiceProcess
) -> None:
    await poison(connection, "bad-1")
    (listed,) = await letters(stub, 1)
    letter = await stub.GetDeadLetter(wire.GetDeadLetterRequest(name=listed.name))

    assert re.fullmatch(r"deadLetters/[1-9]\d*", listed.name)
    assert (listed.payload, dict(listed.headers)) == (b"", {})
    assert (letter.subject, letter.kind, letter.resource_id) == (POISON, "evaluation.completed", "e1")
    assert (letter.event_id, letter.source, letter.consumer) == (
        "bad-1",
        "autoisp/testing",
        "registry-evaluations",
    )
    assert letter.process.endswith(f"-{registry.pid}")
    assert letter.reason == "UNDECODABLE"
    assert "EvaluationCompleted" in letter.error
    assert (letter.payload, letter.size_bytes, letter.deliveries) == (GARBAGE, 3, 1)
    assert letter.headers["ce-type"] == "autoisp.v1.evaluation.completed"
    assert letter.send_time.ToDatetime() <= letter.create_time.ToDatetime()
    assert not letter.HasField("replay")


async def test_a_replay_sends_it_again_under_a_new_id_and_is_noted(
    stub: Stub, connection: NatsConnection, registry: ServiceProcess
) -> None:
    await poison(connection, "bad-2")
    (letter,) = await letters(stub, 1)
    request = wire.ReplayDeadLetterRequest(name=letter.name, request_id="once")

    replayed = await stub.ReplayDeadLetter(request, metadata=ANN)
    await stub.ReplayDeadLetter(request, metadata=ANN)
    two = await letters(stub, 2)  # it is still poison

    assert replayed.replay.actor == "Zoë"
    new_id = replayed.replay.event_id
    assert new_id not in ("", "bad-2")
    assert [each.event_id for each in two] == ["bad-2", new_id]
    assert two[0].replay == replayed.replay
    assert not two[1].HasField("replay")
    again = await connection.js.get_last_msg(EVENT_STREAM, POISON)
    assert again.data == GARBAGE
    assert (again.headers or {})["Nats-Msg-Id"] == (again.headers or {})["ce-id"] == new_id
    assert (again.headers or {})[REPLAY_OF] == "bad-2"
    await asyncio.sleep(0.3)
    assert len((await stub.ListDeadLetters(wire.ListDeadLettersRequest())).dead_letters) == 2
    status = await stub.GetStatus(wire.GetStatusRequest())
    assert status.broker.dead_letters == 2  # the note is none
    assert '"actor": "Zo\\u00eb"' in registry.log or '"actor": "Zoë"' in registry.log


async def test_a_letter_whose_reason_is_gone_is_handled(nats_connection: NatsConnection) -> None:
    handled: list[Envelope] = []
    mended, done, dead = False, asyncio.Event(), asyncio.Event()

    async def bury(envelope: Envelope, error: AutoISPError) -> None:
        dead.set()

    async def handle(envelope: Envelope) -> None:
        if not mended:
            raise InvalidArgumentError("payload", "this release can't read it")
        handled.append(envelope)
        done.set()

    consumer = Consumer(nats_connection, REGISTRY_EVALUATIONS, handle, on_dead_letter=bury)
    running = asyncio.create_task(consumer.run())
    publisher = Publisher(nats_connection, "autoisp/testing")
    letters = DeadLetters(nats_connection, publisher)
    payload = events_pb2.EvaluationCompleted().SerializeToString() + b"\x0a\x00"
    await publisher.publish(POISON, payload, "early")
    async with asyncio.timeout(20):
        await dead.wait()
        mended = True
        while not (await letters.page(PageRequest.parse(0, ""))).items:  # noqa: ASYNC110 - the broker has it
            await asyncio.sleep(0.02)  # told first, then put away
        replayed = await letters.replay(1, "ann")
        await done.wait()
    await consumer.stop()
    await running

    (envelope,) = handled
    assert replayed.replay is not None
    assert (envelope.subject, envelope.payload) == (POISON, payload)
    assert envelope.event_id == replayed.replay.event_id
    assert not any(name.startswith("autoisp-dlq") for name in envelope.headers)


async def test_dropped_is_gone(stub: Stub, connection: NatsConnection, registry: ServiceProcess) -> None:
    await poison(connection, "bad-3")
    (letter,) = await letters(stub, 1)
    drop = wire.DropDeadLetterRequest(name=letter.name)
    await stub.DropDeadLetter(drop, metadata=ANN)

    assert list((await stub.ListDeadLetters(wire.ListDeadLettersRequest())).dead_letters) == []
    for call in (
        stub.DropDeadLetter(drop),
        stub.GetDeadLetter(wire.GetDeadLetterRequest(name=letter.name)),
        stub.ReplayDeadLetter(wire.ReplayDeadLetterRequest(name=letter.name)),
    ):
        failure = await refused(call)
        assert failure.code is ErrorCode.NOT_FOUND
        assert failure.message == f"there is no {letter.name}; it was dropped, or is older than 30 days"
    assert "dead letter dropped" in registry.log


async def test_pages_and_consumers(stub: Stub, connection: NatsConnection) -> None:
    for number in range(5):
        await poison(connection, f"page-{number}")
    await poison(connection, "other", event_subject(Event.MODEL_VERSION_CONVERTED, "m-1"))
    await letters(stub, 6)

    first = await stub.ListDeadLetters(wire.ListDeadLettersRequest(page_size=4))
    rest = await stub.ListDeadLetters(
        wire.ListDeadLettersRequest(page_size=4, page_token=first.next_page_token)
    )
    (one,) = await letters(stub, 1, consumer="registry-conversions")

    names = [letter.event_id for page in (first, rest) for letter in page.dead_letters]
    assert sorted(names) == ["other", "page-0", "page-1", "page-2", "page-3", "page-4"]
    assert (len(first.dead_letters), rest.next_page_token) == (4, "")
    assert one.event_id == "other"
    assert await letters(stub, 0, consumer="nobody") == []


async def test_bad_names_and_lists_are_refused(stub: Stub) -> None:
    long = "deadLetters/" + "9" * 20
    for name in (
        "",
        "deadLetters/",
        "deadLetters/0",
        "deadLetters/x",
        "deadLetters/1/2",
        "1",
        long,
        "x" * 9999,
    ):
        for call in (
            stub.GetDeadLetter(wire.GetDeadLetterRequest(name=name)),
            stub.ReplayDeadLetter(wire.ReplayDeadLetterRequest(name=name)),
            stub.DropDeadLetter(wire.DropDeadLetterRequest(name=name)),
        ):
            failure = await refused(call)
            assert (failure.code, failure.metadata["field"]) == (ErrorCode.INVALID_ARGUMENT, "name")
    wrong: tuple[tuple[str, dict[str, Any]], ...] = (
        ("page_size", {"page_size": -1}),
        ("page_token", {"page_token": "nonsense"}),
        ("page_token", {"page_token": encode_page_token("1", "another"), "consumer": "x"}),
        ("page_token", {"page_token": encode_page_token("x")}),
        ("consumer", {"consumer": "a.b"}),
        ("consumer", {"consumer": "> *"}),
    )
    for field, values in wrong:
        failure = await refused(stub.ListDeadLetters(wire.ListDeadLettersRequest(**values)))
        assert (failure.code, failure.metadata["field"]) == (ErrorCode.INVALID_ARGUMENT, field)


async def test_bad_replays_are_refused(stub: Stub, connection: NatsConnection) -> None:
    long = wire.ReplayDeadLetterRequest(name="deadLetters/1", request_id="x" * 200)
    failure = await refused(stub.ReplayDeadLetter(long))
    assert failure.metadata["field"] == "request_id"
    for subject in ("$SYS.REQ", "autoisp.v1.cmd.nothing.known.x", "autoisp.v1.dlq.a.b.c.d"):
        ack = await connection.js.publish(
            "autoisp.v1.dlq.somebody.cmd.old.command.x", b"", headers={SUBJECT: subject}
        )
        name = f"deadLetters/{ack.seq}"
        failure = await refused(stub.ReplayDeadLetter(wire.ReplayDeadLetterRequest(name=name)))
        assert (failure.code, failure.reason) == (ErrorCode.FAILED_PRECONDITION, "UNKNOWN_SUBJECT")
        assert not (await stub.GetDeadLetter(wire.GetDeadLetterRequest(name=name))).HasField("replay")


async def test_a_header_does_not_say_where_a_dead_letter_goes(stub: Stub, connection: NatsConnection) -> None:
    """The broker checks subjects; headers are whatever the process wrote that gave it up."""
    subject = "autoisp.v1.dlq.worker-trials.cmd.trial.run.x"
    headers = {SUBJECT: event_subject(Event.MODEL_VERSION_PROMOTED, "x"), CONSUMER: "search-results"}
    ack = await connection.js.publish(subject, b"", headers=headers)
    request = wire.ReplayDeadLetterRequest(name=f"deadLetters/{ack.seq}")
    letter = await stub.ReplayDeadLetter(request)
    assert (letter.subject, letter.consumer) == ("autoisp.v1.cmd.trial.run.x", "worker-trials")
    command = await connection.js.get_last_msg(COMMAND_STREAM, "autoisp.v1.cmd.trial.run.x")
    assert (command.headers or {})["ce-id"] == letter.replay.event_id


async def test_only_the_inbox_of_who_asks_is_answered(connection: NatsConnection) -> None:
    told: list[bytes] = []

    async def hear(msg: Msg) -> None:
        told.append(msg.data)

    worker = wire.Process(service="worker", instance="w1")
    answering = asyncio.create_task(processes.answer(connection, lambda: worker))
    elsewhere = event_subject(Event.CLIP_INGESTED, "x")
    await connection.client.subscribe(elsewhere, cb=hear)
    async with asyncio.timeout(20):
        while worker not in await processes.ask(connection):
            pass
    await connection.client.publish(processes.SUBJECT, b"", reply=elsewhere)
    assert worker in await processes.ask(connection)
    answering.cancel()
    assert told == []


async def test_a_status_has_the_queue_and_all_processes(
    stub: Stub, connection: NatsConnection, registry: ServiceProcess
) -> None:
    worker = wire.Process(
        service="worker", instance="w1", work=[wire.Work(kind="trial.run", resource_id="s-r0-0001")]
    )
    answering = asyncio.create_task(processes.answer(connection, lambda: worker))
    publisher = Publisher(connection, "autoisp/testing")
    for command, resource in (
        (Command.TRIAL_RUN, "a"),
        (Command.TRIAL_RUN, "b"),
        (Command.EVALUATION_RUN, "c"),
    ):
        await publisher.publish(command_subject(command, resource), b"", f"{command}-{resource}")

    status = await stub.GetStatus(wire.GetStatusRequest())
    own = await stub.GetStatus(wire.GetStatusRequest(own_only=True))
    answering.cancel()

    assert (status.service, status.instance.endswith(f"-{registry.pid}")) == ("registry", True)
    assert {(d.name, d.ok) for d in status.dependencies} == {("nats", True), ("database", True)}
    assert (status.HasField("outbox"), status.outbox.messages) == (True, 0)
    assert {count.kind: count.messages for count in status.broker.commands} == {
        "trial.run": 2,
        "evaluation.run": 1,
    }
    by_name = {consumer.durable: consumer for consumer in status.broker.consumers}
    assert (by_name["worker-trials"].waiting, by_name["worker-trials"].in_work) == (2, 0)
    assert by_name["registry-evaluations"].idle_requests == 1
    assert {stream.name for stream in status.broker.streams} >= {"AUTOISP_CMD", "AUTOISP_EVT", "AUTOISP_DLQ"}
    assert [process.service for process in status.processes] == ["registry", "worker"]
    assert status.processes[1] == worker
    assert status.processes[0].cpu_seconds > 0
    assert status.processes[0].memory_bytes > 10e6
    assert (own.HasField("broker"), list(own.processes)) == (False, [])


@contextmanager
def stopped(pid: int) -> Iterator[None]:
    """It keeps its connections and answers nobody, as behind a network that is cut."""
    os.kill(pid, signal.SIGSTOP)
    try:
        yield
    finally:
        os.kill(pid, signal.SIGCONT)


async def test_of_a_broker_that_is_silent_it_tells_before_its_caller_has_gone(
    stub: Stub, broker: NatsServer
) -> None:
    with stopped(broker.pid):
        began = time.monotonic()
        status = await stub.GetStatus(wire.GetStatusRequest(), timeout=30)
        waited = time.monotonic() - began
    assert waited < 5  # the deadline of clients
    assert not status.HasField("broker")
    assert status.broker_error == f"JetStream at {broker.url} did not answer: it is late"
    assert {d.name: d.ok for d in status.dependencies} == {"nats": True, "database": True}
    assert status.HasField("outbox")


async def test_without_the_broker_it_says_so(tmp_path: Path, nats_server: NatsServer) -> None:
    process = ServiceProcess("autoisp_registry", tmp_path, nats_url=nats_server.url)
    with process.start():
        async with grpc.aio.insecure_channel(process.address) as channel:
            await _says_so(Stub(channel), nats_server)


async def _says_so(stub: Stub, nats_server: NatsServer) -> None:
    nats_server.kill()
    async with asyncio.timeout(20):
        while True:
            status = await stub.GetStatus(wire.GetStatusRequest(), timeout=10)
            away = {d.name: d.error for d in status.dependencies if not d.ok}
            if away:
                break
            await asyncio.sleep(0.1)
    assert list(away) == ["nats"]
    assert nats_server.url in away["nats"]
    assert (status.HasField("broker"), status.broker_error) == (False, away["nats"])
    failure = await refused(stub.ListDeadLetters(wire.ListDeadLettersRequest(), timeout=10))
    assert (failure.code, failure.reason) == (ErrorCode.UNAVAILABLE, "NATS_UNAVAILABLE")

"""The delivery semantics, against a real nats-server that gets killed."""

import asyncio
import contextlib
import itertools
import time
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace
from pathlib import Path

import pytest
import structlog
from autoisp_core.errors import (
    AutoISPError,
    InternalError,
    InvalidArgumentError,
    ResourceExhaustedError,
    UnavailableError,
)
from autoisp_runtime.jetstream import (
    Command,
    Consumer,
    DeliveryPolicy,
    Envelope,
    Event,
    NatsConnection,
    Publisher,
    command_subject,
    ensure_topology,
    event_subject,
)
from autoisp_runtime.jetstream import topology as t
from autoisp_runtime.jetstream.fetch import PullSource
from autoisp_runtime.tracing import current_traceparent, traced
from autoisp_testing.nats import NatsServer
from google.protobuf.wrappers_pb2 import StringValue

QUICK = DeliveryPolicy(ack_wait_s=1.5, max_deliver=3, backoff_s=(0.05,), linger_s=0.5)


@pytest.fixture
def publisher(nats_connection: NatsConnection) -> Publisher:
    return Publisher(nats_connection, "autoisp/testing")


@contextlib.asynccontextmanager
async def running(*consumers: Consumer, grace_s: float = 2.0) -> AsyncIterator[None]:
    tasks = [asyncio.create_task(consumer.run()) for consumer in consumers]
    try:
        yield
    finally:
        await asyncio.gather(*(consumer.stop(grace_s) for consumer in consumers))
        await asyncio.wait_for(asyncio.gather(*tasks), 10)


async def until(condition: Callable[[], bool] | Callable[[], Awaitable[bool]], timeout_s: float = 45) -> None:
    deadline = time.monotonic() + timeout_s
    while True:
        found = condition()
        if found if isinstance(found, bool) else await found:
            return
        assert time.monotonic() < deadline, "it did not happen in time"
        await asyncio.sleep(0.02)


async def messages_in(connection: NatsConnection, stream: str) -> int:
    return int((await connection.js.stream_info(stream)).state.messages)


async def dead_letters(connection: NatsConnection) -> list[tuple[str, dict[str, str], bytes]]:
    found = []
    state = (await connection.js.stream_info(t.DEAD_LETTER_STREAM)).state
    for sequence in range(state.last_seq - state.messages + 1, state.last_seq + 1):
        msg = await connection.js.get_msg(t.DEAD_LETTER_STREAM, sequence)
        found.append((str(msg.subject), dict(msg.headers or {}), bytes(msg.data or b"")))
    return found


async def send_trials(publisher: Publisher, *ids: str) -> None:
    for trial_id in ids:
        await publisher.publish(command_subject(Command.TRIAL_RUN, trial_id), b"", f"run-{trial_id}")


async def test_a_handled_command_is_gone(nats_connection: NatsConnection, publisher: Publisher) -> None:
    seen: list[Envelope] = []

    async def handle(envelope: Envelope) -> None:
        seen.append(envelope)

    payload = StringValue(value="hello").SerializeToString()
    await publisher.publish(command_subject(Command.TRIAL_RUN, "t-1"), payload, "run-t-1")
    async with running(Consumer(nats_connection, t.WORKER_TRIALS, handle, policy=QUICK)):
        await until(lambda: len(seen) == 1)
    (envelope,) = seen
    assert (envelope.kind, envelope.resource_id, envelope.event_id) == (Command.TRIAL_RUN, "t-1", "run-t-1")
    assert envelope.decode(StringValue).value == "hello"
    assert envelope.deliveries == 1
    assert envelope.headers["ce-type"] == "autoisp.v1.trial.run"
    assert envelope.headers["ce-source"] == "autoisp/testing"
    assert await messages_in(nats_connection, t.COMMAND_STREAM) == 0


async def test_every_listener_gets_every_event(nats_connection: NatsConnection, publisher: Publisher) -> None:
    seen: Counter[str] = Counter()

    async def handle(envelope: Envelope) -> None:
        seen[envelope.resource_id] += 1

    policy = DeliveryPolicy(batch=10)
    first = Consumer(nats_connection, t.SEARCH_RESULTS, handle, policy=policy)
    other = Consumer(nats_connection, t.EVALUATION_TRIGGERS, handle, policy=policy)
    async with running(first, other):
        for i in range(25):
            await publisher.publish(event_subject(Event.TRIAL_COMPLETED, f"t-{i}"), b"", f"e-{i}")
        await publisher.publish(event_subject(Event.SEARCH_COMPLETED, "s"), b"", "e-s")
        await until(lambda: seen.total() == 26)
    assert set(seen.values()) == {1}
    assert await messages_in(nats_connection, t.EVENT_STREAM) == 26


@pytest.mark.parametrize(
    "error",
    [
        UnavailableError("the store is away"),
        ValueError("a bug, perhaps"),
        asyncio.CancelledError("not by us"),
    ],
)
async def test_a_transient_failure_comes_again(
    nats_connection: NatsConnection, publisher: Publisher, error: BaseException
) -> None:
    deliveries: list[int] = []

    async def handle(envelope: Envelope) -> None:
        deliveries.append(envelope.deliveries)
        if envelope.deliveries == 1:
            raise error

    await send_trials(publisher, "t")
    async with running(Consumer(nats_connection, t.WORKER_TRIALS, handle, policy=QUICK)):
        await until(lambda: deliveries == [1, 2])
    assert await messages_in(nats_connection, t.COMMAND_STREAM) == 0
    assert await dead_letters(nats_connection) == []


async def decode_it(envelope: Envelope) -> None:
    envelope.decode(StringValue)


async def refuse_it(envelope: Envelope) -> None:
    raise InvalidArgumentError("spec", "no such\nlayer", reason="BAD_SPEC")


async def break_on_it(envelope: Envelope) -> None:
    raise RuntimeError("boom")


@pytest.mark.parametrize(
    ("handle", "reason", "deliveries"),
    [
        (decode_it, "UNDECODABLE", "1"),
        (refuse_it, "BAD_SPEC", "1"),
        (break_on_it, "DELIVERIES_EXHAUSTED", "3"),
    ],
)
async def test_poison_is_told_put_away_and_gone(
    nats_connection: NatsConnection,
    publisher: Publisher,
    handle: Callable[[Envelope], Awaitable[None]],
    reason: str,
    deliveries: str,
) -> None:
    told: list[AutoISPError] = []

    async def on_dead_letter(envelope: Envelope, error: AutoISPError) -> None:
        assert await messages_in(nats_connection, t.COMMAND_STREAM) == 1
        told.append(error)

    await publisher.publish(command_subject(Command.TRIAL_RUN, "t"), b"\xff\xff", "run-t")
    consumer = Consumer(nats_connection, t.WORKER_TRIALS, handle, policy=QUICK, on_dead_letter=on_dead_letter)

    async def gone() -> bool:
        return await messages_in(nats_connection, t.COMMAND_STREAM) == 0

    async with running(consumer):
        await until(gone)
    assert [error.reason for error in told] == [reason]
    ((subject, headers, payload),) = await dead_letters(nats_connection)
    assert subject == "autoisp.v1.dlq.worker-trials.cmd.trial.run.t"
    assert payload == b"\xff\xff"
    assert headers["autoisp-dlq-reason"] == reason
    assert headers["autoisp-dlq-subject"] == "autoisp.v1.cmd.trial.run.t"
    assert headers["autoisp-dlq-deliveries"] == deliveries
    assert headers["ce-id"] == "run-t"


async def test_a_handler_that_always_kills_its_process_ends_in_the_dead_letters(
    nats_connection: NatsConnection, publisher: Publisher
) -> None:
    await send_trials(publisher, "t")
    source = PullSource(nats_connection, t.WORKER_TRIALS)
    for _ in range(QUICK.max_deliver):  # taken, and never heard of again
        assert len(await source.fetch(1, 5)) == 1

    async def handle(envelope: Envelope) -> None:
        pytest.fail("must not be tried again")

    async def dead() -> bool:
        return len(await dead_letters(nats_connection)) == 1

    async with running(Consumer(nats_connection, t.WORKER_TRIALS, handle, policy=QUICK)):
        await until(dead)


async def test_a_failing_dead_letter_handler_is_asked_again(
    nats_connection: NatsConnection, publisher: Publisher
) -> None:
    asked = 0

    async def on_dead_letter(envelope: Envelope, error: AutoISPError) -> None:
        nonlocal asked
        asked += 1
        if asked == 1:
            raise UnavailableError("the database is away")

    await send_trials(publisher, "t")
    consumer = Consumer(
        nats_connection, t.WORKER_TRIALS, refuse_it, policy=QUICK, on_dead_letter=on_dead_letter
    )

    async def dead() -> bool:
        return len(await dead_letters(nats_connection)) == 1

    async with running(consumer):
        await until(dead)
    assert asked == 2


@pytest.mark.parametrize(
    ("failure", "asked"),
    [(UnavailableError("the store is full"), 3 * QUICK.max_deliver), (KeyError("bug"), None)],
    ids=["an outage", "a bug"],
)
async def test_only_a_bug_makes_a_dead_letter_untold(
    nats_connection: NatsConnection, publisher: Publisher, failure: Exception, asked: int | None
) -> None:
    deliveries: list[int] = []

    async def on_dead_letter(envelope: Envelope, error: AutoISPError) -> None:
        assert await dead_letters(nats_connection) == []
        deliveries.append(envelope.deliveries)
        if asked is None or len(deliveries) < asked:
            raise failure

    await send_trials(publisher, "t")
    consumer = Consumer(
        nats_connection, t.WORKER_TRIALS, refuse_it, policy=QUICK, on_dead_letter=on_dead_letter
    )

    async def gone() -> bool:
        return await messages_in(nats_connection, t.COMMAND_STREAM) == 0

    async with running(consumer):
        await until(gone)
    assert len(deliveries) == (asked or 2 * QUICK.max_deliver + 1)
    assert len(await dead_letters(nats_connection)) == 1


async def test_long_work_is_not_given_to_others(
    nats_connection: NatsConnection, publisher: Publisher
) -> None:
    deliveries: list[int] = []

    async def handle(envelope: Envelope) -> None:
        deliveries.append(envelope.deliveries)
        await asyncio.sleep(4)  # several ack waits

    await send_trials(publisher, "t")
    consumers = [Consumer(nats_connection, t.WORKER_TRIALS, handle, policy=QUICK) for _ in range(2)]
    async with running(*consumers):
        await asyncio.sleep(3.5)
    assert deliveries == [1]
    assert await messages_in(nats_connection, t.COMMAND_STREAM) == 0


async def test_what_a_dead_worker_had_comes_again(
    nats_connection: NatsConnection, publisher: Publisher
) -> None:
    await send_trials(publisher, "t")
    assert len(await PullSource(nats_connection, t.WORKER_TRIALS).fetch(1, 2)) == 1
    deliveries: list[int] = []

    async def handle(envelope: Envelope) -> None:
        deliveries.append(envelope.deliveries)

    async with running(Consumer(nats_connection, t.WORKER_TRIALS, handle, policy=QUICK)):
        await until(lambda: deliveries == [2], timeout_s=5)


async def test_a_stopping_worker_hands_its_work_back_at_once(
    nats_connection: NatsConnection, publisher: Publisher
) -> None:
    started = asyncio.Event()

    async def slow(envelope: Envelope) -> None:
        started.set()
        await asyncio.sleep(60)

    await send_trials(publisher, "t")
    async with running(Consumer(nats_connection, t.WORKER_TRIALS, slow, policy=QUICK), grace_s=0.1):
        await asyncio.wait_for(started.wait(), 5)
    source = PullSource(nats_connection, t.WORKER_TRIALS)
    assert len(await source.fetch(1, 0.5)) == 1  # well within the ack wait


async def test_a_stopping_worker_may_finish_within_the_grace(
    nats_connection: NatsConnection, publisher: Publisher
) -> None:
    started = asyncio.Event()

    async def handle(envelope: Envelope) -> None:
        started.set()
        await asyncio.sleep(0.3)

    await send_trials(publisher, "t", "u")
    async with running(Consumer(nats_connection, t.WORKER_TRIALS, handle, policy=QUICK)):
        await asyncio.wait_for(started.wait(), 5)
    assert await messages_in(nats_connection, t.COMMAND_STREAM) == 1


async def test_short_jobs_overtake_queued_trials(
    nats_connection: NatsConnection, publisher: Publisher
) -> None:
    seen: list[str] = []

    async def handle(envelope: Envelope) -> None:
        seen.append(envelope.resource_id)
        if envelope.resource_id == "t-0":
            await publisher.publish(command_subject(Command.EVALUATION_RUN, "e"), b"", "run-e")

    await send_trials(publisher, *(f"t-{i}" for i in range(5)))
    worker = Consumer(nats_connection, (t.WORKER_FIRST, t.WORKER_TRIALS), handle, policy=QUICK)
    async with running(worker):
        await until(lambda: len(seen) == 6)
    assert seen == ["t-0", "e", "t-1", "t-2", "t-3", "t-4"]


async def test_what_nobody_waits_for_is_done_in_idle_time_only(
    nats_connection: NatsConnection, publisher: Publisher
) -> None:
    seen: list[str] = []

    async def handle(envelope: Envelope) -> None:
        seen.append(envelope.resource_id)
        if envelope.resource_id == "t-0":  # a search thinks for a moment before it gives the next trial
            asyncio.get_running_loop().call_later(0.7, lambda: sending.append(send("t-1")))

    def send(trial: str) -> asyncio.Task[None]:
        return asyncio.create_task(send_trials(publisher, trial))

    sending: list[asyncio.Task[None]] = []
    await publisher.publish(command_subject(Command.MODEL_VERSION_CONVERT, "m-1-1"), b"", "convert")
    await send_trials(publisher, "t-0")
    assert t.WORKER_CONVERSIONS.after_idle_s > 1
    conversions = replace(t.WORKER_CONVERSIONS, after_idle_s=5.0)  # a busy machine may be late with "t-1"
    queues = (t.WORKER_FIRST, t.WORKER_TRIALS, conversions)
    async with running(Consumer(nats_connection, queues, handle, policy=QUICK)):
        await until(lambda: len(seen) == 3)
    assert seen == ["t-0", "t-1", "m-1-1"]


async def test_a_cancelled_fetch_gives_back_what_was_on_its_way(
    nats_connection: NatsConnection, publisher: Publisher
) -> None:
    await ensure_topology(nats_connection.js, ack_wait_s=60)  # what gets lost stays away
    source = PullSource(nats_connection, t.WORKER_TRIALS)
    sent = [f"t-{i}" for i in range(50)]
    got: list[str] = []
    publishing = asyncio.create_task(send_trials(publisher, *sent))
    deadline = time.monotonic() + 30
    for i in itertools.count():
        assert time.monotonic() < deadline, "a message was lost"
        fetching = asyncio.create_task(source.fetch(1 + i % 3, None if i % 2 else 5))
        for _ in range(i % 11):
            await asyncio.sleep(0)
        if i % 5:
            await asyncio.sleep(0.0005 * (i % 7))
        fetching.cancel()
        with contextlib.suppress(asyncio.CancelledError, UnavailableError):
            for msg in await fetching:
                got.append(msg.subject)
                await msg.ack_sync(timeout=10)
        if publishing.done() and len(got) == len(sent):
            break
    assert sorted(got) == sorted(command_subject(Command.TRIAL_RUN, i) for i in sent)


async def test_trace_context_goes_from_publisher_to_handler_and_on(
    nats_connection: NatsConnection, publisher: Publisher
) -> None:
    traceparent = f"00-{'a' * 32}-{'b' * 16}-01"
    seen: list[str | None] = []

    async def handle(envelope: Envelope) -> None:
        seen.append(current_traceparent())

    with traced(traceparent):
        await send_trials(publisher, "t")
    async with running(Consumer(nats_connection, t.WORKER_TRIALS, handle, policy=QUICK)):
        await until(lambda: seen == [traceparent])


async def test_the_same_event_id_is_stored_once(
    nats_connection: NatsConnection, publisher: Publisher
) -> None:
    subject = event_subject(Event.TRIAL_COMPLETED, "t")
    assert await publisher.publish(subject, b"x", "same")
    assert not await publisher.publish(subject, b"x", "same")
    assert await messages_in(nats_connection, t.EVENT_STREAM) == 1


async def test_publishing_failures_are_typed(
    nats_server: NatsServer, nats_connection: NatsConnection, publisher: Publisher
) -> None:
    subject = event_subject(Event.TRIAL_COMPLETED, "t")
    with pytest.raises(UnavailableError, match="no JetStream stream takes elsewhere"):
        await publisher.publish("elsewhere", b"", "1")
    with pytest.raises(InternalError, match="artifact store"):
        await publisher.publish(subject, bytes(2**20), "2")
    (commands, *_) = t.stream_configs()
    commands.max_msgs = 1
    await nats_connection.js.update_stream(commands)
    await send_trials(publisher, "a")
    with pytest.raises(ResourceExhaustedError):
        await send_trials(publisher, "b")
    nats_server.kill()
    with pytest.raises(UnavailableError, match="is nats-server running"):
        await publisher.publish(subject, b"", "3", timeout_s=0.3)


async def test_the_topology_can_be_made_by_all_at_once_and_changed(nats_server: NatsServer) -> None:
    connections = [await NatsConnection.open(nats_server.url) for _ in range(5)]
    await asyncio.gather(*(ensure_topology(connection.js) for connection in connections))
    (changed, *_) = t.stream_configs()
    changed.max_msgs = 1
    await connections[0].js.update_stream(changed)
    await ensure_topology(connections[0].js, ack_wait_s=7)
    js = connections[0].js
    for spec in t.CONSUMERS:
        info = await js.consumer_info(spec.stream, spec.durable)
        assert info.config.ack_wait == 7
        assert info.config.max_deliver == -1
    commands = (await js.stream_info(t.COMMAND_STREAM)).config
    assert commands.retention == "workqueue"
    assert commands.discard == "new"
    assert commands.max_msgs == 100_000
    await asyncio.gather(*(connection.close() for connection in connections))


async def test_it_waits_for_nats_at_the_start_and_says_so(tmp_path: Path) -> None:
    server = NatsServer(tmp_path)
    server.start()
    server.kill()  # now the port is known
    with structlog.testing.capture_logs() as logs:
        opening = asyncio.create_task(NatsConnection.open(server.url))
        await asyncio.sleep(0.7)
        assert not opening.done()
        server.start()
        connection = await asyncio.wait_for(opening, 10)
    assert f"waiting for NATS at {server.url}" in [log["event"] for log in logs]
    assert connection.connected
    await connection.close()
    server.stop()


async def test_secrets_in_the_url_are_not_logged(nats_server: NatsServer) -> None:
    url = nats_server.url.replace("//", "//user:secret@")
    with structlog.testing.capture_logs() as logs:
        connection = await NatsConnection.open(f"{url},{url}")
        await connection.close()
    assert connection.url == f"{nats_server.url},{nats_server.url}"
    assert "secret" not in str(logs)


async def test_kill_nats_in_mid_consumption(
    nats_server: NatsServer, nats_connection: NatsConnection, publisher: Publisher
) -> None:
    """Nothing is lost and nothing recorded twice, while the broker dies three times under load."""
    sent = [f"t-{i}" for i in range(150)]
    recorded: Counter[str] = Counter()
    results: set[str] = set()

    async def handle(envelope: Envelope) -> None:
        await asyncio.sleep(0.02)
        if envelope.event_id not in results:  # what the result blob is to a worker
            results.add(envelope.event_id)
            recorded[envelope.resource_id] += 1
        await publisher.publish(
            event_subject(Event.TRIAL_COMPLETED, envelope.resource_id),
            b"",
            f"done-{envelope.event_id}",
            timeout_s=1,
            retry_for_s=20,
        )

    async def send() -> None:
        for trial_id in sent:
            await publisher.publish(
                command_subject(Command.TRIAL_RUN, trial_id), b"", trial_id, timeout_s=1, retry_for_s=20
            )

    policy = DeliveryPolicy(ack_wait_s=1.5, max_deliver=20, backoff_s=(0.05,), linger_s=0.5)
    consumers = [Consumer(nats_connection, t.WORKER_TRIALS, handle, policy=policy) for _ in range(2)]

    async def all_done() -> bool:
        try:
            return len(recorded) == len(sent) and await messages_in(nats_connection, t.COMMAND_STREAM) == 0
        except Exception:
            return False

    async with running(*consumers):
        sending = asyncio.create_task(send())
        for _ in range(3):
            await asyncio.sleep(0.4)
            nats_server.kill()
            await asyncio.sleep(0.4)
            nats_server.start()
        await asyncio.wait_for(sending, 40)
        await until(all_done, timeout_s=40)
    assert set(recorded) == set(sent)
    assert set(recorded.values()) == {1}
    assert await messages_in(nats_connection, t.EVENT_STREAM) == len(sent)
    assert await dead_letters(nats_connection) == []

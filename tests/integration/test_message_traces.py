"""What happens to a message belongs to its trace, however often it comes and however it ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager

import pytest
import structlog
from autoisp_core.errors import AutoISPError, InvalidArgumentError, UnavailableError
from autoisp_runtime.jetstream import (
    Command,
    Consumer,
    DeliveryPolicy,
    Envelope,
    Event,
    NatsConnection,
    Publisher,
    command_subject,
    event_subject,
)
from autoisp_runtime.jetstream import topology as t
from autoisp_runtime.logging import _add_trace
from autoisp_runtime.operations.dead_letters import DeadLetters
from autoisp_runtime.telemetry import spans
from autoisp_runtime.tracing import current_traceparent, traced
from autoisp_testing.spans import kept_spans
from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

GIVEN = f"00-{'a' * 32}-{'b' * 16}-01"
TRACE = int("a" * 32, 16)
QUICK = DeliveryPolicy(ack_wait_s=1.5, max_deliver=3, backoff_s=(0.05,), linger_s=0.5)


@pytest.fixture
def publisher(nats_connection: NatsConnection) -> Publisher:
    return Publisher(nats_connection, "autoisp/testing")


@pytest.fixture
def exported() -> Iterator[InMemorySpanExporter]:
    with kept_spans() as exporter:
        yield exporter


@asynccontextmanager
async def running(consumer: Consumer) -> AsyncIterator[None]:
    task = asyncio.create_task(consumer.run())
    try:
        yield
    finally:
        await consumer.stop(2)
        await asyncio.wait_for(task, 10)


async def send_trial(publisher: Publisher) -> None:
    with traced(GIVEN):
        await publisher.publish(command_subject(Command.TRIAL_RUN, "t"), b"", "run-t")


def named(exported: InMemorySpanExporter, name: str) -> list[ReadableSpan]:
    return [span for span in exported.get_finished_spans() if span.name == name]


def outcomes(handled: list[ReadableSpan]) -> list[tuple[object, object, bool]]:
    return [
        (
            (span.attributes or {})["autoisp.deliveries"],
            (span.attributes or {})["autoisp.outcome"],
            span.status.is_ok,
        )
        for span in handled
    ]


async def test_every_delivery_is_in_the_trace_of_the_message(
    nats_connection: NatsConnection, publisher: Publisher, exported: InMemorySpanExporter
) -> None:
    done = asyncio.Event()

    async def handle(envelope: Envelope) -> None:
        if envelope.deliveries < 3:
            raise UnavailableError("the store is away")
        await publisher.publish(event_subject(Event.TRIAL_COMPLETED, "t"), b"", "done-t")
        done.set()

    await send_trial(publisher)
    async with running(Consumer(nats_connection, t.WORKER_TRIALS, handle, policy=QUICK)):
        await asyncio.wait_for(done.wait(), 30)
    (sent,) = named(exported, "send trial.run")
    handled, (answered,) = named(exported, "process trial.run"), named(exported, "send trial.completed")
    assert {span.context.trace_id for span in (sent, *handled, answered)} == {TRACE}
    assert {span.parent.span_id for span in handled if span.parent} == {sent.context.span_id}
    assert answered.parent is not None
    assert answered.parent.span_id == handled[-1].context.span_id
    assert outcomes(handled) == [(1, "retried", False), (2, "retried", False), (3, "acked", True)]


async def test_poison_is_told_in_its_trace_and_replayed_into_it(
    nats_connection: NatsConnection, publisher: Publisher, exported: InMemorySpanExporter
) -> None:
    told = asyncio.Event()

    async def refuse(envelope: Envelope) -> None:
        raise InvalidArgumentError("spec", "the spec is broken", reason="BAD_SPEC")

    async def tell(envelope: Envelope, error: AutoISPError) -> None:
        await publisher.publish(event_subject(Event.TRIAL_COMPLETED, "t"), b"", "failed-t")
        told.set()

    await send_trial(publisher)
    async with running(Consumer(nats_connection, t.WORKER_TRIALS, refuse, policy=QUICK, on_dead_letter=tell)):
        await asyncio.wait_for(told.wait(), 30)
    (handled,), (answered,) = named(exported, "process trial.run"), named(exported, "send trial.completed")
    assert (answered.context.trace_id, handled.context.trace_id) == (TRACE, TRACE)
    assert answered.parent is not None
    assert answered.parent.span_id == handled.context.span_id
    assert outcomes([handled]) == [(1, "dead_letter", False)]
    assert (handled.attributes or {})["error.type"] == "BAD_SPEC"

    state = (await nats_connection.js.stream_info(t.DEAD_LETTER_STREAM)).state
    await DeadLetters(nats_connection, publisher).replay(state.last_seq, "somebody")
    assert [span.context.trace_id for span in named(exported, "send trial.run")] == [TRACE, TRACE]


@pytest.mark.parametrize("on", [True, False], ids=["a collector", "none"])
async def test_what_is_said_of_a_failure_has_the_ids_of_its_trace(
    nats_connection: NatsConnection, publisher: Publisher, on: bool
) -> None:
    done = asyncio.Event()

    async def handle(envelope: Envelope) -> None:
        if envelope.deliveries == 1:
            raise UnavailableError("the store is away")
        done.set()
        raise InvalidArgumentError("spec", "the spec is broken", reason="BAD_SPEC")

    log = structlog.testing.LogCapture()
    before = structlog.get_config()["processors"]
    structlog.configure(processors=[_add_trace, log])
    try:
        with kept_spans() as exported:
            if not on:
                spans.enable(None)
            await send_trial(publisher)
            async with running(Consumer(nats_connection, t.WORKER_TRIALS, handle, policy=QUICK)):
                await asyncio.wait_for(done.wait(), 30)
        said = {line["event"]: line for line in log.entries}
        for event in ("failed; will be tried again", "dead letter"):
            assert said[event]["trace_id"] == "a" * 32
        handled = [f"{span.context.span_id:016x}" for span in named(exported, "process trial.run")]
        expected = handled if on else ["b" * 16, "b" * 16]
        assert [said["failed; will be tried again"]["span_id"], said["dead letter"]["span_id"]] == expected
    finally:
        structlog.configure(processors=before)
    assert current_traceparent() is None

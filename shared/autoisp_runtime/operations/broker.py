"""The broker at a glance: streams, consumers, and how many commands of each kind are not done."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import nats.errors
from autoisp_core.errors import UnavailableError

from autoisp_runtime.jetstream.connection import NatsConnection
from autoisp_runtime.jetstream.topology import (
    COMMAND_STREAM,
    CONSUMERS,
    DEAD_LETTER_STREAM,
    EVENT_STREAM,
    REPLAY_NOTES,
    ConsumerSpec,
)

_STREAMS = (COMMAND_STREAM, EVENT_STREAM, DEAD_LETTER_STREAM)
_LOOK_S = 2.0  # whoever asks for a status waits for five seconds, and wants to hear of the rest too


@dataclass(frozen=True)
class StreamView:
    """What a stream keeps."""

    name: str
    messages: int
    size_bytes: int


@dataclass(frozen=True)
class ConsumerView:
    """How far a durable consumer is, over all of its processes.

    Attributes:
        waiting: not delivered yet: the lag.
        in_work: delivered, not acknowledged yet; ``redelivered`` of them more than once.
        idle_requests: of processes that have nothing to do.
    """

    durable: str
    stream: str
    kinds: tuple[str, ...]
    waiting: int
    in_work: int
    redelivered: int
    idle_requests: int


@dataclass(frozen=True)
class BrokerView:
    """What a process sees of the broker.

    Attributes:
        commands: by kind, those not done; kinds without any are left out.
        dead_letters: messages that nobody could handle.
    """

    url: str
    streams: tuple[StreamView, ...]
    consumers: tuple[ConsumerView, ...]
    commands: dict[str, int]
    dead_letters: int


async def look(connection: NatsConnection) -> BrokerView:
    """Ask the broker.

    Raises:
        UnavailableError: it is away or silent, or has not all of the streams (yet).
    """
    async with asking(connection), asyncio.timeout(_LOOK_S):
        streams = await asyncio.gather(*(_stream(connection, name) for name in _STREAMS))
        consumers = await asyncio.gather(*(_consumer(connection, spec) for spec in CONSUMERS))
        dead_letters = streams[-1].messages - await _subjects(connection, DEAD_LETTER_STREAM, REPLAY_NOTES)
        commands: dict[str, int] = {}
        for consumer in consumers:
            if consumer.stream == COMMAND_STREAM:
                commands |= await _commands(connection, consumer)
    return BrokerView(connection.url, tuple(streams), tuple(consumers), commands, max(0, dead_letters))


@asynccontextmanager
async def asking(connection: NatsConnection) -> AsyncIterator[None]:
    """Gives the broker's errors our class.

    Raises:
        UnavailableError: it has no answer.
    """
    if not connection.connected:  # it would wait for the reconnection
        raise UnavailableError(f"NATS at {connection.url} can't be reached", reason="NATS_UNAVAILABLE")
    try:
        yield
    except (nats.errors.Error, TimeoutError, OSError) as error:
        raise UnavailableError(
            f"JetStream at {connection.url} did not answer: {str(error) or 'it is late'}",
            reason="NATS_UNAVAILABLE",
        ) from error


async def _stream(connection: NatsConnection, name: str) -> StreamView:
    state = (await connection.js.stream_info(name)).state
    return StreamView(name, state.messages, state.bytes)


async def _consumer(connection: NatsConnection, spec: ConsumerSpec) -> ConsumerView:
    info = await connection.js.consumer_info(spec.stream, spec.durable)
    return ConsumerView(
        spec.durable,
        spec.stream,
        tuple(kind.value for kind in spec.kinds),
        info.num_pending or 0,
        info.num_ack_pending or 0,
        info.num_redelivered or 0,
        info.num_waiting or 0,
    )


async def _commands(connection: NatsConnection, consumer: ConsumerView) -> dict[str, int]:
    """A work queue keeps a command until it is done. Only where several kinds share a consumer, and that has
    any, are subjects counted: one for each command."""
    total = consumer.waiting + consumer.in_work
    if total == 0 or len(consumer.kinds) == 1:
        return dict.fromkeys(consumer.kinds, total) if total else {}
    counts = {}
    for kind in consumer.kinds:
        counts[kind] = await _subjects(connection, COMMAND_STREAM, f"autoisp.v1.cmd.{kind}.*")
    return {kind: count for kind, count in counts.items() if count}


async def _subjects(connection: NatsConnection, stream: str, filter_subject: str) -> int:
    """How many messages have such subjects."""
    info = await connection.js.stream_info(stream, filter_subject)
    return sum((info.state.subjects or {}).values())

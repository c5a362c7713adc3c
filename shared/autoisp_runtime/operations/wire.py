"""Encoding."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime

from autoisp.operations.v1 import operations_pb2
from autoisp_core.errors import InvalidArgumentError
from autoisp_core.names import Pattern
from google.protobuf.timestamp_pb2 import Timestamp

from autoisp_runtime import instance
from autoisp_runtime.jetstream import Consumer
from autoisp_runtime.operations.broker import BrokerView
from autoisp_runtime.operations.dead_letters import DeadLetter

_DEAD_LETTER = Pattern(("deadLetters",))
_LARGEST_SEQUENCE = 2**63 - 1


def sequence_from(name: str) -> int:
    """The number in ``deadLetters/{sequence}``.

    Raises:
        InvalidArgumentError: it has another shape.
    """
    (text,) = _DEAD_LETTER.parse(name, "name")
    if not text.isdecimal() or not 0 < int(text) <= _LARGEST_SEQUENCE:
        raise InvalidArgumentError(
            "name",
            f"{name!r} can't be the name of a dead letter; they are deadLetters/1 and up, "
            "and 'autoisp dlq list' shows them",
            reason="INVALID_NAME",
        )
    return int(text)


def broker_to(view: BrokerView) -> operations_pb2.Broker:
    """Encode."""
    return operations_pb2.Broker(
        url=view.url,
        streams=[
            operations_pb2.Stream(name=stream.name, messages=stream.messages, size_bytes=stream.size_bytes)
            for stream in view.streams
        ],
        consumers=[
            operations_pb2.Consumer(
                durable=consumer.durable,
                stream=consumer.stream,
                kinds=consumer.kinds,
                waiting=consumer.waiting,
                in_work=consumer.in_work,
                redelivered=consumer.redelivered,
                idle_requests=consumer.idle_requests,
            )
            for consumer in view.consumers
        ],
        commands=[
            operations_pb2.CommandCount(kind=kind, messages=count) for kind, count in view.commands.items()
        ],
        dead_letters=view.dead_letters,
    )


def process_to(service: str, name: str, consumers: Iterable[Consumer]) -> operations_pb2.Process:
    """This process, now."""
    return operations_pb2.Process(
        service=service,
        instance=name,
        version=instance.release(),
        start_time=time_to(instance.STARTED),
        cpu_seconds=instance.cpu_seconds(),
        memory_bytes=instance.memory_bytes(),
        work=[
            operations_pb2.Work(kind=work.kind, resource_id=work.resource_id, start_time=time_to(work.since))
            for consumer in consumers
            if (work := consumer.in_work) is not None
        ],
    )


def dead_letter_to(letter: DeadLetter, *, whole: bool = True) -> operations_pb2.DeadLetter:
    """Encode; not ``whole``: without payload and headers."""
    message = operations_pb2.DeadLetter(
        name=_DEAD_LETTER.format(str(letter.sequence)),
        subject=letter.subject,
        kind=letter.kind,
        resource_id=letter.subject.rsplit(".", 1)[-1],
        event_id=letter.event_id,
        source=letter.source,
        send_time=time_to(letter.send_time),
        create_time=time_to(letter.time),
        consumer=letter.consumer,
        process=letter.process,
        reason=letter.reason,
        error=letter.error,
        deliveries=letter.deliveries,
        size_bytes=len(letter.payload),
        payload=letter.payload if whole else b"",
        headers=letter.headers if whole else {},
    )
    if letter.replay is not None:
        note = letter.replay
        message.replay.CopyFrom(
            operations_pb2.Replay(create_time=time_to(note.time), actor=note.actor, event_id=note.event_id)
        )
    return message


def time_to(moment: datetime | None) -> Timestamp | None:
    """Encode; None stays unset."""
    if moment is None:
        return None
    stamp = Timestamp()
    stamp.FromDatetime(moment.astimezone(UTC))
    return stamp

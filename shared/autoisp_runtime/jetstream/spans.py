"""Messages sent and handled, as spans."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, contextmanager

from opentelemetry.trace import Span

from autoisp_runtime.jetstream.envelope import Envelope
from autoisp_runtime.jetstream.topology import kind_of
from autoisp_runtime.telemetry import spans
from autoisp_runtime.tracing import TRACEPARENT, current_traceparent


@contextmanager
def sending(subject: str, event_id: str, headers: Mapping[str, str], size: int) -> Iterator[dict[str, str]]:
    """Send a message; yields its headers, which name the sending's span as what its handling hangs under.

    Args:
        headers: with the ``traceparent`` of what caused the message, if that is known.
    """
    if not spans.enabled():
        yield dict(headers)
        return
    kind = kind_of(subject)
    attributes = _attributes(subject, event_id, size) | {
        "messaging.operation.name": "publish",
        "messaging.operation.type": "send",
    }
    with spans.span(f"send {kind}", attributes, kind="producer", parent=headers.get(TRACEPARENT)):
        traceparent = current_traceparent()
        yield {**headers, TRACEPARENT: traceparent} if traceparent else dict(headers)


def handling(envelope: Envelope, consumer: str) -> AbstractContextManager[Span]:
    """Handle a delivery, under what it came with."""
    if not spans.enabled():
        return spans.span("", parent=envelope.traceparent)
    attributes = _attributes(envelope.subject, envelope.event_id, len(envelope.payload)) | {
        "messaging.operation.name": "process",
        "messaging.operation.type": "process",
        "messaging.consumer.group.name": consumer,
        "autoisp.resource_id": envelope.resource_id,
        "autoisp.deliveries": envelope.deliveries,
    }
    return spans.span(f"process {envelope.kind}", attributes, kind="consumer", parent=envelope.traceparent)


def _attributes(subject: str, event_id: str, size: int) -> dict[str, str | int]:
    return {
        "messaging.system": "nats",
        "messaging.destination.name": subject,
        "messaging.destination.template": f"{subject.rpartition('.')[0]}.*",
        "messaging.message.id": event_id,
        "messaging.message.body.size": size,
    }

"""Where poison goes: its own stream, with everything needed to look into it or to send it again."""

from __future__ import annotations

from autoisp_core.errors import AutoISPError

from autoisp_runtime.instance import process_name
from autoisp_runtime.jetstream.connection import NatsConnection
from autoisp_runtime.jetstream.envelope import MESSAGE_ID_HEADER, Envelope
from autoisp_runtime.jetstream.topology import DEAD_LETTER_STREAM, ConsumerSpec, dead_letter_subject

REASON = "autoisp-dlq-reason"
ERROR = "autoisp-dlq-error"
SUBJECT = "autoisp-dlq-subject"
CONSUMER = "autoisp-dlq-consumer"
DELIVERIES = "autoisp-dlq-deliveries"
PROCESS = "autoisp-dlq-process"

_MAX_ERROR_CHARS = 1000


async def publish_dead_letter(
    connection: NatsConnection, spec: ConsumerSpec, envelope: Envelope, error: AutoISPError
) -> None:
    """Publish the message as it came, headers included, plus why it is here; waits for the receipt.

    Raises:
        nats.errors.Error: it was not stored; the original must then not be terminated.
    """
    headers = {
        **envelope.headers,
        MESSAGE_ID_HEADER: f"{spec.durable}:{envelope.event_id}",
        REASON: error.reason,
        ERROR: " ".join(str(error).split())[:_MAX_ERROR_CHARS],  # a header can't hold line breaks
        SUBJECT: envelope.subject,
        CONSUMER: spec.durable,
        DELIVERIES: str(envelope.deliveries),
        PROCESS: process_name(),
    }
    await connection.js.publish(
        dead_letter_subject(spec.durable, envelope.subject),
        envelope.payload,
        stream=DEAD_LETTER_STREAM,
        headers=headers,
    )

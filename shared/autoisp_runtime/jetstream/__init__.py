"""Commands and events over NATS JetStream."""

from autoisp_runtime.jetstream.connection import NatsConnection
from autoisp_runtime.jetstream.consumer import Consumer, DeadLetterHandler, DeliveryPolicy, Handler
from autoisp_runtime.jetstream.credentials import credential_options
from autoisp_runtime.jetstream.envelope import Envelope
from autoisp_runtime.jetstream.listener import listen
from autoisp_runtime.jetstream.publisher import Publisher
from autoisp_runtime.jetstream.topology import (
    CONSUMERS,
    Command,
    ConsumerSpec,
    Event,
    command_subject,
    ensure_topology,
    event_subject,
    find_topology,
)

__all__ = [
    "CONSUMERS",
    "Command",
    "Consumer",
    "ConsumerSpec",
    "DeadLetterHandler",
    "DeliveryPolicy",
    "Envelope",
    "Event",
    "Handler",
    "NatsConnection",
    "Publisher",
    "command_subject",
    "credential_options",
    "ensure_topology",
    "event_subject",
    "find_topology",
    "listen",
]

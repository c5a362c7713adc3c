"""A received message, without NATS: bytes, who and what, and how often it was tried."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TypeVar

from autoisp_core.errors import InvalidArgumentError
from google.protobuf.message import DecodeError, Message
from nats.aio.msg import Msg

from autoisp_runtime.jetstream.topology import kind_of
from autoisp_runtime.tracing import TRACEPARENT

M = TypeVar("M", bound=Message)

MESSAGE_ID_HEADER = "Nats-Msg-Id"
CE_ID = "ce-id"
CE_TYPE = "ce-type"
CE_SOURCE = "ce-source"
CE_TIME = "ce-time"
CE_SPECVERSION = "ce-specversion"


@dataclass(frozen=True)
class Envelope:
    """One delivery of one command or event.

    Args:
        subject: the full subject.
        payload: protobuf bytes; see :meth:`decode`.
        event_id: unique per message and the same in every delivery: what handlers are idempotent by.
        headers: as sent.
        deliveries: 1 at the first delivery.
    """

    subject: str
    payload: bytes
    event_id: str
    headers: Mapping[str, str] = field(default_factory=dict)
    deliveries: int = 1

    @classmethod
    def from_msg(cls, msg: Msg) -> Envelope:
        """Take a JetStream message apart."""
        headers = dict(msg.headers or {})
        metadata = msg.metadata
        event_id = (
            headers.get(CE_ID)
            or headers.get(MESSAGE_ID_HEADER)
            or f"{metadata.stream}-{metadata.sequence.stream}"
        )
        return cls(msg.subject, msg.data, event_id, headers, metadata.num_delivered or 1)

    @property
    def kind(self) -> str:
        """``<aggregate>.<verb>``, for example ``trial.run``; equals the ``Command`` or ``Event``."""
        return kind_of(self.subject)

    @property
    def resource_id(self) -> str:
        """The last part of the subject."""
        return self.subject.rsplit(".", 1)[-1]

    @property
    def traceparent(self) -> str | None:
        """The W3C trace context it was sent with."""
        return self.headers.get(TRACEPARENT)

    def decode(self, message_type: type[M]) -> M:
        """The payload as a protobuf message.

        Raises:
            InvalidArgumentError: it is none; permanent, so the message goes to the dead letters.
        """
        message = message_type()
        try:
            message.ParseFromString(self.payload)
        except DecodeError as error:
            raise InvalidArgumentError(
                "payload",
                f"the payload of {self.subject} is no {message.DESCRIPTOR.full_name}: {error}; "
                "sender and receiver must use the same protos",
                reason="UNDECODABLE",
            ) from error
        return message

"""Times, both ways: UTC."""

from __future__ import annotations

from datetime import UTC, datetime

from google.protobuf.message import Message
from google.protobuf.timestamp_pb2 import Timestamp


def time_to(time: datetime) -> Timestamp:
    """Write a time."""
    message = Timestamp()
    message.FromDatetime(time)
    return message


def time_from(message: Timestamp) -> datetime:
    """Read a time."""
    return message.ToDatetime(UTC)


def optional_time(message: Message, field: str) -> datetime | None:
    """Read a time that may not be set."""
    return time_from(getattr(message, field)) if message.HasField(field) else None

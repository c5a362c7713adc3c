"""Hearing events as they are published, without receipts.

A consumer's processes share its messages, and each message comes until it is acknowledged. Here every process
gets every message once, or not at all: for news that are worth nothing later, such as progress.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable

import structlog

from autoisp_runtime.jetstream.connection import NatsConnection
from autoisp_runtime.jetstream.topology import Event, event_subjects

_log = structlog.get_logger(__name__)

_PENDING_MESSAGES, _PENDING_BYTES = 1_000, 16 << 20
"""What may wait for the handler; what comes on top is dropped."""


async def listen(
    connection: NatsConnection, event: Event, handler: Callable[[bytes], Awaitable[None]]
) -> None:
    """Give the payload of every event of a kind to the handler, until cancelled.

    A handler that fails loses its message and is told the next one.
    """
    subscription = await connection.client.subscribe(
        event_subjects(event),
        pending_msgs_limit=_PENDING_MESSAGES,
        pending_bytes_limit=_PENDING_BYTES,
    )
    async for message in subscription.messages:
        try:
            await handler(message.data)
        except Exception as error:
            _log.error("an event was not taken in", subject=message.subject, exc_info=error)

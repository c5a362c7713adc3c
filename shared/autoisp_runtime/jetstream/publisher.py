"""Publishing with a receipt: a return means that JetStream has the message on disk."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping
from datetime import UTC, datetime

import nats.errors
from autoisp_core.errors import AutoISPError, InternalError, ResourceExhaustedError, UnavailableError
from nats.js import errors as js_errors

from autoisp_runtime.jetstream.connection import NatsConnection
from autoisp_runtime.jetstream.envelope import (
    CE_ID,
    CE_SOURCE,
    CE_SPECVERSION,
    CE_TIME,
    CE_TYPE,
    MESSAGE_ID_HEADER,
)
from autoisp_runtime.jetstream.spans import sending
from autoisp_runtime.jetstream.topology import kind_of
from autoisp_runtime.telemetry.metrics import MESSAGES_PUBLISHED
from autoisp_runtime.tracing import TRACEPARENT, current_traceparent

MAX_PAYLOAD_BYTES = 900_000
"""Below NATS's 1 MiB, headers included. Bigger things go to the artifact store and travel by reference."""

_RETRY_WAIT_S = 0.5
_FULL = frozenset({10047, 10077, 10122})  # out of memory/storage, maximum messages, maximum bytes


class Publisher:
    """Publishes commands and events for one service.

    Args:
        connection: an open connection.
        source: CloudEvents ``source``, for example ``autoisp/search``.
    """

    def __init__(self, connection: NatsConnection, source: str) -> None:
        self._connection = connection
        self._source = source

    async def publish(
        self,
        subject: str,
        payload: bytes,
        event_id: str,
        *,
        headers: Mapping[str, str] | None = None,
        timeout_s: float = 5.0,
        retry_for_s: float = 0.0,
    ) -> bool:
        """Publish and wait until JetStream has it.

        Args:
            event_id: repeating it within the stream's duplicate window (an hour) changes nothing. A *new*
                attempt at the same work needs a new id.
            headers: added to, and stronger than, the CloudEvents attributes and ``traceparent``.
            timeout_s: for one attempt.
            retry_for_s: go on trying for so long while NATS is away.

        Returns:
            False when JetStream had this ``event_id`` already.

        Raises:
            UnavailableError: no answer, or no such stream yet.
            ResourceExhaustedError: the stream or its disk is full.
            InternalError: the payload is too big to ever be sent.
        """
        check_payload(subject, payload)
        caused = {**self._attributes(subject, event_id), **(headers or {})}
        with sending(subject, event_id, caused, len(payload)) as all_headers:
            new = await self._send(subject, payload, all_headers, timeout_s, retry_for_s)
        MESSAGES_PUBLISHED.labels(kind_of(subject)).inc()
        return new

    async def _send(
        self, subject: str, payload: bytes, headers: Mapping[str, str], timeout_s: float, retry_for_s: float
    ) -> bool:
        give_up_at = time.monotonic() + retry_for_s
        while True:
            try:
                ack = await self._connection.js.publish(
                    subject, payload, timeout=timeout_s, headers=dict(headers)
                )
            except (TimeoutError, nats.errors.Error, OSError) as error:
                failure = _typed(error, subject)
                if not failure.transient or time.monotonic() + _RETRY_WAIT_S > give_up_at:
                    raise failure from error
                await asyncio.sleep(_RETRY_WAIT_S)
            else:
                return not ack.duplicate

    def _attributes(self, subject: str, event_id: str) -> dict[str, str]:
        attributes = {
            MESSAGE_ID_HEADER: event_id,
            CE_ID: event_id,
            CE_TYPE: f"autoisp.v1.{kind_of(subject)}",
            CE_SOURCE: self._source,
            CE_TIME: datetime.now(UTC).isoformat(timespec="milliseconds"),
            CE_SPECVERSION: "1.0",
        }
        traceparent = current_traceparent()
        if traceparent:
            attributes[TRACEPARENT] = traceparent
        return attributes


def check_payload(subject: str, payload: bytes) -> None:
    """Refuse what could never be sent, before it is written anywhere.

    Raises:
        InternalError: more than :data:`MAX_PAYLOAD_BYTES`.
    """
    if len(payload) > MAX_PAYLOAD_BYTES:
        raise InternalError(
            f"the message for {subject} has {len(payload)} bytes, more than {MAX_PAYLOAD_BYTES}; "
            "put its bulk into the artifact store and send the reference",
            reason="MESSAGE_TOO_BIG",
        )


def _typed(error: Exception, subject: str) -> AutoISPError:
    if isinstance(error, js_errors.APIError) and error.err_code in _FULL:
        return ResourceExhaustedError(
            f"JetStream refused {subject}: {error.description}; free its disk or let the workers catch up",
            reason="STREAM_FULL",
        )
    if isinstance(error, js_errors.NoStreamResponseError):
        return UnavailableError(
            f"no JetStream stream takes {subject}; is nats-server running with -js?", reason="NO_STREAM"
        )
    return UnavailableError(
        f"NATS did not take {subject}: {error or type(error).__name__}; is nats-server running?",
        reason="NATS_UNAVAILABLE",
    )

"""A delivery while it is handled: what it is, since when, and how it ended."""

from __future__ import annotations

import time
from datetime import UTC, datetime
from typing import Literal

from opentelemetry import trace

from autoisp_runtime.jetstream.envelope import Envelope
from autoisp_runtime.telemetry.metrics import MESSAGE_SECONDS, MESSAGES_HANDLED, MESSAGES_IN_WORK

Outcome = Literal["acked", "retried", "dead_letter", "handed_back"]


class Delivery:
    """One delivery of one message, from now on in work, until :meth:`ended`."""

    def __init__(self, consumer: str, envelope: Envelope) -> None:
        self.kind = envelope.kind
        self.resource_id = envelope.resource_id
        self.since = datetime.now(UTC)
        self._consumer = consumer
        self._started = time.perf_counter()
        MESSAGES_IN_WORK.labels(consumer).inc()

    def ended(self, outcome: Outcome) -> None:
        """Its handling is over."""
        trace.get_current_span().set_attribute("autoisp.outcome", outcome)
        MESSAGES_IN_WORK.labels(self._consumer).dec()
        MESSAGE_SECONDS.labels(self._consumer, self.kind).observe(time.perf_counter() - self._started)
        MESSAGES_HANDLED.labels(self._consumer, self.kind, outcome).inc()

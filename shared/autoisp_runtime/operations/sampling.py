"""Brings those metrics up to date that nobody counts as they happen."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import structlog
from autoisp_core.errors import AutoISPError

from autoisp_runtime.jetstream import NatsConnection
from autoisp_runtime.operations.broker import look
from autoisp_runtime.operations.health import Check, ProcessHealth
from autoisp_runtime.telemetry import metrics

_EVERY_S = 5.0
_AT_MOST_S = 4.0

_log = structlog.get_logger(__name__)


class Sampler:
    """Samples every five seconds; what can't be had keeps its last value.

    Args:
        nats: looked at by processes with an outbox only: a hundred workers had better not all ask the same.
        health: of the process.
        more: a service's own figures.
    """

    def __init__(self, nats: NatsConnection, health: ProcessHealth, more: Sequence[Check]) -> None:
        self._nats = nats
        self._health = health
        self._more = more

    async def run(self) -> None:
        """For ever."""
        while True:
            await self.sample()
            await asyncio.sleep(_EVERY_S)

    async def sample(self) -> None:
        """Once."""
        own = (self._outbox, self._broker) if self._health.has_outbox else ()
        for sampling in (self._dependencies, *own, *self._more):
            try:
                async with asyncio.timeout(_AT_MOST_S):
                    await sampling()
            except (AutoISPError, TimeoutError) as error:
                _log.debug("not sampled", error=str(error))
            except Exception as error:  # figures are not worth a service
                _log.warning("not sampled", exc_info=error)

    async def _dependencies(self) -> None:
        for dependency in await self._health.dependencies():
            metrics.DEPENDENCY_UP.labels(dependency.name).set(not dependency.error)

    async def _outbox(self) -> None:
        waiting = await self._health.outbox()
        assert waiting is not None
        metrics.OUTBOX_MESSAGES.set(waiting.messages)
        metrics.OUTBOX_AGE_SECONDS.set(waiting.oldest_age_s)

    async def _broker(self) -> None:
        view = await look(self._nats)
        metrics.DEAD_LETTERS.set(view.dead_letters)
        for stream in view.streams:
            metrics.STREAM_MESSAGES.labels(stream.name).set(stream.messages)
            metrics.STREAM_BYTES.labels(stream.name).set(stream.size_bytes)
        for consumer in view.consumers:
            metrics.CONSUMER_WAITING.labels(consumer.durable).set(consumer.waiting)
            metrics.CONSUMER_IN_WORK.labels(consumer.durable).set(consumer.in_work)
            metrics.CONSUMER_IDLE.labels(consumer.durable).set(consumer.idle_requests)

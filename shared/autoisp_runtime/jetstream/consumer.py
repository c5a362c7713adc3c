"""The consuming loop and its delivery semantics.

- A handler that returns: the message is acknowledged, with a receipt.
- A handler that fails with something transient or unknown: the message comes again after a growing delay.
- A patient consumer never gives up on what is transient.
- A permanent error, an undecodable payload, or too many deliveries: the message is *poison*:
  ``on_dead_letter`` is told, it is published to the dead-letter stream, and only then terminated (terminating
  deletes a command's body).
- While a handler runs, JetStream gets a sign of life every third of the ack wait, so long work is not given
  to others.
- A lost connection never ends the loop: JetStream redelivers, and handlers are idempotent by
  ``envelope.event_id``.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, TypeGuard, TypeVar

import nats.errors
import structlog
from autoisp_core.errors import (
    AutoISPError,
    ErrorCode,
    InternalError,
    UnavailableError,
)
from nats.aio.msg import Msg
from opentelemetry.trace import Span

from autoisp_runtime.jetstream.connection import NatsConnection
from autoisp_runtime.jetstream.dead_letters import publish_dead_letter
from autoisp_runtime.jetstream.envelope import Envelope
from autoisp_runtime.jetstream.fetch import PullSource
from autoisp_runtime.jetstream.in_work import Delivery
from autoisp_runtime.jetstream.spans import handling
from autoisp_runtime.jetstream.topology import ConsumerSpec
from autoisp_runtime.telemetry.spans import fail_with

Handler = Callable[[Envelope], Awaitable[None]]
DeadLetterHandler = Callable[[Envelope, AutoISPError], Awaitable[None]]
T = TypeVar("T")

_log = structlog.get_logger(__name__)

_ACK_TIMEOUT_S, _ACK_ATTEMPT_S = 5.0, 1.0
_PAUSE_S = 0.5  # between attempts while NATS is away
_LOST = (nats.errors.Error, TimeoutError, OSError)
_RETRIED = frozenset(
    {ErrorCode.INTERNAL, ErrorCode.UNKNOWN}
)  # perhaps a bug, perhaps bad luck: bounded retries


@dataclass(frozen=True)
class DeliveryPolicy:
    """How hard to try.

    Args:
        ack_wait_s: as given to ``ensure_topology``; signs of life go out at a third of it.
        max_deliver: a message that was delivered more often is poison, unless ``patient``.
        backoff_s: waits before the second, third, … delivery; the last one repeats.
        batch: how many messages to take at a time; 1 for heavy work.
        linger_s: how long one fetch waits for something to come.
        patient: try again for ever while something is unavailable or full, for messages that must outlive any
            outage of a database or store. Only what looks like a bug is poison then; a handler that may kill
            its process has to count that itself.
    """

    ack_wait_s: float = 30.0
    max_deliver: int = 5
    backoff_s: tuple[float, ...] = (0.5, 2.0, 5.0, 15.0)
    batch: int = 1
    linger_s: float = 2.0
    patient: bool = False

    def delay(self, deliveries: int) -> float:
        """The wait after the ``deliveries``-th failed delivery."""
        return self.backoff_s[min(deliveries, len(self.backoff_s)) - 1]


class Consumer:
    """Serves one or more durables with one handler, one message at a time.

    Args:
        connection: an open connection.
        specs: durables in order of preference: a later one is asked only while the earlier ones are empty,
            and with ``after_idle_s`` only once they were for so long.
        handler: does the work; must be idempotent by ``envelope.event_id`` and keep compute off the event
            loop.
        policy: how hard to try.
        on_dead_letter: told about poison before it is put away, to record that the work failed.
    """

    def __init__(
        self,
        connection: NatsConnection,
        specs: ConsumerSpec | Sequence[ConsumerSpec],
        handler: Handler,
        *,
        policy: DeliveryPolicy | None = None,
        on_dead_letter: DeadLetterHandler | None = None,
    ) -> None:
        chosen = (specs,) if isinstance(specs, ConsumerSpec) else tuple(specs)
        self._connection = connection
        sources = [PullSource(connection, spec) for spec in chosen]
        self._sources = [source for source in sources if not source.spec.after_idle_s] or sources[:1]
        self._when_idle = [source for source in sources if source not in self._sources]
        self._idle_since = time.monotonic()
        self._handler = handler
        self._policy = policy or DeliveryPolicy()
        self._on_dead_letter = on_dead_letter
        self._stopping = asyncio.Event()
        self._stopped = asyncio.Event()
        self._stopped.set()
        self._work: asyncio.Task[None] | None = None
        self.name = chosen[0].durable
        self.in_work: Delivery | None = None
        self._log = _log.bind(consumer=self.name)

    async def run(self) -> None:
        """Consume until :meth:`stop`; lost connections are waited out."""
        self._stopped.clear()
        try:
            while not self._stopping.is_set():
                try:
                    source, messages = await self._until_stopping(self._next(), (self._sources[0], []))
                except UnavailableError as error:
                    self._log.debug("nothing fetched", error=str(error))
                    await self._until_stopping(asyncio.sleep(_PAUSE_S), None)
                    continue
                for msg in messages:
                    if self._stopping.is_set():
                        await self._settle(msg.nak(), "nak")
                    else:
                        await self._process(source, msg)
                if messages:
                    self._idle_since = time.monotonic()
        finally:
            self._stopped.set()

    async def stop(self, grace_s: float = 10.0) -> None:
        """Take nothing new; let the message in work end within ``grace_s``, else hand it back to others."""
        self._stopping.set()
        work = self._work
        if work is not None and not work.done():
            await asyncio.wait({work}, timeout=grace_s)
            work.cancel()
        # Until the last answer is out: whoever closes the connection now would lose it.
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_ACK_TIMEOUT_S + 1):
                await self._stopped.wait()

    async def _next(self) -> tuple[PullSource, list[Msg]]:
        *preferred, last = self._sources
        idle_s = time.monotonic() - self._idle_since
        for source in preferred:
            if messages := await source.fetch(self._policy.batch):
                return source, messages
        # While the last one lingers the preferred ones are not looked at, so it lingers less.
        alone = not (preferred or self._when_idle)
        linger = self._policy.linger_s if alone else min(self._policy.linger_s, 0.5)
        if self._policy.batch > 1 and (messages := await last.fetch(self._policy.batch)):
            return last, messages
        if messages := await last.fetch(1, linger):
            return last, messages
        for source in self._when_idle:
            if idle_s >= source.spec.after_idle_s and (messages := await source.fetch(1)):
                return source, messages
        return last, []

    async def _process(self, source: PullSource, msg: Msg) -> None:
        envelope = Envelope.from_msg(msg)
        # Around more than the handler: what is logged of its failure and told of a dead letter belongs to it.
        with handling(envelope, source.spec.durable) as span:
            await self._deliver(source, msg, envelope, span)

    async def _deliver(self, source: PullSource, msg: Msg, envelope: Envelope, span: Span) -> None:
        log = self._log.bind(kind=envelope.kind, id=envelope.resource_id, deliveries=envelope.deliveries)
        policy = self._policy
        if envelope.deliveries > policy.max_deliver and not policy.patient:
            Delivery(source.spec.durable, envelope).ended("dead_letter")
            exhausted = _exhausted(envelope, "its handlers died")
            fail_with(span, exhausted)
            await self._bury(source, msg, envelope, exhausted)
            return
        self.in_work = delivery = Delivery(source.spec.durable, envelope)
        try:
            async with _signs_of_life(msg, policy.ack_wait_s / 3):
                self._work = asyncio.create_task(self._handle(envelope))
                await self._work
        except asyncio.CancelledError:
            if self._work is not None:
                self._work.cancel()
            delivery.ended("handed_back")
            await self._settle(msg.nak(), "nak")
            log.info("handed back", stopping=self._stopping.is_set())
            current = asyncio.current_task()
            if current is not None and current.cancelling():
                raise
        except Exception as error:
            fail_with(span, error)
            if _permanent(error):
                delivery.ended("dead_letter")
                await self._bury(source, msg, envelope, error)
            elif envelope.deliveries >= policy.max_deliver and not (policy.patient and _transient(error)):
                delivery.ended("dead_letter")
                log.error("failed for the last time", exc_info=error)
                await self._bury(source, msg, envelope, _exhausted(envelope, str(error)))
            else:
                delivery.ended("retried")
                delay = policy.delay(envelope.deliveries)
                known = isinstance(error, AutoISPError)
                log.warning(
                    "failed; will be tried again",
                    error=str(error),
                    delay_s=delay,
                    exc_info=None if known else error,
                )
                await self._settle(msg.nak(delay=delay), "nak")
        else:
            delivery.ended("acked")
            await self._settle(_acknowledge(msg), "ack")
        finally:
            self._work = self.in_work = None

    async def _handle(self, envelope: Envelope) -> None:
        await self._handler(envelope)

    async def _bury(self, source: PullSource, msg: Msg, envelope: Envelope, error: AutoISPError) -> None:
        self._log.error("dead letter", subject=envelope.subject, reason=error.reason, error=str(error))
        try:
            async with _signs_of_life(msg, self._policy.ack_wait_s / 3):
                await self._tell(envelope, error)
                await publish_dead_letter(self._connection, source.spec, envelope, error)
        except Exception as failure:
            self._log.error("could not be put away; will be tried again", exc_info=failure)
            await self._settle(msg.nak(delay=self._policy.delay(envelope.deliveries)), "nak")
        else:
            await self._settle(msg.term(), "term")

    async def _tell(self, envelope: Envelope, error: AutoISPError) -> None:
        if self._on_dead_letter is None:
            return
        try:
            await self._on_dead_letter(envelope, error)
        except Exception as failure:
            # Untold, the message's sender would wait for ever, so no outage ends the asking; but what looks
            # like a bug must not keep poison in the queue for ever.
            if _transient(failure) or envelope.deliveries <= 2 * self._policy.max_deliver:
                raise
            self._log.error("nobody could be told of a dead letter", exc_info=failure)

    async def _settle(self, answer: Awaitable[object], what: str) -> None:
        try:
            await answer
        except _LOST as error:
            # It comes again after the ack wait, and the handler sees that it is done already.
            self._log.warning(f"{what} was lost", error=str(error) or type(error).__name__)

    async def _until_stopping(self, work: Coroutine[Any, Any, T], otherwise: T) -> T:
        task = asyncio.ensure_future(work)
        stopping = asyncio.ensure_future(self._stopping.wait())
        try:
            await asyncio.wait({task, stopping}, return_when=asyncio.FIRST_COMPLETED)
            if task.done():
                return task.result()
            return otherwise
        finally:
            stopping.cancel()
            if not task.done():
                task.cancel()
                await asyncio.wait({task})


@contextlib.asynccontextmanager
async def _signs_of_life(msg: Msg, every_s: float) -> AsyncIterator[None]:
    async def beat() -> None:
        while True:
            await asyncio.sleep(every_s)
            with contextlib.suppress(*_LOST):
                await msg.in_progress()

    task = asyncio.create_task(beat())
    try:
        yield
    finally:
        task.cancel()


async def _acknowledge(msg: Msg) -> None:
    # An ack that meets a restarting server gets no receipt; asking again is cheaper than a redelivery.
    give_up_at = time.monotonic() + _ACK_TIMEOUT_S
    while True:
        try:
            await msg.ack_sync(timeout=_ACK_ATTEMPT_S)
            return
        except _LOST:
            if time.monotonic() > give_up_at:
                raise
        await asyncio.sleep(_ACK_ATTEMPT_S / 5)


def _transient(error: Exception) -> bool:
    return isinstance(error, AutoISPError) and error.transient


def _permanent(error: Exception) -> TypeGuard[AutoISPError]:
    return isinstance(error, AutoISPError) and not error.transient and error.code not in _RETRIED


def _exhausted(envelope: Envelope, why: str) -> AutoISPError:
    return InternalError(
        f"{envelope.subject} failed {envelope.deliveries} times: {why}; see the worker's log",
        reason="DELIVERIES_EXHAUSTED",
        metadata={"deliveries": str(envelope.deliveries)},
    )

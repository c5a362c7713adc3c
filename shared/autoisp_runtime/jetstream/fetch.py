"""Pulling messages, with an end that both sides agree on and no message left lying about.

nats-py's own ``fetch`` races its timer against the server's and leaves late messages in a queue, where they
age past their ack wait unseen. Here the *server's* expiry ends a request, and whatever comes while nobody
asks (a fetch was cancelled) is handed back at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import json

import nats.errors
from autoisp_core.errors import UnavailableError
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from autoisp_runtime.jetstream.connection import NatsConnection
from autoisp_runtime.jetstream.topology import ConsumerSpec

_ANSWER_WAIT_S = 1.0  # how much later than its expiry the server's answer may come before we call it lost
_NO_MESSAGES, _EXPIRED, _HEARTBEAT = "404", "408", "100"


class PullSource:
    """One durable consumer to fetch from, one request at a time."""

    def __init__(self, connection: NatsConnection, spec: ConsumerSpec) -> None:
        self.spec = spec
        self._connection = connection
        self._request_subject = f"$JS.API.CONSUMER.MSG.NEXT.{spec.stream}.{spec.durable}"
        self._inbox = connection.client.new_inbox()
        self._subscribing: asyncio.Future[Subscription] | None = None
        self._one_at_a_time = asyncio.Lock()
        self._numbers = itertools.count()
        self._reply = ""
        self._received: asyncio.Queue[Msg] | None = None

    async def fetch(self, batch: int, expires_s: float | None = None) -> list[Msg]:
        """Up to ``batch`` messages: those there now (``expires_s`` None), or the first within ``expires_s``.

        An empty list means that there are none. Cancelling gives back whatever was on its way.

        Raises:
            UnavailableError: the server is away, or has no such consumer (yet).
        """
        request: dict[str, object] = {"batch": batch}
        if expires_s is None:
            request["no_wait"] = True
        else:
            request["expires"] = int(expires_s * 1e9)
        async with self._one_at_a_time:
            messages: list[Msg] = []
            received = self._received = asyncio.Queue()
            self._reply = f"{self._inbox}.{next(self._numbers)}"
            try:
                await self._subscribe()
                client = self._connection.client
                await client.publish(self._request_subject, json.dumps(request).encode(), self._reply)
                await self._collect(messages, received, batch, (expires_s or 0.0) + _ANSWER_WAIT_S)
                await _give_back(self._end())
            except BaseException as error:
                await _give_back([*messages, *self._end()])
                if isinstance(error, (nats.errors.Error, OSError)):
                    raise UnavailableError(
                        f"can't fetch from {self.spec.durable}: {error or type(error).__name__}"
                    ) from error
                raise
            return messages

    def _end(self) -> list[Msg]:
        """Nobody asks any more; returns what came beyond the request (left over from a cancelled one)."""
        received, self._received = self._received, None
        return [] if received is None else [received.get_nowait() for _ in range(received.qsize())]

    async def _subscribe(self) -> None:
        if self._subscribing is None:
            # Shielded: a cancelled subscription would stay at the server with nobody to end it.
            subscribing = self._connection.client.subscribe(f"{self._inbox}.*", cb=self._route)
            self._subscribing = asyncio.ensure_future(subscribing)
        try:
            await asyncio.shield(self._subscribing)
        except nats.errors.Error:
            self._subscribing = None
            raise

    async def _route(self, msg: Msg) -> None:
        """Messages keep their own subject, so they go to whoever asks now; statuses name their request."""
        if _status(msg) is not None:
            if self._received is not None and msg.subject == self._reply:
                self._received.put_nowait(msg)
        elif self._received is not None:
            self._received.put_nowait(msg)
        else:
            await _give_back([msg])

    async def _collect(
        self, messages: list[Msg], received: asyncio.Queue[Msg], batch: int, timeout_s: float
    ) -> None:
        deadline = asyncio.get_running_loop().time() + timeout_s
        while len(messages) < batch:
            try:
                # Not wait_for: before Python 3.12 it swallows a cancellation that comes with a message.
                async with asyncio.timeout_at(deadline):
                    msg = await received.get()
            except TimeoutError:
                if messages:
                    break
                raise UnavailableError(f"no answer about {self.spec.durable} from NATS") from None
            status = _status(msg)
            if status is None:
                messages.append(msg)
            elif status in (_NO_MESSAGES, _EXPIRED) or (messages and status != _HEARTBEAT):
                break
            elif status != _HEARTBEAT:
                description = (msg.headers or {}).get("Description", "")
                raise UnavailableError(f"NATS refused {self.spec.durable}: {status} {description}".rstrip())


async def _give_back(messages: list[Msg]) -> None:
    for msg in messages:
        # Where the connection is gone, JetStream redelivers after the ack wait.
        with contextlib.suppress(nats.errors.Error, OSError):
            if _status(msg) is None:
                await msg.nak()


def _status(msg: Msg) -> str | None:
    """The status code of a control message; None for a real one."""
    return None if not msg.headers or msg.data else msg.headers.get("Status")

"""Pulling messages, with an end that both sides agree on.

nats-py's own ``fetch`` races its timer against the server's and leaves late messages in a queue, where they
age past their ack wait unseen. Here every request has its own inbox, the *server's* expiry ends it, and
whatever arrives while we walk away is handed back at once.
"""

from __future__ import annotations

import asyncio
import contextlib
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
    """One durable consumer to fetch from."""

    def __init__(self, connection: NatsConnection, spec: ConsumerSpec) -> None:
        self.spec = spec
        self._connection = connection
        self._request_subject = f"$JS.API.CONSUMER.MSG.NEXT.{spec.stream}.{spec.durable}"

    async def fetch(self, batch: int, expires_s: float | None = None) -> list[Msg]:
        """Up to ``batch`` messages: those there now (``expires_s`` None), or the first within ``expires_s``.

        An empty list means that there are none. Cancelling gives back whatever was on its way.

        Raises:
            UnavailableError: the server is away, or has no such consumer (yet).
        """
        client = self._connection.client
        request: dict[str, object] = {"batch": batch}
        if expires_s is None:
            request["no_wait"] = True
        else:
            request["expires"] = int(expires_s * 1e9)
        received: asyncio.Queue[Msg] = asyncio.Queue()
        inbox = client.new_inbox()
        try:
            subscription = await client.subscribe(inbox, cb=received.put)
            messages: list[Msg] = []
            try:
                await client.publish(self._request_subject, json.dumps(request).encode(), inbox)
                await self._collect(messages, received, batch, (expires_s or 0.0) + _ANSWER_WAIT_S)
                await _forget(subscription)
            except BaseException:
                await _give_back(messages, subscription, received)
                raise
            return messages
        except (nats.errors.Error, OSError) as error:
            raise UnavailableError(
                f"can't fetch from {self.spec.durable}: {error or type(error).__name__}"
            ) from error

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


async def _give_back(messages: list[Msg], subscription: Subscription, received: asyncio.Queue[Msg]) -> None:
    # Where the connection is gone, JetStream redelivers after the ack wait.
    with contextlib.suppress(nats.errors.Error, TimeoutError, OSError):
        for msg in messages:
            await msg.nak()
        async with asyncio.timeout(_ANSWER_WAIT_S):
            # Ends with a round trip, after which nothing more can arrive.
            await subscription.drain()  # type: ignore[no-untyped-call]
        while not received.empty():
            msg = received.get_nowait()
            if _status(msg) is None:
                await msg.nak()


def _status(msg: Msg) -> str | None:
    """The status code of a control message; None for a real one."""
    return None if not msg.headers or msg.data else msg.headers.get("Status")


async def _forget(subscription: Subscription) -> None:
    # Already drained or disconnected is fine: the server forgets it with the connection.
    with contextlib.suppress(nats.errors.Error, OSError):
        await subscription.unsubscribe()

"""Who is there: every process answers a question on one subject, so nobody keeps a list of workers.

It is plain NATS, no JetStream: an answer that is lost is missing for once.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable

import nats.errors
import structlog
from autoisp.operations.v1 import operations_pb2
from google.protobuf.message import DecodeError
from nats.aio.msg import Msg

from autoisp_runtime.jetstream.connection import NatsConnection
from autoisp_runtime.operations.broker import asking

SUBJECT = "autoisp.v1.ops.processes"
"""Whoever may ask publishes here; every process listens."""

_INBOX = "_INBOX."
_ASK_FOR_S = 0.5
_QUIET_S = 0.25

_log = structlog.get_logger(__name__)


async def answer(connection: NatsConnection, describe: Callable[[], operations_pb2.Process]) -> None:
    """Answer whoever asks, until cancelled."""

    async def reply(msg: Msg) -> None:
        # Whoever may ask must not have us publish elsewhere, with rights that it lacks.
        if not msg.reply.startswith(_INBOX):
            return
        with contextlib.suppress(nats.errors.Error, OSError):  # who asked sees us missing
            await msg.respond(describe().SerializeToString())

    subscription = await connection.client.subscribe(SUBJECT, cb=reply)
    try:
        await asyncio.Event().wait()
    finally:
        with contextlib.suppress(nats.errors.Error, OSError):
            await subscription.unsubscribe()


async def ask(connection: NatsConnection) -> list[operations_pb2.Process]:
    """Every process that answers within half a second, by service and instance.

    Raises:
        UnavailableError: the broker is away.
    """
    found: list[operations_pb2.Process] = []
    async with asking(connection):
        client = connection.client
        inbox = client.new_inbox()
        subscription = await client.subscribe(inbox)
        try:
            await client.publish(SUBJECT, b"", reply=inbox)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_ASK_FOR_S):
                    while True:
                        msg = await subscription.next_msg(timeout=_QUIET_S)
                        with contextlib.suppress(DecodeError):
                            found.append(operations_pb2.Process.FromString(msg.data))
        finally:
            await subscription.unsubscribe()
    return sorted(found, key=lambda process: (process.service, process.instance))

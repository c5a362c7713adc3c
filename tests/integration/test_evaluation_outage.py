"""A result outlives an outage of the database or the store, however long; a bug does not block the others."""

from __future__ import annotations

import asyncio
from collections import Counter

from autoisp_core.errors import UnavailableError
from autoisp_runtime.jetstream import (
    Consumer,
    DeliveryPolicy,
    Envelope,
    Event,
    NatsConnection,
    Publisher,
    event_subject,
)
from autoisp_runtime.jetstream.topology import DEAD_LETTER_STREAM, EVALUATION_RESULTS
from evaluation_calls import until

PATIENT = DeliveryPolicy(ack_wait_s=1.5, max_deliver=2, backoff_s=(0.05,), linger_s=0.2, patient=True)


async def test_only_bugs_are_given_up(nats_connection: NatsConnection) -> None:
    tries: Counter[str] = Counter()

    async def handle(envelope: Envelope) -> None:
        tries[envelope.resource_id] += 1
        if envelope.resource_id == "e-bug":
            raise KeyError("bug")
        if tries[envelope.resource_id] <= 5:
            raise UnavailableError("the database is away")

    publisher = Publisher(nats_connection, "autoisp/test")
    for resource_id in ("e-bug", "e-good"):
        subject = event_subject(Event.EVALUATION_CLIP_JUDGED, resource_id)
        await publisher.publish(subject, b"", resource_id)
    consumer = Consumer(nats_connection, EVALUATION_RESULTS, handle, policy=PATIENT)
    task = asyncio.create_task(consumer.run())

    async def handled() -> bool:
        info = await nats_connection.js.consumer_info(EVALUATION_RESULTS.stream, EVALUATION_RESULTS.durable)
        return info.num_pending == 0 and info.num_ack_pending == 0

    await until(handled)
    await consumer.stop()
    await task
    assert tries == {"e-good": 6, "e-bug": 2}
    assert (await nats_connection.js.stream_info(DEAD_LETTER_STREAM)).state.messages == 1

"""Hearing events without receipts, over a real broker."""

from __future__ import annotations

import asyncio
from pathlib import Path

from autoisp_runtime.jetstream import (
    Event,
    NatsConnection,
    Publisher,
    ensure_topology,
    event_subject,
    listen,
)
from autoisp_testing.nats import NatsServer


async def test_every_listener_hears_every_event_also_after_a_failure_and_a_restart(tmp_path: Path) -> None:
    with NatsServer(tmp_path / "nats") as server:
        connection = await NatsConnection.open(server.url)
        await ensure_topology(connection.js)
        heard: tuple[list[bytes], list[bytes]] = ([], [])

        async def failing(payload: bytes) -> None:
            heard[0].append(payload)
            raise RuntimeError("a bug")

        async def content(payload: bytes) -> None:
            heard[1].append(payload)

        tasks = [
            asyncio.create_task(listen(connection, Event.EVALUATION_FRAMES_JUDGED, handler))
            for handler in (failing, content)
        ]
        publisher = Publisher(connection, "autoisp/test")

        async def tell(number: int, event: Event = Event.EVALUATION_FRAMES_JUDGED) -> None:
            subject = event_subject(event, "e-c")
            await publisher.publish(subject, b"%d" % number, f"{event}-{number}", retry_for_s=20)

        async def hear(*numbers: int) -> None:
            wanted = [b"%d" % number for number in numbers]
            async with asyncio.timeout(10):
                while heard != (wanted, wanted):  # noqa: ASYNC110 - the listeners set no events
                    await asyncio.sleep(0.02)

        # Subscribed, once the server has answered.
        await connection.client.flush()
        await asyncio.sleep(0.1)
        await tell(1)
        await tell(7, Event.EVALUATION_CLIP_JUDGED)
        await tell(2)
        await hear(1, 2)
        server.kill()
        server.start()
        await tell(3)
        await hear(1, 2, 3)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await connection.close()

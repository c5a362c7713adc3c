"""What is called after a reconnection."""

from __future__ import annotations

import asyncio

import nats.errors
from autoisp_core.errors import UnavailableError
from autoisp_runtime.jetstream import NatsConnection
from autoisp_testing.nats import NatsServer


async def test_each_is_called_until_it_succeeds_and_the_next_one_waits(nats_server: NatsServer) -> None:
    called: list[str] = []
    done = asyncio.Event()
    fails: dict[str, list[Exception]] = {
        "streams": [nats.errors.NoRespondersError(), nats.errors.TimeoutError()],
        "database": [UnavailableError("the database is away")],
        "bug": [KeyError("no such thing")],
    }

    def callback(name: str) -> None:
        async def call() -> None:
            called.append(name)
            if fails.get(name):
                raise fails[name].pop(0)
            if name == "last":
                done.set()

        connection.on_reconnect(call)

    connection = await NatsConnection.open(nats_server.url)
    for name in ("streams", "database", "bug", "last"):
        callback(name)
    assert called == []
    for _ in range(2):
        done.clear()
        nats_server.kill()
        await asyncio.to_thread(nats_server.start)
        async with asyncio.timeout(30):
            await done.wait()
    await connection.close()
    first = ["streams"] * 3 + ["database"] * 2 + ["bug", "last"]
    assert called == [*first, "streams", "database", "bug", "last"]


async def test_closing_ends_the_calls(nats_server: NatsServer) -> None:
    called = asyncio.Event()

    async def call() -> None:
        called.set()
        raise UnavailableError("for ever")

    connection = await NatsConnection.open(nats_server.url)
    connection.on_reconnect(call)
    nats_server.kill()
    await asyncio.to_thread(nats_server.start)
    async with asyncio.timeout(30):
        await called.wait()
        await connection.close()
    called.clear()
    await asyncio.sleep(1)
    assert not called.is_set()

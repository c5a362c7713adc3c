"""What the outbox promises, over both databases and with a real broker."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Mapping

import pytest
import pytest_asyncio
from autoisp_core.errors import InternalError, UnavailableError
from autoisp_runtime.database import Database
from autoisp_runtime.jetstream import Event, NatsConnection, Publisher, event_subject
from autoisp_runtime.jetstream.topology import EVENT_STREAM
from autoisp_runtime.outbox import EventPublisher, Outbox, outbox_table
from autoisp_runtime.tracing import traced
from autoisp_testing.nats import NatsServer
from sqlalchemy import MetaData, Table, text
from sqlalchemy.exc import IntegrityError

SUBJECT = event_subject(Event.TRIAL_COMPLETED, "t")


class DiesAfterPublishing:
    """A relay's process that dies when the broker has the event and the database does not know it yet."""

    def __init__(self, publisher: EventPublisher, after: int) -> None:
        self._publisher = publisher
        self._left = after

    async def publish(
        self, subject: str, payload: bytes, event_id: str, *, headers: Mapping[str, str] | None = None
    ) -> bool:
        await self._publisher.publish(subject, payload, event_id, headers=headers)
        self._left -= 1
        if self._left == 0:
            raise asyncio.CancelledError
        return True


class TestOutbox:
    @pytest.fixture
    def table(self) -> Table:
        return outbox_table(MetaData())

    @pytest_asyncio.fixture
    async def outbox(self, database: Database, table: Table) -> Outbox:
        async with database.transaction() as session:
            connection = await session.connection()
            if database.dialect == "postgresql":
                await connection.execute(text("CREATE SCHEMA testing"))
            await connection.run_sync(table.metadata.create_all)
        return Outbox(database, table)

    @pytest.fixture
    def publisher(self, nats_connection: NatsConnection) -> Publisher:
        return Publisher(nats_connection, "autoisp/testing")

    @contextlib.asynccontextmanager
    async def relaying(self, outbox: Outbox, publisher: EventPublisher) -> AsyncIterator[asyncio.Task[None]]:
        task = asyncio.create_task(outbox.relay(publisher))
        try:
            yield task
        finally:
            task.cancel()
            await asyncio.wait({task})

    async def published(self, nats: NatsConnection) -> list[str]:
        state = (await nats.js.stream_info(EVENT_STREAM)).state
        found = [
            await nats.js.get_msg(EVENT_STREAM, sequence)
            for sequence in range(state.last_seq - state.messages + 1, state.last_seq + 1)
        ]
        return [(msg.headers or {})["ce-id"] for msg in found]

    async def add(self, database: Database, outbox: Outbox, *ids: str) -> None:
        async with database.transaction() as session:
            for event_id in ids:
                await outbox.add(session, SUBJECT, b"payload", event_id)

    async def drained(self, outbox: Outbox, timeout_s: float = 10) -> None:
        async with asyncio.timeout(timeout_s):
            while await outbox.pending():  # noqa: ASYNC110 - another process may do the work
                await asyncio.sleep(0.01)

    async def test_committed_events_go_out_in_order_and_at_once(
        self, database: Database, outbox: Outbox, nats_connection: NatsConnection, publisher: Publisher
    ) -> None:
        async with self.relaying(outbox, publisher):
            await asyncio.sleep(0.1)  # it is idle now
            await self.add(database, outbox, "e-2", "e-1")
            await self.add(database, outbox, "e-3")
            await self.drained(outbox, timeout_s=0.8)  # less than the polling interval: the commit woke it
        assert await self.published(nats_connection) == ["e-2", "e-1", "e-3"]

    async def test_a_rolled_back_event_never_goes_out(
        self, database: Database, outbox: Outbox, nats_connection: NatsConnection, publisher: Publisher
    ) -> None:
        with contextlib.suppress(ZeroDivisionError):
            async with database.transaction() as session:
                await outbox.add(session, SUBJECT, b"", "e-1")
                raise ZeroDivisionError
        assert await outbox.publish_pending(publisher) == 0
        assert await self.published(nats_connection) == []

    async def test_dying_between_publishing_and_noting_it_repeats_nothing(
        self, database: Database, outbox: Outbox, nats_connection: NatsConnection, publisher: Publisher
    ) -> None:
        await self.add(database, outbox, "e-1", "e-2", "e-3")
        with pytest.raises(asyncio.CancelledError):
            await outbox.publish_pending(DiesAfterPublishing(publisher, 2))
        assert await outbox.pending() == 2  # the second is out, and still here
        assert await outbox.publish_pending(publisher) == 2
        assert await self.published(nats_connection) == ["e-1", "e-2", "e-3"]

    async def test_relays_of_several_replicas_publish_everything_once(
        self,
        database: Database,
        outbox: Outbox,
        table: Table,
        nats_connection: NatsConnection,
        publisher: Publisher,
    ) -> None:
        replica = Outbox(database, table)
        async with self.relaying(outbox, publisher), self.relaying(replica, publisher):
            for i in range(30):
                await self.add(database, outbox if i % 2 else replica, f"e-{i}")
            await self.drained(outbox)
        assert sorted(await self.published(nats_connection)) == sorted(f"e-{i}" for i in range(30))

    async def test_many_writers_at_once_lose_nothing(
        self, database: Database, outbox: Outbox, nats_connection: NatsConnection, publisher: Publisher
    ) -> None:
        async with self.relaying(outbox, publisher):
            await asyncio.gather(*(self.add(database, outbox, f"e-{i}") for i in range(40)))
            await self.drained(outbox)
        assert sorted(await self.published(nats_connection)) == sorted(f"e-{i}" for i in range(40))

    async def test_events_wait_while_nats_is_away_and_writers_do_not(
        self,
        database: Database,
        outbox: Outbox,
        nats_server: NatsServer,
        nats_connection: NatsConnection,
        publisher: Publisher,
    ) -> None:
        async with self.relaying(outbox, publisher) as relay:
            nats_server.kill()
            async with asyncio.timeout(3):
                for i in range(5):
                    await self.add(database, outbox, f"e-{i}")
            await asyncio.sleep(0.3)
            assert await outbox.pending() == 5
            nats_server.start()
            await self.drained(outbox, timeout_s=20)
            assert not relay.done()
        assert await self.published(nats_connection) == [f"e-{i}" for i in range(5)]

    async def test_what_can_not_be_published_is_refused_when_added(
        self, database: Database, outbox: Outbox
    ) -> None:
        with pytest.raises(InternalError, match="artifact store"):
            async with database.transaction() as session:
                await outbox.add(session, SUBJECT, bytes(2**20), "e-1")

    async def test_an_event_id_is_used_once(self, database: Database, outbox: Outbox) -> None:
        await self.add(database, outbox, "e-1")
        with pytest.raises(IntegrityError):
            await self.add(database, outbox, "e-1")

    async def test_trace_context_is_kept_with_the_event(
        self, database: Database, outbox: Outbox, nats_connection: NatsConnection, publisher: Publisher
    ) -> None:
        traceparent = f"00-{'a' * 32}-{'b' * 16}-01"
        with traced(traceparent):
            await self.add(database, outbox, "e-1")
        await outbox.publish_pending(publisher)
        msg = await nats_connection.js.get_msg(EVENT_STREAM, 1)
        assert (msg.headers or {})["traceparent"] == traceparent

    async def test_a_failure_keeps_what_is_not_out(self, database: Database, outbox: Outbox) -> None:
        class Broken:
            calls = 0

            async def publish(
                self, subject: str, payload: bytes, event_id: str, *, headers: Mapping[str, str] | None = None
            ) -> bool:
                self.calls += 1
                if self.calls == 2:
                    raise UnavailableError("away")
                return True

        await self.add(database, outbox, "e-1", "e-2", "e-3")
        with pytest.raises(UnavailableError):
            await outbox.publish_pending(Broken())
        assert await outbox.pending() == 2

"""Everything a composition root wires: opened in order, closed in the opposite one."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Collection, Coroutine, Sequence
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

import nats.errors
import structlog
from autoisp_core.errors import UnavailableError
from sqlalchemy import Table

from autoisp_runtime.artifacts import ArtifactStore
from autoisp_runtime.async_artifacts import AsyncArtifactStore
from autoisp_runtime.config import ServiceConfig
from autoisp_runtime.database import Database
from autoisp_runtime.grpc_server import GrpcServer
from autoisp_runtime.jetstream import (
    Consumer,
    ConsumerSpec,
    DeadLetterHandler,
    DeliveryPolicy,
    Event,
    Handler,
    NatsConnection,
    Publisher,
    credential_options,
    ensure_topology,
    find_topology,
    listen,
)
from autoisp_runtime.migrations import migrate
from autoisp_runtime.outbox import Outbox
from autoisp_runtime.security import OPEN, Security, security_of

C = TypeVar("C", bound=ServiceConfig)
S = TypeVar("S")
T = TypeVar("T")

_log = structlog.get_logger(__name__)

_RETRY_S = 1.0
_SAY_EVERY = 5


@dataclass(frozen=True)
class Tables:
    """A service's part of the database.

    Args:
        migrations: package with the Alembic ``versions`` folder, for example ``autoisp_search.migrations``.
        outbox: the outbox table in the service's metadata, if it publishes events.
    """

    migrations: str
    outbox: Table | None = None


class Runtime(Generic[C]):
    """What a service is built from; ``build(runtime)`` of a composition root gets one.

    Attributes:
        config: the service's configuration.
        nats: the connection, with the topology made.
        publisher: publishes directly; services with a database use the outbox instead.
        store: the artifact store for threads; ``artifacts`` is the same for the event loop.
    """

    def __init__(
        self,
        config: C,
        nats: NatsConnection,
        database: Database | None,
        outbox: Outbox | None,
        security: Security = OPEN,
    ) -> None:
        self.config = config
        self.nats = nats
        self.publisher = Publisher(nats, f"autoisp/{config.service}")
        self.store = ArtifactStore(config.effective_store_url)
        self.artifacts = AsyncArtifactStore(self.store)
        self.server = GrpcServer(config.listen, security)
        self.consumers: list[Consumer] = []
        self.tasks: list[tuple[str, Coroutine[Any, Any, object]]] = []
        self.stopping_callbacks: list[Callable[[], None]] = []
        self.samplers: list[Callable[[], Awaitable[None]]] = []
        self._database = database
        self._outbox = outbox

    @classmethod
    async def open(cls, config: C, tables: Tables | None = None) -> Runtime[C]:
        """Migrate the database, wait for NATS, make the topology.

        Raises:
            InvalidArgumentError: a URL or a file in the configuration is wrong.
        """
        security = security_of(config, config.listen)
        credentials = credential_options(config.nats_credentials)
        database = outbox = None
        if tables is not None:
            config.state_dir.mkdir(parents=True, exist_ok=True)
            database = Database(config.effective_database_url, config.service)
            await until_available(lambda: migrate(database, tables.migrations), "the database")
            outbox = Outbox(database, tables.outbox) if tables.outbox is not None else None
        nats = await NatsConnection.open(
            config.nats_url, name=f"autoisp-{config.service}", options=credentials
        )
        await until_topology(nats, config)
        # A server that came back with an empty disk gets its streams again.
        nats.on_reconnect(lambda: _topology(nats, config))
        return cls(config, nats, database, outbox, security)

    @property
    def database(self) -> Database:
        """The migrated database.

        Raises:
            RuntimeError: the service declared no tables.
        """
        if self._database is None:
            raise RuntimeError(f"{self.config.service} was run without tables")
        return self._database

    @property
    def outbox(self) -> Outbox:
        """The outbox; its relay runs with the service.

        Raises:
            RuntimeError: the service declared no outbox table.
        """
        if self._outbox is None:
            raise RuntimeError(f"{self.config.service} was run without an outbox table")
        return self._outbox

    @property
    def has_outbox(self) -> bool:
        """Whether the service declared an outbox table."""
        return self._outbox is not None

    def serve(self, register: Callable[[S, Any], None], servicer: S, *, quiet: Collection[str] = ()) -> None:
        """Offer a gRPC service: ``serve(search_pb2_grpc.add_SearchServiceServicer_to_server, servicer)``.

        ``quiet``: methods without a line in the log for each good call, see :meth:`GrpcServer.add`.
        """
        self.server.add(register, servicer, quiet=quiet)

    def consume(
        self,
        specs: ConsumerSpec | Sequence[ConsumerSpec],
        handler: Handler,
        *,
        batch: int = 1,
        patient: bool = False,
        on_dead_letter: DeadLetterHandler | None = None,
    ) -> Consumer:
        """Consume while the service runs; ``batch`` 1 for heavy work, more for quick events.

        ``patient``: outlive any outage, see :class:`DeliveryPolicy`.
        """
        policy = DeliveryPolicy(
            ack_wait_s=self.config.ack_wait_seconds,
            max_deliver=self.config.max_deliver,
            batch=batch,
            patient=patient,
        )
        consumer = Consumer(self.nats, specs, handler, policy=policy, on_dead_letter=on_dead_letter)
        self.consumers.append(consumer)
        return consumer

    def listen(self, event: Event, handler: Callable[[bytes], Awaitable[None]]) -> None:
        """Hear every event of a kind while the service runs, in each of its processes; some may be missed."""
        self.spawn(f"listening to {event}", listen(self.nats, event, handler))

    def spawn(self, name: str, work: Coroutine[Any, Any, object]) -> None:
        """Run ``work`` beside the service; if it fails the process ends, if it returns nothing happens."""
        self.tasks.append((name, work))

    def sample(self, figures: Callable[[], Awaitable[None]]) -> None:
        """Call ``figures`` every few seconds if metrics are served: for those nobody counts as they come."""
        self.samplers.append(figures)

    def on_stopping(self, callback: Callable[[], None]) -> None:
        """Call ``callback`` when the stop begins: to end streams that would go on until the grace is over."""
        self.stopping_callbacks.append(callback)

    async def close(self) -> None:
        """Close the connections."""
        await self.nats.close()
        if self._database is not None:
            await self._database.close()

    @property
    def checks(self) -> dict[str, Callable[[], Awaitable[None]]]:
        """A health check for each thing the service can't do without."""
        database = {} if self._database is None else {"database": self.check_database}
        return {"nats": self.check_nats, **database}

    async def check_nats(self) -> None:
        """A health check.

        Raises:
            UnavailableError: NATS is away.
        """
        if not self.nats.connected:
            raise UnavailableError(f"NATS at {self.nats.url} can't be reached")

    async def check_database(self) -> None:
        """A health check; content when there is no database.

        Raises:
            UnavailableError: the database is away.
        """
        if self._database is not None:
            await self._database.ping()


async def until_topology(nats: NatsConnection, config: ServiceConfig) -> None:
    """Make streams and consumers as ``config`` says, however long JetStream takes to answer."""
    await until_available(lambda: _as_unavailable(_topology(nats, config)), "JetStream")


async def until_available(attempt: Callable[[], Awaitable[None]], what: str) -> None:
    """Repeat ``attempt`` while it raises ``UnavailableError``, saying every few seconds what it waits for."""
    tries = 0
    while True:
        try:
            return await attempt()
        except UnavailableError as error:
            if tries % _SAY_EVERY == 0:
                _log.warning(f"waiting for {what}", error=str(error))
            tries += 1
            await asyncio.sleep(_RETRY_S)


async def _topology(nats: NatsConnection, config: ServiceConfig) -> None:
    if config.nats_topology:
        await ensure_topology(nats.js, ack_wait_s=config.ack_wait_seconds, replicas=config.nats_replicas)
    else:
        await find_topology(nats.js)


async def _as_unavailable(work: Awaitable[None]) -> None:
    try:
        await work
    except (TimeoutError, nats.errors.Error, OSError) as error:
        raise UnavailableError(f"JetStream does not answer: {error or type(error).__name__}") from error

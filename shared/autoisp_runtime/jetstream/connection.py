"""A NATS connection that waits for its server at the start and never gives up on it later."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Awaitable, Callable, Mapping

import nats
import nats.errors
import structlog
from autoisp_core.errors import UnavailableError
from nats.aio.client import Client
from nats.js import JetStreamContext

_log = structlog.get_logger(__name__)

_RECONNECT_WAIT_S = 0.25
_LOG_EVERY_S = 5.0
_CALL_AGAIN_S = 0.5
_PASSES = (nats.errors.Error, TimeoutError, OSError, UnavailableError)


class NatsConnection:
    """Owns the client; make it with :meth:`open`.

    Attributes:
        url: the server's address, or several with commas between, without user and password: fit for logs.
        client: the nats-py client.
        js: its JetStream context.
        closed: set once the connection is gone for good (refused credentials, or :meth:`close`).
    """

    def __init__(self, url: str) -> None:
        self.url = _without_secrets(url)
        self.client = Client()
        self.js: JetStreamContext = self.client.jetstream(timeout=5)
        self.closed = asyncio.Event()
        self._closing = False
        self._said_at = float("-inf")
        self._on_reconnect: list[Callable[[], Awaitable[None]]] = []
        self._calling: asyncio.Task[None] | None = None

    @classmethod
    async def open(
        cls, url: str, *, name: str = "autoisp", options: Mapping[str, str] | None = None
    ) -> NatsConnection:
        """Connect, however long that takes, saying every few seconds what it waits for; cancel to give up.

        Args:
            name: also of the inbox: whoever may read only its own name's hears no answers to others.
            options: who we are, see :func:`autoisp_runtime.jetstream.credentials.credential_options`.
        """
        connection = cls(url)
        await connection.client.connect(
            url.split(","),
            name=name,
            inbox_prefix=f"_INBOX.{name}",
            **(options or {}),  # type: ignore[arg-type]
            connect_timeout=2,
            reconnect_time_wait=_RECONNECT_WAIT_S,  # type: ignore[arg-type]
            max_reconnect_attempts=-1,
            ping_interval=5,
            max_outstanding_pings=2,
            error_cb=connection._errored,
            disconnected_cb=connection._disconnected,
            reconnected_cb=connection._reconnected,
            closed_cb=connection._closed,
        )
        _log.info("connected to NATS", url=connection.url)
        return connection

    @property
    def connected(self) -> bool:
        """Whether the server is there right now."""
        return self.client.is_connected

    def on_reconnect(self, callback: Callable[[], Awaitable[None]]) -> None:
        """Call ``callback`` after every reconnection, in the order they came.

        While it fails for want of the broker or a database it is called again, and the next one waits: what
        just came back may have no leader yet, or no streams. Other errors are logged.
        """
        self._on_reconnect.append(callback)

    async def close(self, timeout_s: float = 2.0) -> None:
        """Send what is buffered, then close; never raises, never takes much longer than ``timeout_s``."""
        self._closing = True
        if self._calling is not None:
            self._calling.cancel()
        try:
            if self.client.is_connected:
                await self.client.flush(timeout=max(1, int(timeout_s)))
        except (nats.errors.Error, OSError) as error:
            _log.warning("NATS was not flushed", error=str(error))
        finally:
            await self.client.close()
            self.closed.set()

    async def _errored(self, error: Exception) -> None:
        if self._closing:
            return
        if self.client.is_connected:
            _log.warning("NATS error", error=str(error))
        elif time.monotonic() - self._said_at >= _LOG_EVERY_S:
            self._said_at = time.monotonic()
            _log.warning(f"waiting for NATS at {self.url}", error=str(error) or type(error).__name__)

    async def _disconnected(self) -> None:
        if not self._closing:
            _log.warning("lost NATS; reconnecting", url=self.url)

    async def _reconnected(self) -> None:
        self._said_at = float("-inf")
        _log.info("reconnected to NATS", url=self.url)
        if self._calling is not None:
            self._calling.cancel()
        self._calling = asyncio.create_task(self._call())

    async def _call(self) -> None:
        for callback in self._on_reconnect:
            while not await self._called(callback):  # noqa: ASYNC110 - nobody tells when it would succeed
                await asyncio.sleep(_CALL_AGAIN_S)

    async def _called(self, callback: Callable[[], Awaitable[None]]) -> bool:
        try:
            await callback()
        except _PASSES as error:
            _log.warning("after reconnecting; tried again", error=str(error) or type(error).__name__)
            return False
        except Exception as error:
            _log.error("after reconnecting", exc_info=error)
        return True

    async def _closed(self) -> None:
        self.closed.set()


def _without_secrets(urls: str) -> str:
    return re.sub(r"//[^/@,]*@", "//", urls)

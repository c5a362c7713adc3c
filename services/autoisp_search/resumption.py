"""Going on with searches after a start, and after the broker came back without its queue."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol

import nats.errors
import structlog
from autoisp_runtime.jetstream import NatsConnection
from autoisp_runtime.jetstream.topology import queue_since

_log = structlog.get_logger(__name__)


class Resumable(Protocol):
    """What goes on; see :class:`autoisp_search.usecases.ResultHandlers`."""

    async def resume(self, queue_since: datetime | None = None) -> int:
        """Go on with every unfinished search."""


class Resumption:
    """Knows which queue the commands went to, by when it was made.

    Args:
        searches: that go on.
        connection: to NATS.
    """

    def __init__(self, searches: Resumable, connection: NatsConnection) -> None:
        self._searches = searches
        self._connection = connection
        self._since: datetime | None = None

    async def start(self) -> None:
        """Go on with all searches. If the broker does not answer, as before it was asked."""
        try:
            self._since = await queue_since(self._connection.js)
        except (nats.errors.Error, TimeoutError, OSError) as error:
            _log.warning("the age of the queue is not known", error=str(error) or type(error).__name__)
        await self._searches.resume(self._since)

    async def look_again(self) -> None:
        """After a reconnection: if the queue is another one, what was in it is commanded again.

        Raises:
            nats.errors.Error, UnavailableError: broker or database don't answer yet; call it again.
        """
        since = await queue_since(self._connection.js)
        if since == self._since:
            return
        count = await self._searches.resume(since)
        self._since = since
        _log.warning("the broker lost its queue; commanded again", searches=count)

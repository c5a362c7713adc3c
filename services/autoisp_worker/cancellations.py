"""Which searches were cancelled: the event stream knows, also what was said before this worker started."""

from __future__ import annotations

import nats.errors
from autoisp_runtime.jetstream import Event, NatsConnection, event_subject
from autoisp_runtime.jetstream.topology import EVENT_STREAM
from nats.js.errors import NotFoundError


class Cancellations:
    """Looks into the event stream rather than listening to it: nothing to miss while NATS is away."""

    def __init__(self, connection: NatsConnection) -> None:
        self._connection = connection

    async def includes(self, search_id: str) -> bool:
        """Whether the search was cancelled; False while nobody can tell."""
        if not self._connection.connected:
            return False
        try:
            await self._connection.js.get_last_msg(
                EVENT_STREAM, event_subject(Event.SEARCH_CANCELLED, search_id)
            )
        except NotFoundError:
            return False
        except (nats.errors.Error, TimeoutError, OSError):
            return False  # asked again a second later
        return True

"""What was cancelled: the event stream knows, also what was said before this worker started."""

from __future__ import annotations

import nats.errors
from autoisp_runtime.jetstream import Event, NatsConnection, event_subject
from autoisp_runtime.jetstream.topology import EVENT_STREAM
from nats.js.errors import NotFoundError


class Cancellations:
    """Looks into the event stream rather than listening to it: nothing to miss while NATS is away.

    Args:
        connection: to NATS.
        event: that says so.
    """

    def __init__(self, connection: NatsConnection, event: Event) -> None:
        self._connection = connection
        self._event = event

    async def includes(self, resource_id: str) -> bool:
        """Whether it was cancelled; False while nobody can tell."""
        if not self._connection.connected:
            return False
        try:
            await self._connection.js.get_last_msg(EVENT_STREAM, event_subject(self._event, resource_id))
        except NotFoundError:
            return False
        except (nats.errors.Error, TimeoutError, OSError):
            return False  # asked again a second later
        return True

"""What has to be done now and then while the service runs, and once when it starts."""

from __future__ import annotations

import asyncio

import structlog
from autoisp_core.errors import AutoISPError

from autoisp_ingest.usecases.leftovers import Leftovers
from autoisp_ingest.usecases.uploads import Spool

_log = structlog.get_logger(__name__)


class Housekeeping:
    """Forgets uploads that nobody resumes, and deletes frames that nobody owns.

    Args:
        every_s: pause between two rounds.
    """

    def __init__(self, spool: Spool, leftovers: Leftovers, every_s: float) -> None:
        self._spool = spool
        self._leftovers = leftovers
        self._every_s = every_s

    async def start(self) -> None:
        """Before serving: finish what a crash cut off.

        Raises:
            AutoISPError: the store or the artifact store can't be used.
        """
        self._spool.clear()
        await self._leftovers.recover()

    async def run(self) -> None:
        """While serving, for ever."""
        while True:
            await asyncio.sleep(self._every_s)
            try:
                forgotten = self._spool.clear_expired()
                if forgotten:
                    _log.info("forgot uploads that nobody resumed", uploads=forgotten)
                await self._leftovers.sweep()
            except (AutoISPError, OSError) as error:
                _log.warning("could not clear up; it is tried again", error=str(error))

"""Deleting what devices reported of rollouts that are over; their counts stay."""

from __future__ import annotations

import asyncio

import structlog
from autoisp_core.errors import AutoISPError

from autoisp_registry.rollouts.ports import Leftovers

_log = structlog.get_logger(__name__)

_AT_ONCE = 5_000
_PAUSE_S = 0.05  # writers get their turn between two pieces
_POLL_S = 30.0


async def sweep(leftovers: Leftovers) -> None:
    """Delete piece by piece, for ever; waits out the database."""
    while True:
        try:
            more = await leftovers.delete_some(_AT_ONCE)
        except AutoISPError as error:
            _log.info("old reports wait to be deleted", error=str(error))
            more = False
        await asyncio.sleep(_PAUSE_S if more else _POLL_S)

"""Looks after a running trial: tells how far it is, stops it when it is cancelled or its time is up."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from typing import Protocol

from autoisp_core import names
from autoisp_core.errors import AutoISPError
from autoisp_core.ids import new_id
from autoisp_runtime.jetstream import Publisher

from autoisp_worker import wire
from autoisp_worker.compute import StopReason, StopRequest
from autoisp_worker.domain import TrialProgress
from autoisp_worker.tickets import report_subject
from autoisp_worker.usecases import OnProgress

_LOOK_EVERY_S = 1.0
_REPORT_TIMEOUT_S = 1.0


class CancelledSearches(Protocol):
    """Who was cancelled."""

    async def includes(self, search_id: str) -> bool:
        """Whether the search was cancelled."""


class TrialWatch:
    """Watches trials, one at a time.

    Args:
        cancelled: asked about the trial's search, before the trial starts and every second.
        publisher: for progress, best effort: the next report makes up for a lost one.
        worker_id: who reports.
        limit_s: how long a trial may take.
    """

    def __init__(
        self, cancelled: CancelledSearches, publisher: Publisher, worker_id: str, limit_s: float
    ) -> None:
        self._cancelled = cancelled
        self._publisher = publisher
        self._worker_id = worker_id
        self._limit_s = limit_s

    @contextlib.asynccontextmanager
    async def over(self, trial: str, stop: StopRequest) -> AsyncIterator[OnProgress]:
        """Watch while the body runs; what it yields takes progress from any thread."""
        search_id, _ = names.TRIAL.parse(trial, "trial")
        if await self._cancelled.includes(search_id):
            stop.request(StopReason.CANCELLED)
        newest = [TrialProgress(0.0, 0, 0.0)]
        ended = asyncio.Event()
        watcher = asyncio.create_task(self._look(trial, search_id, stop, newest, ended))
        try:
            yield newest.append
        finally:
            # Told rather than cancelled: a publication that is just being confirmed swallows a cancellation
            # (asyncio.wait_for before Python 3.12), and then this would wait for ever.
            ended.set()
            await asyncio.wait({watcher})

    async def _look(
        self,
        trial: str,
        search_id: str,
        stop: StopRequest,
        newest: list[TrialProgress],
        ended: asyncio.Event,
    ) -> None:
        give_up_at = time.monotonic() + self._limit_s
        while not stop and not ended.is_set():
            await self._report(trial, newest)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_EVERY_S):
                    await ended.wait()
            if time.monotonic() > give_up_at:
                stop.request(StopReason.TIME_LIMIT)
            elif await self._cancelled.includes(search_id):
                stop.request(StopReason.CANCELLED)

    async def _report(self, trial: str, newest: list[TrialProgress]) -> None:
        del newest[:-1]
        payload = wire.trial_reported(trial, self._worker_id, newest[-1])
        with contextlib.suppress(AutoISPError):
            await self._publisher.publish(
                report_subject(trial), payload, new_id(), timeout_s=_REPORT_TIMEOUT_S
            )

"""Looks after a running job: tells how far it is, stops it when it is cancelled or its time is up."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

from autoisp_core import names
from autoisp_core.errors import AutoISPError
from autoisp_core.ids import new_id
from autoisp_runtime.jetstream import Event, NatsConnection, Publisher

from autoisp_worker import wire, wire_evaluation
from autoisp_worker.cancellations import Cancellations
from autoisp_worker.compute import StopReason, StopRequest
from autoisp_worker.config import WorkerConfig
from autoisp_worker.domain import TrialProgress
from autoisp_worker.domain_evaluation import FramesJudged
from autoisp_worker.tickets import frames_subject, report_subject
from autoisp_worker.usecases import OnFrames, OnProgress

_LOOK_EVERY_S = 1.0
_REPORT_TIMEOUT_S = 1.0
_REPORT_AFTER, _REPORT_SELDOM_S = 0.05, 30.0


class Cancelled(Protocol):
    """Who was cancelled."""

    async def includes(self, resource_id: str) -> bool:
        """Whether the search or the evaluation was cancelled."""


class NeverCancelled:
    """Of jobs that can't be."""

    async def includes(self, resource_id: str) -> bool:
        """No."""
        return False


class JobWatch:
    """Watches jobs of one kind, one at a time.

    Args:
        cancelled: asked about whom a job belongs to, before the job starts and every second.
        publisher: for progress, best effort.
        limit_s: how long a job may take.
    """

    def __init__(self, cancelled: Cancelled, publisher: Publisher, limit_s: float) -> None:
        self._cancelled = cancelled
        self._publisher = publisher
        self._limit_s = limit_s

    @contextlib.asynccontextmanager
    async def watching(
        self, owner: str, stop: StopRequest, report: Callable[[], Awaitable[None]]
    ) -> AsyncIterator[None]:
        """Watch while the body runs.

        Args:
            owner: id of the search or evaluation.
            stop: asked to stop the job.
            report: called every second.
        """
        if await self._cancelled.includes(owner):
            stop.request(StopReason.CANCELLED)
        ended = asyncio.Event()
        watcher = asyncio.create_task(self._look(owner, stop, report, ended))
        try:
            yield
        finally:
            # Told rather than cancelled: a publication that is just being confirmed swallows a cancellation
            # (asyncio.wait_for before Python 3.12), and then this would wait for ever.
            ended.set()
            await asyncio.wait({watcher})

    async def publish(self, subject: str, payload: bytes) -> None:
        """Tell how far the job is, if anybody takes it."""
        with contextlib.suppress(AutoISPError):
            await self._publisher.publish(subject, payload, new_id(), timeout_s=_REPORT_TIMEOUT_S)

    async def _look(
        self, owner: str, stop: StopRequest, report: Callable[[], Awaitable[None]], ended: asyncio.Event
    ) -> None:
        give_up_at = time.monotonic() + self._limit_s
        while not stop and not ended.is_set():
            await report()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_LOOK_EVERY_S):
                    await ended.wait()
            if time.monotonic() > give_up_at:
                stop.request(StopReason.TIME_LIMIT)
            elif await self._cancelled.includes(owner):
                stop.request(StopReason.CANCELLED)


def report_pause(running_s: float) -> float:
    """Seconds from one report of a trial to the next: a twentieth of the time that it runs, at most 30.

    The search service records every report. A thousand workers that reported every second would keep it from
    the results. It takes ten minutes of silence for a sign that a worker is gone.

    >>> report_pause(8.0), report_pause(200.0), report_pause(3600.0)
    (0.4, 10.0, 30.0)
    """
    return min(_REPORT_AFTER * running_s, _REPORT_SELDOM_S)


class TrialWatch:
    """Watches trials. Of their progress the newest counts, so the next report makes up for a lost one.

    Args:
        watch: that does it.
        worker_id: who reports.
    """

    def __init__(self, watch: JobWatch, worker_id: str) -> None:
        self._watch = watch
        self._worker_id = worker_id

    @contextlib.asynccontextmanager
    async def over(self, trial: str, stop: StopRequest) -> AsyncIterator[OnProgress]:
        """Watch while the body runs; what it yields takes progress from any thread."""
        search_id, _ = names.TRIAL.parse(trial, "trial")
        newest = [TrialProgress(0.0, 0, 0.0)]
        begun, reported = time.monotonic(), float("-inf")

        async def report() -> None:
            nonlocal reported
            now = time.monotonic()
            if now - reported < report_pause(now - begun):
                return
            reported = now
            del newest[:-1]
            await self._watch.publish(
                report_subject(trial), wire.trial_reported(trial, self._worker_id, newest[-1])
            )

        async with self._watch.watching(search_id, stop, report):
            yield newest.append


class ClipWatch:
    """Watches clips that are judged. Frames of a lost report are missing until the clip's result is there.

    Args:
        watch: that does it.
    """

    def __init__(self, watch: JobWatch) -> None:
        self._watch = watch

    @contextlib.asynccontextmanager
    async def over(self, evaluation: str, clip: str, stop: StopRequest) -> AsyncIterator[OnFrames]:
        """Watch while the body runs; what it yields takes, from any thread, a way to ask for what is new."""
        (evaluation_id,) = names.EVALUATION.parse(evaluation, "evaluation")
        sources: list[Callable[[], FramesJudged | None]] = []

        async def report() -> None:
            for news in [source() for source in sources]:
                if news is not None:
                    await self._watch.publish(
                        frames_subject(evaluation, clip),
                        wire_evaluation.frames_judged(evaluation, clip, news),
                    )

        async with self._watch.watching(evaluation_id, stop, report):
            yield sources.append


class ConversionWatch:
    """Watches conversions. Nobody cancels one: it is short, and its limit ends it.

    Args:
        watch: that does it.
    """

    def __init__(self, watch: JobWatch) -> None:
        self._watch = watch

    @contextlib.asynccontextmanager
    async def over(self, model_version: str, stop: StopRequest) -> AsyncIterator[None]:
        """Watch while the body runs."""

        async def report() -> None:
            """Nobody waits for it second by second."""

        async with self._watch.watching(model_version, stop, report):
            yield


@dataclass(frozen=True)
class Watches:
    """One for each kind of job that takes long."""

    trials: TrialWatch
    clips: ClipWatch
    conversions: ConversionWatch

    @classmethod
    def of(cls, connection: NatsConnection, publisher: Publisher, config: WorkerConfig) -> Watches:
        """As the configuration says."""

        def watch(cancelled: Cancelled, limit_s: float) -> JobWatch:
            return JobWatch(cancelled, publisher, limit_s)

        searches = Cancellations(connection, Event.SEARCH_CANCELLED)
        evaluations = Cancellations(connection, Event.EVALUATION_CANCELLED)
        return cls(
            TrialWatch(watch(searches, config.trial_limit_seconds), config.worker_id),
            ClipWatch(watch(evaluations, config.clip_limit_seconds)),
            ConversionWatch(watch(NeverCancelled(), config.conversion_limit_seconds)),
        )

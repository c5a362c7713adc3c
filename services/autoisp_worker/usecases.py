"""Settling a job: worked once, recorded once, announced at least once."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Protocol

import structlog

from autoisp_worker.compute import StopRequest
from autoisp_worker.domain import Failure, ProfileJob, PrototypeProfile, TrialJob, TrialProgress, TrialResult
from autoisp_worker.domain_conversion import Conversion, ConversionJob
from autoisp_worker.domain_evaluation import ClipResult, EvaluationJob, FramesJudged

_log = structlog.get_logger(__name__)

OnProgress = Callable[[TrialProgress], None]
OnFrames = Callable[[Callable[[], FramesJudged | None]], None]
"""Takes what is asked, about once a second and in another thread, for the frames since it was asked last."""


class Jobs(Protocol):
    """The arithmetic.

    Every method blocks, ends early when ``stop`` asks for it, and answers a job's own faults with a failure;
    it raises only what another attempt may overcome.
    """

    def profile(self, job: ProfileJob, stop: StopRequest) -> PrototypeProfile | Failure:
        """Measure a prototype."""

    def trial(self, job: TrialJob, stop: StopRequest, on_progress: OnProgress) -> TrialResult:
        """Train, export, validate and measure one spec."""

    def judge(self, job: EvaluationJob, stop: StopRequest, on_frames: OnFrames) -> ClipResult:
        """Judge subjects on one clip."""

    def convert(self, job: ConversionJob, stop: StopRequest) -> Conversion:
        """Make, judge and lint the formats of a model version."""


class ResultRecord(Protocol):
    """Where results are kept. Blocking; see :class:`autoisp_worker.results.Results`."""

    def get(self, key: str) -> bytes | None:
        """What is recorded under ``key``."""

    def record(self, key: str, payload: bytes) -> bytes:
        """Record unless there is something; return what is recorded now."""


class Announcements(Protocol):
    """Where results are told."""

    async def announce(self, subject: str, event_id: str, payload: bytes) -> None:
        """Publish, with a receipt; the same ``event_id`` again changes nothing."""


@dataclass(frozen=True)
class Ticket:
    """A job's identity.

    Attributes:
        key: where its result is recorded.
        subject: on which its result is announced.
        event_id: the announcement's id, the same whoever makes it.
    """

    key: str
    subject: str
    event_id: str


class Settlement:
    """Turns a command, delivered once or more often, into one recorded and announced result."""

    def __init__(self, results: ResultRecord, announcements: Announcements) -> None:
        self._results = results
        self._announcements = announcements

    async def settle(self, ticket: Ticket, work: Callable[[], Awaitable[bytes]]) -> bytes:
        """Do ``work`` unless its result is recorded, record it, announce what is recorded.

        Returns:
            The recorded result, ours or an earlier one.

        Raises:
            Whatever ``work`` raises: nothing is recorded or announced then; the command has to come again.
            UnavailableError: the store or the bus is away; coming again finds what is recorded.
        """
        payload = await asyncio.to_thread(self._results.get, ticket.key)
        if payload is None:
            payload = await asyncio.to_thread(self._results.record, ticket.key, await work())
        else:
            _log.info("recorded already; announcing it again", key=ticket.key)
        await self._announcements.announce(ticket.subject, ticket.event_id, payload)
        return payload

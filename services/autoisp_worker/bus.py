"""Commands in, events out."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import TypeVar

import structlog
from autoisp.events.v1 import commands_pb2
from autoisp_core.errors import AutoISPError, UnavailableError
from autoisp_runtime.jetstream import Command, Envelope, Publisher

from autoisp_worker import wire, wire_conversion, wire_evaluation
from autoisp_worker.attempts import Attempts
from autoisp_worker.compute import ComputeThread, StopRequest
from autoisp_worker.domain import Failure, TrialResult, TrialState
from autoisp_worker.domain_conversion import Conversion
from autoisp_worker.domain_evaluation import ClipResult
from autoisp_worker.results import Checkpoints
from autoisp_worker.tickets import clip_ticket, conversion_ticket, profile_ticket, trial_ticket
from autoisp_worker.usecases import Jobs, Settlement, Ticket
from autoisp_worker.watch import Watches

_log = structlog.get_logger(__name__)

# A result is in the store already: better to wait for NATS here than to look everything up once more.
_PUBLISH_FOR_S = 60.0

Work = Callable[[], Awaitable[bytes]]
T = TypeVar("T")


class EventBus:
    """Publishes results."""

    def __init__(self, publisher: Publisher) -> None:
        self._publisher = publisher

    async def announce(self, subject: str, event_id: str, payload: bytes) -> None:
        """See :class:`autoisp_worker.usecases.Announcements`."""
        await self._publisher.publish(subject, payload, event_id, retry_for_s=_PUBLISH_FOR_S)


class CommandBus:
    """Handles the commands of the worker's queues, one at a time.

    Args:
        settlement: records and announces.
        jobs: does the arithmetic, in ``compute``.
        checkpoints: of trials; deleted once a trial is settled.
        watches: look after what runs.
        worker_id: this worker's name in results.
        attempts: counts what kills its workers, so that it is given up.
    """

    def __init__(
        self,
        settlement: Settlement,
        jobs: Jobs,
        compute: ComputeThread,
        checkpoints: Checkpoints,
        watches: Watches,
        worker_id: str,
        attempts: Attempts,
    ) -> None:
        self._settlement = settlement
        self._jobs = jobs
        self._compute = compute
        self._checkpoints = checkpoints
        self._watches = watches
        self._worker_id = worker_id
        self._attempts = attempts

    async def handle(self, envelope: Envelope) -> None:
        """Do what one command says; safe to repeat.

        Raises:
            AutoISPError: transient: it shall come again. Permanent: the command itself is wrong; then
                :meth:`bury` is next.
        """
        ticket, work = self._work(envelope)
        await self._settlement.settle(ticket, work)
        await self._forget_checkpoint(envelope)

    async def bury(self, envelope: Envelope, error: AutoISPError) -> None:
        """Record and announce that a command failed for good, before it goes to the dead letters."""
        failure = Failure(error.reason, str(error))
        try:
            ticket, payload = self._failed(envelope, failure)
        except AutoISPError as unnamed:
            _log.error("a command that names nothing", subject=envelope.subject, error=str(unnamed))
            return

        async def failed() -> bytes:
            return payload

        await self._settlement.settle(ticket, failed)
        await asyncio.to_thread(self._attempts.forget, ticket.key)
        await self._forget_checkpoint(envelope)

    def _work(self, envelope: Envelope) -> tuple[Ticket, Work]:
        match envelope.kind:
            case Command.PROTOTYPE_PROFILE:
                return self._profile(envelope)
            case Command.TRIAL_RUN:
                return self._trial(envelope)
            case Command.MODEL_VERSION_CONVERT:
                return self._conversion(envelope)
            case Command.EVALUATION_RUN:
                return self._evaluation(envelope)
            case unknown:
                # In an upgrade old and new workers share the queue: not a dead letter, another worker's work.
                raise UnavailableError(
                    f"this worker does not know {unknown}; it is left to a newer one",
                    reason="UNKNOWN_COMMAND",
                )

    def _profile(self, envelope: Envelope) -> tuple[Ticket, Work]:
        job = wire.profile_job(envelope.decode(commands_pb2.ProfilePrototype))
        ticket = profile_ticket(job.search)

        async def work() -> bytes:
            stop = StopRequest()
            outcome = await self._attempt(ticket, lambda: self._jobs.profile(job, stop), stop)
            return wire.profiled(job.search, outcome)

        return ticket, work

    def _trial(self, envelope: Envelope) -> tuple[Ticket, Work]:
        job = wire.trial_job(envelope.decode(commands_pb2.RunTrial))
        ticket = trial_ticket(job.trial)

        async def work() -> bytes:
            stop = StopRequest()
            async with self._watches.trials.over(job.trial, stop) as on_progress:
                result = await self._attempt(ticket, lambda: self._jobs.trial(job, stop, on_progress), stop)
            return wire.trial_completed(result)

        return ticket, work

    def _evaluation(self, envelope: Envelope) -> tuple[Ticket, Work]:
        job = wire.evaluation_job(envelope.decode(commands_pb2.RunEvaluation))
        ticket = clip_ticket(job.evaluation, job.clip.clip)

        async def work() -> bytes:
            stop = StopRequest()
            async with self._watches.clips.over(job.evaluation, job.clip.clip, stop) as on_frames:
                result = await self._attempt(ticket, lambda: self._jobs.judge(job, stop, on_frames), stop)
            return wire_evaluation.clip_judged(job.evaluation, result)

        return ticket, work

    def _conversion(self, envelope: Envelope) -> tuple[Ticket, Work]:
        job = wire_conversion.conversion_job(envelope.decode(commands_pb2.ConvertModelVersion))
        ticket = conversion_ticket(job.model_version, job.conversion_id)

        async def work() -> bytes:
            stop = StopRequest()
            async with self._watches.conversions.over(job.model_version, stop):
                result = await self._attempt(ticket, lambda: self._jobs.convert(job, stop), stop)
            return wire_conversion.converted(result)

        return ticket, work

    async def _attempt(self, ticket: Ticket, job: Callable[[], T], stop: StopRequest) -> T:
        return await self._compute.run(lambda: self._attempts.run(ticket.key, job), stop)

    def _failed(self, envelope: Envelope, failure: Failure) -> tuple[Ticket, bytes]:
        match envelope.kind:
            case Command.PROTOTYPE_PROFILE:
                search = envelope.decode(commands_pb2.ProfilePrototype).search
                return profile_ticket(search), wire.profiled(search, failure)
            case Command.TRIAL_RUN:
                trial, now = envelope.decode(commands_pb2.RunTrial).trial, datetime.now(UTC)
                result = TrialResult(trial, TrialState.FAILED, self._worker_id, now, now, failure=failure)
                return trial_ticket(trial), wire.trial_completed(result)
            case Command.MODEL_VERSION_CONVERT:
                command = envelope.decode(commands_pb2.ConvertModelVersion)
                version, conversion_id = command.model_version, wire_conversion.conversion_id(command)
                failed = Conversion(version, conversion_id, failure=failure)
                return conversion_ticket(version, conversion_id), wire_conversion.converted(failed)
            case _:
                message = envelope.decode(commands_pb2.RunEvaluation)
                clip = message.entry.clip
                judged = ClipResult(clip.name, clip.display_name, failure=failure)
                return clip_ticket(message.evaluation, clip.name), wire_evaluation.clip_judged(
                    message.evaluation, judged
                )

    async def _forget_checkpoint(self, envelope: Envelope) -> None:
        if envelope.kind == Command.TRIAL_RUN:
            trial = envelope.decode(commands_pb2.RunTrial).trial
            # A checkpoint left behind costs space, nothing else.
            with contextlib.suppress(AutoISPError):
                await asyncio.to_thread(self._checkpoints.delete, trial)

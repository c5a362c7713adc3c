"""Events in, commands and events out."""

from __future__ import annotations

import re
from contextlib import AbstractContextManager, nullcontext

import structlog
from autoisp.events.v1 import events_pb2
from autoisp.search.v1 import search_pb2
from autoisp_core.errors import AutoISPError
from autoisp_core.names import SEARCH, TRIAL
from autoisp_runtime.jetstream import Envelope, Event
from autoisp_runtime.outbox import Outbox
from autoisp_runtime.telemetry.spans import Parent, span
from sqlalchemy import select
from sqlalchemy.ext.asyncio import AsyncSession

from autoisp_search.domain import Failure, Outgoing, RunTrial, TrialResult, TrialState
from autoisp_search.store import outbox
from autoisp_search.usecases import ResultHandlers
from autoisp_search.wire import common
from autoisp_search.wire.messages import sendable
from autoisp_search.wire.searches import result_from

_log = structlog.get_logger(__name__)

_TRIAL_ID = re.compile(r"(?P<search>.+)-(?P<trial>r\d+-\d{4,})")
_ENDS = {
    search_pb2.TRIAL_STATE_SUCCEEDED,
    search_pb2.TRIAL_STATE_FAILED,
    search_pb2.TRIAL_STATE_PRUNED,
    search_pb2.TRIAL_STATE_CANCELLED,
}


class OutboxSender:
    """Puts messages into the outbox."""

    def __init__(self, outbox: Outbox) -> None:
        self._outbox = outbox

    async def __call__(self, session: AsyncSession, message: Outgoing) -> None:
        """Into the session's transaction, unless it waits there already."""
        new = sendable(message)
        waiting = await session.scalar(select(outbox.c.id).where(outbox.c.event_id == new.event_id))
        if waiting is None:
            with _trace_of(message, new.event_id):
                await self._outbox.add(session, *new)


class ResultConsumer:
    """Handles what workers tell.

    Raises, from a call:
        InvalidArgumentError: the message can't be understood; it goes to the dead letters.
    """

    def __init__(self, handlers: ResultHandlers) -> None:
        self._handlers = handlers

    async def __call__(self, envelope: Envelope) -> None:
        """Handle one event; handling it again changes nothing."""
        match envelope.kind:
            case Event.PROTOTYPE_PROFILED:
                await self._profiled(envelope.decode(events_pb2.PrototypeProfiled))
            case Event.TRIAL_REPORTED:
                report = envelope.decode(events_pb2.TrialReported)
                search_id, trial_id = TRIAL.parse(report.trial, "trial")
                await self._handlers.reported(
                    search_id, trial_id, report.worker, report.progress, report.steps
                )
            case Event.TRIAL_COMPLETED:
                trial = envelope.decode(events_pb2.TrialCompleted).trial
                search_id, trial_id = TRIAL.parse(trial.name, "trial.name")
                await self._handlers.completed(search_id, trial_id, _result(trial))
            case other:
                _log.warning("not for this service", kind=other)

    async def bury(self, envelope: Envelope, error: AutoISPError) -> None:
        """An event that can't be handled: what it was about failed, or its search would wait for ever."""
        failure = Failure(error.reason, f"the worker's result can't be used: {error}")
        if envelope.kind == Event.PROTOTYPE_PROFILED:
            await self._handlers.profiled(envelope.resource_id, failure)
        elif envelope.kind == Event.TRIAL_COMPLETED and (ids := _TRIAL_ID.fullmatch(envelope.resource_id)):
            result = TrialResult(TrialState.FAILED, failure=failure)
            await self._handlers.completed(ids["search"], ids["trial"], result)

    async def _profiled(self, event: events_pb2.PrototypeProfiled) -> None:
        (search_id,) = SEARCH.parse(event.search, "search")
        if event.WhichOneof("outcome") == "profile":
            await self._handlers.profiled(search_id, common.profile_from(event.profile))
        else:
            await self._handlers.profiled(search_id, common.failure_from(event.failure))


def _trace_of(message: Outgoing, event_id: str) -> AbstractContextManager[object]:
    """A trial has a trace of its own: the one of what caused it goes on to the next trial, and the next.

    It is the same trace when the trial is commanded again, because its worker fell silent or NATS lost it.
    """
    if not isinstance(message, RunTrial):
        return nullcontext()
    trial = message.trial
    names = {"autoisp.trial": trial.name, "autoisp.search": message.search.name}
    return span("trial", {**names, "autoisp.rung": trial.rung}, parent=Parent.NONE, trace_key=event_id)


def _result(trial: search_pb2.Trial) -> TrialResult:
    if trial.state in _ENDS:
        return result_from(trial)
    # Better a failed trial than a search that waits for ever.
    failure = Failure("BAD_RESULT", "the worker said that the trial ended, but not how; see its log")
    return TrialResult(TrialState.FAILED, failure=failure, worker=trial.worker)

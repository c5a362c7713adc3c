"""Commands and events of the evaluation service, in and out."""

from __future__ import annotations

import structlog
from autoisp.events.v1 import commands_pb2, events_pb2
from autoisp.ingest.v1 import ingest_pb2
from autoisp.search.v1 import search_pb2
from autoisp_core import ids, names
from autoisp_core.errors import AutoISPError, NotFoundError
from autoisp_runtime.jetstream import Command, Envelope, Event, command_subject, event_subject
from autoisp_runtime.outbox import OutgoingMessage
from google.protobuf.message import DecodeError

from autoisp_evaluation import wire
from autoisp_evaluation.domain import DEFAULT_METRICS, ClipResult, Failure, Registration, State
from autoisp_evaluation.usecases import CompletedSearch, Evaluations, FramesJudged, LiveFrames
from autoisp_evaluation.usecases.ports import EvaluationCancelled, EvaluationEnded, JudgeClip, Message

_log = structlog.get_logger(__name__)

DEFAULT_TEST_FRAMES = 24


def encode(message: Message) -> OutgoingMessage:
    """The message as it goes out; its id follows from its content, so that repeating it changes nothing."""
    evaluation = message.evaluation
    evaluation_id = names.id_of(evaluation.name)
    match message:
        case JudgeClip(entry=entry):
            command = commands_pb2.RunEvaluation(
                evaluation=evaluation.name,
                entry=ingest_pb2.DatasetManifest.Entry.FromString(entry.manifest_entry),
                subjects=[wire.command_subject_to(subject) for subject in evaluation.subjects],
                sensor=wire.sensor_to(evaluation.sensor),
                seed=evaluation.seed,
                frames_per_clip=evaluation.frames_per_clip,
                metrics=[metric for metric in evaluation.metrics if metric not in DEFAULT_METRICS],
            )
            return OutgoingMessage(
                command_subject(Command.EVALUATION_RUN, f"{evaluation_id}-{names.id_of(entry.clip)}"),
                command.SerializeToString(),
                ids.derived_id(Command.EVALUATION_RUN.value, evaluation.name, entry.clip),
            )
        case EvaluationEnded(record=record):
            registration = evaluation.registration or Registration("")
            event = events_pb2.EvaluationCompleted(
                evaluation=wire.lightened(wire.evaluation_to(evaluation.without_frames()), wire.BUS_BYTES),
                model=registration.model,
                spec=registration.spec,
                macs_per_pixel_limit=registration.macs_per_pixel_limit,
                latency_ratio_goal=registration.latency_ratio_goal,
                manifest=wire.artifact_to(evaluation.manifest) if evaluation.manifest else None,
                record=wire.artifact_to(record) if record else None,
            )
            return OutgoingMessage(
                event_subject(Event.EVALUATION_COMPLETED, evaluation_id),
                event.SerializeToString(),
                ids.derived_id(Event.EVALUATION_COMPLETED.value, evaluation.name),
            )
        case EvaluationCancelled():
            return OutgoingMessage(
                event_subject(Event.EVALUATION_CANCELLED, evaluation_id),
                events_pb2.EvaluationCancelled(evaluation=evaluation.name).SerializeToString(),
                ids.derived_id(Event.EVALUATION_CANCELLED.value, evaluation.name),
            )


def completed_search(event: events_pb2.SearchCompleted) -> CompletedSearch:
    """Read a ``search.completed``.

    Raises:
        InvalidArgumentError: it lacks something that an evaluation needs.
    """
    search = event.search
    frames = search.test_frames_per_clip if search.HasField("test_frames_per_clip") else DEFAULT_TEST_FRAMES
    return CompletedSearch(
        search=search.name,
        trial=event.best_trial.name,
        dataset=search.dataset,
        manifest=wire.artifact_from(event.manifest, "manifest"),
        prototype=wire.prototype_from(search.prototype, "search.prototype"),
        onnx=wire.artifact_from(event.best_trial.onnx, "best_trial.onnx"),
        sensor=wire.sensor_from(search.sensor, "search.sensor"),
        seed=search.seed,
        frames_per_clip=frames,
        gate=search.gate,
        registration=Registration(
            model=search.model or names.model_name(names.id_of(search.name)),
            spec=event.best_trial.spec,
            macs_per_pixel_limit=_macs_per_pixel_limit(search),
            latency_ratio_goal=_latency_ratio_goal(search),
        ),
    )


class EvaluationBus:
    """Handlers of the events that the service listens to."""

    def __init__(self, evaluations: Evaluations, live: LiveFrames) -> None:
        self._evaluations = evaluations
        self._live = live

    async def on_search_completed(self, envelope: Envelope) -> None:
        """Judge the search's best network on the clips it never saw."""
        await self._evaluations.judge_search(completed_search(envelope.decode(events_pb2.SearchCompleted)))

    async def on_clip_judged(self, envelope: Envelope) -> None:
        """Take in a clip's result."""
        event = envelope.decode(events_pb2.EvaluationClipJudged)
        await self._evaluations.record(event.evaluation, wire.clip_result_from(event.result))

    async def on_frames_judged(self, payload: bytes) -> None:
        """Pass on news of a clip; what can't be read is no news."""
        try:
            event = events_pb2.EvaluationFramesJudged.FromString(payload)
        except DecodeError:
            return
        subjects = tuple(wire.subject_result_from(subject) for subject in event.subjects)
        self._live.tell(
            FramesJudged(event.evaluation, event.clip, subjects, event.frames_done, event.frames_wanted)
        )

    async def on_unusable_result(self, envelope: Envelope, error: AutoISPError) -> None:
        """A result that can't be taken in counts as a failed clip, else its evaluation would never end."""
        if isinstance(error, NotFoundError) or error.reason == "UNDECODABLE":
            return  # nobody waits for it, or nobody can tell whose it is
        event = envelope.decode(events_pb2.EvaluationClipJudged)
        result = ClipResult(
            event.result.clip,
            event.result.display_name,
            State.FAILED,
            failure=Failure(error.reason, error.message),
        )
        try:
            await self._evaluations.record(event.evaluation, result)
        except Exception as failure:
            if isinstance(failure, NotFoundError) or (
                isinstance(failure, AutoISPError) and failure.transient
            ):
                raise
            # The other clips' results can't be added up either: nobody may wait for that for ever.
            _log.error("an evaluation is given up", evaluation=event.evaluation, exc_info=failure)
            await self._evaluations.give_up(event.evaluation, Failure(error.reason, error.message))


def _latency_ratio_goal(search: search_pb2.Search) -> float | None:
    # The reduction is a goal for time only where the arithmetic can't be counted.
    if not search.HasField("seconds_per_megapixel_limit") or search.budget.WhichOneof("limit") != "reduction":
        return None
    return search.budget.reduction


def _macs_per_pixel_limit(search: search_pb2.Search) -> float | None:
    return search.macs_per_pixel_limit if search.HasField("macs_per_pixel_limit") else None

"""Commands and events out: subject, payload and an id that makes sending twice harmless."""

from __future__ import annotations

from typing import NamedTuple

from autoisp.events.v1 import commands_pb2, events_pb2
from autoisp_runtime.jetstream import Command, Event, command_subject, event_subject
from google.protobuf.message import Message

from autoisp_search.domain import (
    Inheritance,
    Outgoing,
    ProfilePrototype,
    RunTrial,
    Search,
    SearchCancelled,
    SearchCompleted,
    trial_seed,
    validation_seed,
)
from autoisp_search.plan import lesson_seconds
from autoisp_search.wire import common
from autoisp_search.wire.searches import rung_to, trial_to, view_to
from autoisp_search.wire.training import training_to


class Sendable(NamedTuple):
    """What the outbox takes."""

    subject: str
    payload: bytes
    event_id: str


def sendable(message: Outgoing) -> Sendable:
    """Encode."""
    match message:
        case ProfilePrototype(search):
            return _command(Command.PROTOTYPE_PROFILE, search, search.search_id, _profile(search))
        case RunTrial(search, trial):
            resource_id = f"{search.search_id}-{trial.trial_id}"
            return _command(Command.TRIAL_RUN, search, resource_id, _run(message))
        case SearchCompleted(view, best_trial):
            completed = events_pb2.SearchCompleted(
                search=view_to(view),
                best_trial=trial_to(best_trial),
                manifest=common.artifact_to(view.search.manifest),
            )
            return _event(Event.SEARCH_COMPLETED, view.search, completed)
        case SearchCancelled(search):
            return _event(Event.SEARCH_CANCELLED, search, events_pb2.SearchCancelled(search=search.name))


def _profile(search: Search) -> commands_pb2.ProfilePrototype:
    settings = search.settings
    return commands_pb2.ProfilePrototype(
        search=search.name,
        prototype=common.prototype_to(settings.prototype),
        manifest=common.artifact_to(search.manifest),
        sensor=common.sensor_to(settings.sensor),
        seed=validation_seed(search),
        validation_frames_per_clip=settings.validation_frames_per_clip,
        training=training_to(settings.training),
        lesson_frames=max(settings.space.frames),
        lesson_seconds=lesson_seconds(settings),
        lesson_unroll=any(settings.space.recurrent),
    )


def _run(message: RunTrial) -> commands_pb2.RunTrial:
    search, trial = message.search, message.trial
    checkpoint = message.initial_checkpoint
    lessons = search.profile.lessons if search.profile else None
    return commands_pb2.RunTrial(
        trial=trial.name,
        spec=trial.spec,
        manifest=common.artifact_to(search.manifest),
        sensor=common.sensor_to(search.settings.sensor),
        fidelity=rung_to(message.fidelity),
        seed=trial_seed(search, trial),
        validation_seed=validation_seed(search),
        validation_frames_per_clip=search.settings.validation_frames_per_clip,
        macs_per_pixel_limit=search.macs_limit,
        # A promoted spec has passed this gate; timing it again could only refuse it by chance.
        seconds_per_megapixel_limit=None if trial.parent else search.seconds_limit,
        initial_checkpoint=common.artifact_to(checkpoint) if checkpoint else None,
        training=training_to(search.settings.training),
        lessons=common.artifact_to(lessons.file) if lessons else None,
        inheritance=_inheritance(message.inheritance) if message.inheritance else None,
    )


def _inheritance(inheritance: Inheritance) -> commands_pb2.Inheritance:
    return commands_pb2.Inheritance(
        spec=inheritance.spec, checkpoint=common.artifact_to(inheritance.checkpoint)
    )


def _command(kind: Command, search: Search, resource_id: str, message: Message) -> Sendable:
    return Sendable(
        command_subject(kind, resource_id), message.SerializeToString(), _id(kind, search, resource_id)
    )


def _event(kind: Event, search: Search, message: Message) -> Sendable:
    event_id = _id(kind, search, search.search_id)
    return Sendable(event_subject(kind, search.search_id), message.SerializeToString(), event_id)


def _id(kind: Command | Event, search: Search, resource_id: str) -> str:
    # With the time of creation: a search of the same name in a fresh database is another one, and NATS may
    # still remember the old one's messages.
    return f"{kind.value}.{resource_id}.{round(search.create_time.timestamp() * 1000)}"

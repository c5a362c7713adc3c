"""Which process sends and hears what: the other half of the topology, as data.

Permissions are made from it (:mod:`autoisp_runtime.jetstream.permissions`), so a service that begins to
publish something new must be given it here, or NATS refuses it where permissions are in force.
"""

from __future__ import annotations

from dataclasses import dataclass

from autoisp_runtime.jetstream import topology
from autoisp_runtime.jetstream.topology import Command, ConsumerSpec, Event

OPERATOR = "operator"
"""Who makes the topology, and looks after dead letters: whoever runs it all, no service."""


@dataclass(frozen=True)
class Role:
    """One kind of process.

    Attributes:
        name: of its configuration class, ``service``.
        commands: that it gives.
        events: that it tells.
        consumes: durables that it pulls from; it puts their dead letters away.
        listens: events that it hears as they are published.
        looks_back: whether it reads single events out of the stream.
        keeps_dead_letters: whether it shows and drops those of everybody.
    """

    name: str
    commands: tuple[Command, ...] = ()
    events: tuple[Event, ...] = ()
    consumes: tuple[ConsumerSpec, ...] = ()
    listens: tuple[Event, ...] = ()
    looks_back: bool = False
    keeps_dead_letters: bool = False


ROLES = (
    Role("ingest", events=(Event.CLIP_INGESTED,)),
    Role(
        "search",
        commands=(Command.PROTOTYPE_PROFILE, Command.TRIAL_RUN),
        events=(Event.SEARCH_COMPLETED, Event.SEARCH_CANCELLED),
        consumes=(topology.SEARCH_RESULTS,),
    ),
    Role(
        "evaluation",
        commands=(Command.EVALUATION_RUN,),
        events=(Event.EVALUATION_COMPLETED, Event.EVALUATION_CANCELLED),
        consumes=(topology.EVALUATION_TRIGGERS, topology.EVALUATION_RESULTS),
        listens=(Event.EVALUATION_FRAMES_JUDGED,),
    ),
    Role(
        "registry",
        commands=(Command.MODEL_VERSION_CONVERT,),
        events=(
            Event.MODEL_VERSION_REGISTERED,
            Event.MODEL_VERSION_PROMOTED,
            Event.MODEL_CHANGED,
            Event.CHANNEL_CHANGED,
        ),
        consumes=(topology.REGISTRY_EVALUATIONS, topology.REGISTRY_CONVERSIONS),
        listens=(Event.MODEL_CHANGED, Event.CHANNEL_CHANGED),
        keeps_dead_letters=True,
    ),
    Role(
        "worker",
        events=(
            Event.PROTOTYPE_PROFILED,
            Event.TRIAL_REPORTED,
            Event.TRIAL_COMPLETED,
            Event.EVALUATION_FRAMES_JUDGED,
            Event.EVALUATION_CLIP_JUDGED,
            Event.MODEL_VERSION_CONVERTED,
        ),
        consumes=(topology.WORKER_FIRST, topology.WORKER_TRIALS, topology.WORKER_CONVERSIONS),
        looks_back=True,  # whether what it works on was cancelled
    ),
    Role("live"),
)

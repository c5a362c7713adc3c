"""Every stream, subject and durable consumer of AutoISP, as data, and the one function that makes them.

Subjects are ``autoisp.v1.{cmd|evt}.<aggregate>.<verb>.<id>``. Commands have exactly one handler (work-queue
stream), events any number (limits stream), and what nobody could handle ends in the dead-letter stream.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from nats.js import JetStreamContext, api
from nats.js.errors import BadRequestError

COMMAND_STREAM = "AUTOISP_CMD"
EVENT_STREAM = "AUTOISP_EVT"
DEAD_LETTER_STREAM = "AUTOISP_DLQ"

_PREFIX = "autoisp.v1"
REPLAY_NOTES = f"{_PREFIX}.dlq.replays.*"
"""Subjects of the notes that replays leave among the dead letters, which have longer ones."""
_TOKEN = re.compile(r"[A-Za-z0-9_-]+")
_NAME_IN_USE = 10058  # JetStream: the stream exists with another configuration
_DAY_S = 86_400.0
# An outbox relay that died between publishing and noting it repeats itself within this time without anybody
# seeing it twice.
_DUPLICATE_WINDOW_S = 3_600.0


class Command(StrEnum):
    """What somebody is told to do: imperative, one handler."""

    PROTOTYPE_PROFILE = "prototype.profile"
    TRIAL_RUN = "trial.run"
    EVALUATION_RUN = "evaluation.run"
    MODEL_VERSION_CONVERT = "model_version.convert"


class Event(StrEnum):
    """What has happened: past tense, any number of listeners."""

    CLIP_INGESTED = "clip.ingested"
    PROTOTYPE_PROFILED = "prototype.profiled"
    TRIAL_REPORTED = "trial.reported"
    TRIAL_COMPLETED = "trial.completed"
    SEARCH_COMPLETED = "search.completed"
    SEARCH_CANCELLED = "search.cancelled"
    EVALUATION_FRAMES_JUDGED = "evaluation.frames_judged"
    EVALUATION_CLIP_JUDGED = "evaluation.clip_judged"
    EVALUATION_CANCELLED = "evaluation.cancelled"
    EVALUATION_COMPLETED = "evaluation.completed"
    MODEL_VERSION_REGISTERED = "model_version.registered"
    MODEL_VERSION_PROMOTED = "model_version.promoted"
    MODEL_VERSION_CONVERTED = "model_version.converted"
    MODEL_CHANGED = "model.changed"
    CHANNEL_CHANGED = "channel.changed"


def command_subject(command: Command, resource_id: str) -> str:
    """``autoisp.v1.cmd.<aggregate>.<verb>.<id>``.

    >>> command_subject(Command.TRIAL_RUN, "t-1")
    'autoisp.v1.cmd.trial.run.t-1'
    """
    return f"{_PREFIX}.cmd.{command.value}.{_token(resource_id)}"


def event_subject(event: Event, resource_id: str) -> str:
    """``autoisp.v1.evt.<aggregate>.<verb>.<id>``."""
    return f"{_PREFIX}.evt.{event.value}.{_token(resource_id)}"


def event_subjects(event: Event) -> str:
    """The subjects of an event of any resource."""
    return f"{_PREFIX}.evt.{event.value}.*"


def command_subjects(command: Command) -> str:
    """The subjects of a command to any resource."""
    return f"{_PREFIX}.cmd.{command.value}.*"


def dead_letter_subject(durable: str, subject: str) -> str:
    """``autoisp.v1.dlq.<durable>.<what followed the version in the original subject>``."""
    return f"{_PREFIX}.dlq.{durable}.{subject.removeprefix(_PREFIX + '.')}"


def of_dead_letter(subject: str) -> tuple[str, str]:
    """The durable and the original subject of a dead letter's subject.

    >>> of_dead_letter("autoisp.v1.dlq.worker-trials.cmd.trial.run.t-1")
    ('worker-trials', 'autoisp.v1.cmd.trial.run.t-1')
    """
    durable, _, rest = subject.removeprefix(f"{_PREFIX}.dlq.").partition(".")
    return durable, f"{_PREFIX}.{rest}"


def kind_of(subject: str) -> str:
    """``<aggregate>.<verb>`` of a command's or event's subject; any other subject as it is."""
    tokens = subject.split(".")
    return ".".join(tokens[3:5]) if subject.startswith(_PREFIX + ".") and len(tokens) >= 6 else subject


def is_known_subject(subject: str) -> bool:
    """Whether it is a subject of a command or event of this release."""
    tokens = subject.split(".")
    area: type[Command] | type[Event] = Command if tokens[2:3] == ["cmd"] else Event
    return (
        len(tokens) == 6
        and tokens[:2] == _PREFIX.split(".")
        and tokens[2] in ("cmd", "evt")
        and kind_of(subject) in {kind.value for kind in area}
        and _TOKEN.fullmatch(tokens[5]) is not None
    )


def is_consumer_name(text: str) -> bool:
    """Whether a durable consumer could have this name."""
    return _TOKEN.fullmatch(text) is not None


@dataclass(frozen=True)
class ConsumerSpec:
    """One durable pull consumer.

    Args:
        durable: its name; processes that share it share the work.
        kinds: what it gets; the stream follows from them.
        max_ack_pending: how many messages may be in work at once, over all processes.
        after_idle_s: of a process that serves several durables: it asks this one only once it had nothing
            else to do for so long.
    """

    durable: str
    kinds: tuple[Command, ...] | tuple[Event, ...]
    max_ack_pending: int = 1000
    after_idle_s: float = 0.0

    @property
    def stream(self) -> str:
        """The stream it reads."""
        return COMMAND_STREAM if isinstance(self.kinds[0], Command) else EVENT_STREAM

    @property
    def filter_subjects(self) -> list[str]:
        """Subjects with a wildcard for the id."""
        area = "cmd" if self.stream == COMMAND_STREAM else "evt"
        return [f"{_PREFIX}.{area}.{kind.value}.*" for kind in self.kinds]


# Three durables for the worker, asked in this order: the few short jobs that somebody waits for go before the
# many long ones. One durable with all of them would deliver in stream order and let an evaluation wait behind
# every queued trial. Conversions take minutes and nobody waits for them; a search that has just no trial to
# give must not find its worker busy with one.
WORKER_FIRST = ConsumerSpec("worker-first", (Command.PROTOTYPE_PROFILE, Command.EVALUATION_RUN))
WORKER_TRIALS = ConsumerSpec("worker-trials", (Command.TRIAL_RUN,))
WORKER_CONVERSIONS = ConsumerSpec("worker-conversions", (Command.MODEL_VERSION_CONVERT,), after_idle_s=3.0)
SEARCH_RESULTS = ConsumerSpec(
    "search-results", (Event.PROTOTYPE_PROFILED, Event.TRIAL_REPORTED, Event.TRIAL_COMPLETED)
)
EVALUATION_TRIGGERS = ConsumerSpec("evaluation-triggers", (Event.SEARCH_COMPLETED,))
EVALUATION_RESULTS = ConsumerSpec("evaluation-results", (Event.EVALUATION_CLIP_JUDGED,))
REGISTRY_EVALUATIONS = ConsumerSpec("registry-evaluations", (Event.EVALUATION_COMPLETED,))
REGISTRY_CONVERSIONS = ConsumerSpec("registry-conversions", (Event.MODEL_VERSION_CONVERTED,))

CONSUMERS = (
    WORKER_FIRST,
    WORKER_TRIALS,
    WORKER_CONVERSIONS,
    SEARCH_RESULTS,
    EVALUATION_TRIGGERS,
    EVALUATION_RESULTS,
    REGISTRY_EVALUATIONS,
    REGISTRY_CONVERSIONS,
)


def stream_configs(replicas: int = 1) -> tuple[api.StreamConfig, ...]:
    """The three streams, all on disk."""

    def stream(name: str, area: str, retention: api.RetentionPolicy, **limits: object) -> api.StreamConfig:
        return api.StreamConfig(
            name=name,
            subjects=[f"{_PREFIX}.{area}.>"],
            retention=retention,
            storage=api.StorageType.FILE,
            num_replicas=replicas,
            duplicate_window=_DUPLICATE_WINDOW_S,
            **limits,  # type: ignore[arg-type]
        )

    return (
        # A full work queue refuses new commands (the outbox tries again) rather than dropping old ones.
        stream(
            COMMAND_STREAM,
            "cmd",
            api.RetentionPolicy.WORK_QUEUE,
            discard=api.DiscardPolicy.NEW,
            max_msgs=100_000,
        ),
        stream(EVENT_STREAM, "evt", api.RetentionPolicy.LIMITS, max_age=7 * _DAY_S),
        stream(DEAD_LETTER_STREAM, "dlq", api.RetentionPolicy.LIMITS, max_age=30 * _DAY_S),
    )


async def ensure_topology(js: JetStreamContext, *, ack_wait_s: float = 30.0, replicas: int = 1) -> None:
    """Make or update all streams and consumers; any number of processes may, at once and again.

    Args:
        ack_wait_s: how long a message may stay without a sign of life before another process gets it.
        replicas: copies of every stream (1, or 3 in a cluster of at least 3 servers).

    Raises:
        nats.errors.Error: the server refused or can't be reached.
    """
    for stream in stream_configs(replicas):
        try:
            await js.add_stream(stream)
        except BadRequestError as error:
            if error.err_code != _NAME_IN_USE:
                raise
            await js.update_stream(stream)
    for spec in CONSUMERS:
        await js.add_consumer(spec.stream, consumer_config(spec, ack_wait_s))


async def find_topology(js: JetStreamContext) -> None:
    """Make sure that somebody made all streams and consumers; needs no right to make any.

    Raises:
        nats.errors.Error: something is missing, or the server can't be reached.
    """
    for stream in stream_configs():
        await js.stream_info(str(stream.name))
    for spec in CONSUMERS:
        await js.consumer_info(spec.stream, spec.durable)


async def queue_since(js: JetStreamContext) -> datetime | None:
    """When the queue of commands was made; what was commanded before that is lost with an earlier one.

    Raises:
        nats.errors.Error: the server refused or can't be reached.
    """
    return (await js.stream_info(COMMAND_STREAM)).created


def consumer_config(spec: ConsumerSpec, ack_wait_s: float) -> api.ConsumerConfig:
    """JetStream's view of a :class:`ConsumerSpec`."""
    return api.ConsumerConfig(
        durable_name=spec.durable,
        filter_subjects=spec.filter_subjects,
        ack_policy=api.AckPolicy.EXPLICIT,
        ack_wait=ack_wait_s,
        # No limit here: JetStream would drop what passes it without a word. Our consumer counts, tells, and
        # dead-letters.
        max_deliver=-1,
        max_ack_pending=spec.max_ack_pending,
    )


def _token(resource_id: str) -> str:
    if not _TOKEN.fullmatch(resource_id):
        raise ValueError(f"{resource_id!r} can't be part of a subject; use the resource's id, not its name")
    return resource_id

"""Reading, replaying and dropping dead letters; see :mod:`autoisp_runtime.jetstream.dead_letters`.

A replay leaves a note in the same stream, under a subject of its own, so that the letter keeps its number.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

import structlog
from autoisp_core import actor as core_actor
from autoisp_core.errors import FailedPreconditionError, InvalidArgumentError, NotFoundError
from autoisp_core.ids import derived_id, new_id
from autoisp_core.pagination import Page, PageRequest
from nats.js import api
from nats.js import errors as js_errors

from autoisp_runtime.jetstream.connection import NatsConnection
from autoisp_runtime.jetstream.dead_letters import CONSUMER, DELIVERIES, ERROR, PROCESS, REASON, SUBJECT
from autoisp_runtime.jetstream.envelope import CE_ID, CE_SOURCE, CE_TIME, MESSAGE_ID_HEADER
from autoisp_runtime.jetstream.publisher import Publisher
from autoisp_runtime.jetstream.topology import (
    DEAD_LETTER_STREAM,
    REPLAY_NOTES,
    is_consumer_name,
    is_known_subject,
    kind_of,
    of_dead_letter,
)
from autoisp_runtime.operations.broker import asking

REPLAY_OF = "autoisp-replay-of"
"""Header of a replayed message: the id it had before."""

_NOTES = REPLAY_NOTES.removesuffix(".*")
_ACTOR, _NEW_ID = "autoisp-replay-actor", "autoisp-replay-id"
_ADDED = frozenset({REASON, ERROR, SUBJECT, CONSUMER, DELIVERIES, PROCESS, CE_ID})
_TO_THE_BROKER = "nats-"  # ids and expectations of one publication

_log = structlog.get_logger(__name__)


@dataclass(frozen=True)
class ReplayNote:
    """When and by whom a dead letter was sent again, and under which id."""

    time: datetime | None
    actor: str
    event_id: str


@dataclass(frozen=True)
class DeadLetter:
    """What could not be handled; ``headers`` are those it was sent with."""

    sequence: int
    subject: str
    event_id: str
    source: str
    send_time: datetime | None
    time: datetime | None
    consumer: str
    process: str
    reason: str
    error: str
    deliveries: int
    payload: bytes
    headers: Mapping[str, str] = field(default_factory=dict)
    replay: ReplayNote | None = None

    @property
    def kind(self) -> str:
        """``<aggregate>.<verb>``."""
        return kind_of(self.subject)


class DeadLetters:
    """The dead-letter stream."""

    def __init__(self, connection: NatsConnection, publisher: Publisher) -> None:
        self._connection = connection
        self._publisher = publisher

    async def page(self, request: PageRequest, consumer: str = "") -> Page[DeadLetter]:
        """Oldest first.

        Raises:
            InvalidArgumentError: ``consumer`` can't be the name of one.
            UnavailableError: the broker is away.
        """
        if consumer and not is_consumer_name(consumer):
            raise InvalidArgumentError(
                "consumer", f"{consumer!r} can't be a consumer; they have names such as 'worker-trials'"
            )
        # Letters have four tokens more, notes of replays have none.
        subjects = f"autoisp.v1.dlq.{consumer or '*'}.*.*.*.*"
        letters: list[DeadLetter] = []
        after = request.after or "0"
        if not after.isdecimal():
            raise InvalidArgumentError("page_token", "page_token is not one that this method gave")
        sequence = int(after)
        async with asking(self._connection):
            while len(letters) <= request.size:
                message = await self._message(sequence + 1, subjects)
                if message is None:
                    break
                sequence = message.seq or 0
                letters.append(_letter(message, None))
            notes = await asyncio.gather(*(self._note(letter.sequence) for letter in letters))
        noted = [replace(letter, replay=note) for letter, note in zip(letters, notes, strict=True)]
        return request.page(noted, lambda letter: str(letter.sequence))

    async def get(self, sequence: int) -> DeadLetter:
        """One of them.

        Raises:
            NotFoundError: it was dropped, or is too old.
            UnavailableError: the broker is away.
        """
        async with asking(self._connection):
            message = await self._message(sequence)
            if message is None or (message.subject or "").startswith(f"{_NOTES}."):
                name = f"deadLetters/{sequence}"
                raise NotFoundError(name, f"there is no {name}; it was dropped, or is older than 30 days")
            return _letter(message, await self._note(sequence))

    async def replay(self, sequence: int, actor: str, request_id: str = "") -> DeadLetter:
        """Send it again as it was, under a new id, and note that.

        Args:
            request_id: the same one again sends nothing again, within JetStream's hour.

        Raises:
            NotFoundError, UnavailableError: as :meth:`get`.
            FailedPreconditionError: it came on a subject that nobody handles.
        """
        letter = await self.get(sequence)
        if not is_known_subject(letter.subject):
            raise FailedPreconditionError(
                f"deadLetters/{sequence} came on {letter.subject!r}, which is no subject of this release; "
                "drop it, or replay it with the release that sent it",
                reason="UNKNOWN_SUBJECT",
            )
        new = derived_id("replay", str(sequence), letter.event_id, request_id or new_id())
        headers = {**letter.headers, MESSAGE_ID_HEADER: new, CE_ID: new, REPLAY_OF: letter.event_id}
        await self._publisher.publish(letter.subject, letter.payload, new, headers=headers)
        _log.info("dead letter replayed", letter=sequence, subject=letter.subject, actor=actor, event_id=new)
        note = {_ACTOR: core_actor.encoded(actor), _NEW_ID: new}
        await self._publisher.publish(f"{_NOTES}.{sequence}", b"", f"note-{new}", headers=note)
        return await self.get(sequence)

    async def drop(self, sequence: int, actor: str) -> None:
        """Delete it for good.

        Raises:
            NotFoundError, UnavailableError: as :meth:`get`.
        """
        letter = await self.get(sequence)
        async with asking(self._connection):
            await self._connection.js.delete_msg(DEAD_LETTER_STREAM, sequence)
        _log.warning(
            "dead letter dropped",
            letter=sequence,
            subject=letter.subject,
            event_id=letter.event_id,
            reason=letter.reason,
            actor=actor,
        )

    async def _message(self, sequence: int, next_of: str = "") -> api.RawStreamMsg | None:
        try:
            return await self._connection.js.get_msg(
                DEAD_LETTER_STREAM, sequence, next_of or None, next=bool(next_of)
            )
        except js_errors.NotFoundError:
            return None

    async def _note(self, sequence: int) -> ReplayNote | None:
        try:
            message = await self._connection.js.get_last_msg(DEAD_LETTER_STREAM, f"{_NOTES}.{sequence}")
        except js_errors.NotFoundError:
            return None
        headers = message.headers or {}
        by = core_actor.decoded(headers.get(_ACTOR, ""))
        return ReplayNote(message.time, by or "", headers.get(_NEW_ID, ""))


def _letter(message: api.RawStreamMsg, note: ReplayNote | None) -> DeadLetter:
    headers = message.headers or {}
    # From the subject, which the broker lets processes write for their own consumers only; headers may lie.
    consumer, subject = of_dead_letter(message.subject or "")
    sent = headers.get(CE_TIME, "")
    deliveries = headers.get(DELIVERIES, "")
    return DeadLetter(
        sequence=message.seq or 0,
        subject=subject,
        event_id=headers.get(CE_ID) or headers.get(MESSAGE_ID_HEADER, "").partition(":")[2],
        source=headers.get(CE_SOURCE, ""),
        send_time=_time(sent),
        time=message.time,
        consumer=consumer,
        process=headers.get(PROCESS, ""),
        reason=headers.get(REASON, ""),
        error=headers.get(ERROR, ""),
        deliveries=int(deliveries) if deliveries.isdecimal() else 0,
        payload=message.data or b"",
        headers={
            name: value
            for name, value in headers.items()
            if name not in _ADDED and not name.lower().startswith(_TO_THE_BROKER)
        },
        replay=note,
    )


def _time(text: str) -> datetime | None:
    try:
        parsed = datetime.fromisoformat(text)
    except ValueError:
        return None
    return parsed if parsed.tzinfo else None

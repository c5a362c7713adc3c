"""The way of every change of a channel: locked, checked, written, told."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from autoisp_core import names
from autoisp_core.errors import InvalidArgumentError, NotFoundError

from autoisp_registry.audit import AuditDraft
from autoisp_registry.rollouts.domain.channel import Channel
from autoisp_registry.rollouts.domain.resolving import Servable
from autoisp_registry.rollouts.ports import Memory, Store, Transaction
from autoisp_registry.validation import validate_request_id

MAX_COMMENT_CHARS = 1000
MAX_NUMBER = 2**31 - 1
"""Of a version; what the database's column holds."""


@dataclass(frozen=True)
class Call:
    """What every call that changes a channel says.

    Attributes:
        channel: ``products/{p}/channels/{c}``.
        field: what the request calls the channel.
        etag: if given, the channel's etag that the caller saw.
    """

    channel: str
    actor: str
    etag: str = ""
    comment: str = ""
    request_id: str = ""
    field: str = "channel"

    def validate(self) -> None:
        """Check the fields.

        Raises:
            InvalidArgumentError: naming the field.
        """
        names.CHANNEL.parse(self.channel, self.field)
        validate_request_id(self.request_id)
        if len(self.comment) > MAX_COMMENT_CHARS:
            raise InvalidArgumentError("comment", f"a comment has at most {MAX_COMMENT_CHARS} characters")


@dataclass(frozen=True)
class Change:
    """What came of a channel, and what the audit log says of it."""

    channel: Channel
    summary: str
    details: Mapping[str, str] = field(default_factory=dict)


Work = Callable[[Transaction, Channel, datetime], Awaitable[Change]]


def draft_of(call: Call, action: str, summary: str, details: Mapping[str, str]) -> AuditDraft:
    """The entry of a change."""
    return AuditDraft(
        actor=call.actor,
        action=action,
        resource=call.channel,
        summary=summary,
        details=details,
        comment=call.comment,
        request_id=call.request_id,
    )


async def repeats(transaction: Transaction, draft: AuditDraft) -> bool:
    """Whether the request was done already.

    Raises:
        InvalidArgumentError: its request_id was of a change of another channel.
    """
    resource = await transaction.resource_of_request(draft.key) if draft.key else None
    if resource not in (None, draft.resource):
        raise InvalidArgumentError(
            "request_id",
            f"request_id {draft.request_id!r} was used for {resource}; make up another one",
            reason="REQUEST_ID_REUSED",
        )
    return resource is not None


async def require_servable(transaction: Transaction, model: str, number: int, field: str) -> Servable:
    """The version, which must be one that devices can get.

    Raises:
        NotFoundError: there is none, or it was deleted.
    """
    version = await transaction.servable(model, number) if 0 < number <= MAX_NUMBER else None
    if version is None:
        raise NotFoundError(
            f"{model}/versions/{number}",
            f"{model} has no version {number}, or it was deleted; list its versions to see what there is",
            metadata={"field": field},
        )
    return version


async def change(store: Store, memory: Memory, call: Call, action: str, now: datetime, work: Work) -> Channel:
    """Change a channel in one transaction with its entry and its event; a repeated request changes nothing.

    Args:
        memory: told before anybody is answered, so that the caller's devices see what the caller did.

    Raises:
        InvalidArgumentError: a field is wrong.
        NotFoundError: there is no such channel.
        AbortedError: it changed since the caller saw the etag.
    """
    call.validate()
    key = draft_of(call, action, "", {})
    async with store.transaction() as transaction:
        channel = (await transaction.lock([call.channel])).get(call.channel)
        if channel is None:
            raise NotFoundError(call.channel, metadata={"field": call.field})
        if await repeats(transaction, key):
            return channel
        channel.require_etag(call.etag)
        done = await work(transaction, channel, now)
        for tally in _tallies(channel) - _tallies(done.channel):
            await transaction.leave(tally)
        await transaction.save([done.channel])
        await transaction.tell(draft_of(call, action, done.summary, done.details), done.channel, now)
    await memory.catch_up()
    return done.channel


def _tallies(channel: Channel) -> set[str]:
    return {channel.rollout.tally} if channel.rollout else set()

"""Creating, finding and deleting channels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime

from autoisp_core import names
from autoisp_core.errors import AlreadyExistsError, InvalidArgumentError, NotFoundError
from autoisp_core.ids import new_id
from autoisp_core.pagination import Page, PageRequest

from autoisp_registry.rollouts.domain.channel import Channel
from autoisp_registry.rollouts.domain.constraints import Constraints
from autoisp_registry.rollouts.ports import Memory, Store
from autoisp_registry.rollouts.usecases.changes import MAX_NUMBER, Call, draft_of, repeats, require_servable

MAX_DESCRIPTION_CHARS = 10_000


@dataclass(frozen=True)
class NewChannel:
    """What a channel is created with; version 0 is none."""

    model: str
    version: int
    constraints: Constraints
    description: str


class Channels:
    """The use cases about channels.

    Args:
        memory: what answers devices.
        now: the clock, in UTC.
    """

    def __init__(
        self, store: Store, memory: Memory, now: Callable[[], datetime] = lambda: datetime.now(UTC)
    ) -> None:
        self._store = store
        self._memory = memory
        self._now = now

    async def create(self, call: Call, new: NewChannel) -> Channel:
        """Create a channel; the same request_id again returns it.

        Raises:
            InvalidArgumentError: a field is wrong.
            NotFoundError: there is no such model or version.
            AlreadyExistsError: the name is taken.
        """
        call.validate()
        names.MODEL.parse(new.model, "channel.model")
        if not 0 <= new.version <= MAX_NUMBER:
            raise InvalidArgumentError("channel.version", "give a version's number, or 0 for none yet")
        if len(new.description) > MAX_DESCRIPTION_CHARS:
            raise InvalidArgumentError(
                "channel.description", f"a description has at most {MAX_DESCRIPTION_CHARS} characters"
            )
        now = self._now()
        channel = Channel(
            call.channel, new.model, new.version, now, now, new_id(), new.constraints, new.description
        )
        details = {"model": new.model, "version": str(new.version)}
        summary = f"created, serving version {new.version} of {new.model}" if new.version else "created"
        draft = draft_of(call, "channel.create", summary, details)
        async with self._store.transaction() as transaction:
            if not await repeats(transaction, draft):
                if not await transaction.has_model(new.model):
                    raise NotFoundError(new.model, metadata={"field": "channel.model"})
                if new.version:
                    await require_servable(transaction, new.model, new.version, "channel.version")
                if await transaction.add(channel):
                    await transaction.tell(draft, channel, now)
                    added = True
                elif await repeats(transaction, draft):  # the same request, a moment earlier
                    added = False
                else:
                    raise AlreadyExistsError(call.channel, metadata={"field": call.field})
            else:
                added = False
        if not added:
            return await self.get(call.channel)
        await self._memory.catch_up()
        return channel

    async def get(self, name: str) -> Channel:
        """The channel.

        Raises:
            InvalidArgumentError: the name has another form.
            NotFoundError: there is none.
        """
        names.CHANNEL.parse(name)
        channel = await self._store.channel(name)
        if channel is None:
            raise NotFoundError(name)
        return channel

    async def list(self, parent: str, page_size: int, page_token: str) -> Page[Channel]:
        """Channels of ``products/{p}``, or of all with ``products/-``, oldest first.

        Raises:
            InvalidArgumentError: ``parent``, ``page_size`` or ``page_token``.
        """
        product = "" if parent == "products/-" else names.PRODUCT.parse(parent, "parent")[0]
        return await self._store.list_channels(product, PageRequest.parse(page_size, page_token, parent))

    async def delete(self, call: Call) -> None:
        """Delete a channel: its devices are answered NOT_FOUND from now on.

        Raises:
            InvalidArgumentError: the name has another form.
            NotFoundError: there is none.
            AbortedError: it changed since the caller saw the etag.
        """
        call.validate()
        async with self._store.transaction() as transaction:
            channel = (await transaction.lock([call.channel])).get(call.channel)
            if channel is None:
                raise NotFoundError(call.channel, metadata={"field": call.field})
            channel.require_etag(call.etag)
            if channel.rollout:
                await transaction.leave(channel.rollout.tally)
            await transaction.delete(channel)
            details = {"model": channel.model, "version": str(channel.version)}
            await transaction.tell(draft_of(call, "channel.delete", "deleted", details), None, self._now())
        await self._memory.catch_up()

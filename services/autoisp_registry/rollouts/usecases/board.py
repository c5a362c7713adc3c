"""What every channel answers, in memory: no device waits for the database, or misses it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Collection, Sequence
from typing import Generic, TypeVar

import structlog
from autoisp_core import names
from autoisp_core.errors import AutoISPError, NotFoundError

from autoisp_registry.rollouts.domain.channel import Channel
from autoisp_registry.rollouts.domain.constraints import Device
from autoisp_registry.rollouts.domain.resolving import Answer, Served
from autoisp_registry.rollouts.ports import Feed

_log = structlog.get_logger(__name__)

E = TypeVar("E")

_AT_ONCE = 1000
_POLL_S = 2.0


class Board(Generic[E]):
    """All channels as they were at one sequence of the audit log, which tells what changed since.

    The board is replaced as a whole, never changed: an answer is of one state.

    Args:
        feed: the database.
        encode: makes of an answer what goes out; see :class:`Served`.
    """

    def __init__(self, feed: Feed, encode: Callable[[Answer], E]) -> None:
        self._feed = feed
        self._encode = encode
        self._served: dict[str, Served[E]] = {}
        self._sequence = -1
        self._reading = asyncio.Lock()
        self._woken = asyncio.Event()

    def resolve(self, channel: str, device: Device, formats: Sequence[str]) -> E:
        """What a device is told.

        Raises:
            InvalidArgumentError: ``channel`` is no name of one.
            NotFoundError: there is no such channel, it serves nothing yet, or its version was deleted.
            FailedPreconditionError: it is not for this device, or has none of its formats.
        """
        served = self._served.get(channel)
        if served is None:
            names.CHANNEL.parse(channel, "channel")
            raise NotFoundError(channel, metadata={"field": "channel"})
        return served.answer(device, formats)

    async def load(self) -> None:
        """Read everything.

        Raises:
            UnavailableError: the database is away.
        """
        async with self._reading:
            await self._load()

    async def catch_up(self) -> None:
        """Take in what was committed; if the database is away, what is known stays until :meth:`follow`."""
        try:
            await self.read()
        except AutoISPError as error:
            _log.warning("devices are answered as before: the database can't be read", error=str(error))

    async def read(self) -> None:
        """Take in what was committed.

        Raises:
            UnavailableError: the database is away.
        """
        async with self._reading:
            head = await self._feed.head()
            if head < self._sequence:  # another database, such as a restored one
                await self._load()
            while self._sequence < head:
                await self._read_some()

    async def wake(self, _event: object = None) -> None:
        """Have :meth:`follow` look at once."""
        self._woken.set()

    async def follow(self) -> None:
        """Keep up with what other processes commit, for ever: when woken, and every few seconds."""
        while True:
            # Not wait_for: before Python 3.12 it swallows a cancellation that comes with the wake-up.
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(_POLL_S):
                    await self._woken.wait()
            self._woken.clear()
            await self.catch_up()

    async def _load(self) -> None:
        # What is committed between the two is read again: that changes nothing.
        head = await self._feed.head()
        channels = await self._feed.channels(None)
        self._served = await self._prepared(channels)
        self._sequence = head

    async def _read_some(self) -> None:
        changes = await self._feed.changed_after(self._sequence, _AT_ONCE)
        if not changes:  # its head says that there are: the log is not what was read so far
            await self._load()
            return
        resources = {resource for _, resource in changes}
        models = {_model_of(resource) for resource in resources}
        touched = {resource for resource in resources if names.CHANNEL.match(resource)}
        touched |= {name for name, served in self._served.items() if served.channel.model in models}
        if touched:
            prepared = await self._prepared(await self._feed.channels(touched))
            kept = {name: served for name, served in self._served.items() if name not in touched}
            self._served = kept | prepared
        self._sequence = changes[-1][0]

    async def _prepared(self, channels: Collection[Channel]) -> dict[str, Served[E]]:
        versions = await self._feed.servables(
            {(c.model, number) for c in channels for number in _numbers(c) if number}
        )
        return {
            c.name: Served(
                c,
                {n: versions[c.model, n] for n in _numbers(c) if (c.model, n) in versions},
                self._encode,
            )
            for c in channels
        }


def _numbers(channel: Channel) -> tuple[int, ...]:
    return (channel.version, channel.rollout.version) if channel.rollout else (channel.version,)


def _model_of(resource: str) -> str | None:
    version = names.MODEL_VERSION.match(resource)
    return names.model_name(version[0]) if version else resource

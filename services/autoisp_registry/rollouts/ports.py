"""What the use cases of rollouts need of the world; the store implements these, tests pass fakes."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Protocol

from autoisp_core.pagination import Page, PageRequest

from autoisp_registry.audit import AuditDraft
from autoisp_registry.rollouts.domain.channel import Channel
from autoisp_registry.rollouts.domain.resolving import Servable

VersionKey = tuple[str, int]
"""A model's name and a version's number."""


class Transaction(Protocol):
    """All of it happens, or nothing."""

    async def lock(self, names: Collection[str]) -> dict[str, Channel]:
        """Those of the channels that exist, locked until the end of the transaction, always in one order."""
        ...

    async def add(self, channel: Channel) -> bool:
        """Insert a channel; False if its name is taken, the transaction stays usable."""
        ...

    async def save(self, channels: Collection[Channel]) -> None:
        """Write locked channels, with their counts."""
        ...

    async def delete(self, channel: Channel) -> None:
        """Delete a locked channel."""
        ...

    async def has_model(self, model: str) -> bool:
        """Whether there is such a model, not deleted; it stays so until the end of the transaction."""
        ...

    async def servable(self, model: str, number: int) -> Servable | None:
        """The version, if it exists and is not deleted; it stays so until the end of the transaction."""
        ...

    async def reported(self, keys: Collection[bytes]) -> dict[bytes, bool]:
        """Those of the reports (see :func:`report_key`) that were counted, and whether as failures."""
        ...

    async def write_reports(self, failed: Mapping[bytes, bool]) -> None:
        """Keep reports as counted, over what was kept of the devices. Their channels are locked."""
        ...

    async def leave(self, tally: str) -> None:
        """Have the reports of a tally deleted some time after the commit."""
        ...

    async def resource_of_request(self, key: str) -> str | None:
        """What the request with this :attr:`AuditDraft.key` changed; None if there was none."""
        ...

    async def tell(self, draft: AuditDraft, channel: Channel | None, now: datetime) -> None:
        """Write a change into the audit log and send its event; the last act of a transaction.

        Args:
            channel: as it is after the change; None if it was deleted.
        """
        ...


class Store(Protocol):
    """Keeps channels. Safe for any number of concurrent callers and processes."""

    def transaction(self) -> AbstractAsyncContextManager[Transaction]:
        """Commits at the end of the block, rolls back if it raises."""
        ...

    async def channel(self, name: str) -> Channel | None:
        """The channel; None if there is none."""
        ...

    async def list_channels(self, product: str, page: PageRequest) -> Page[Channel]:
        """Channels of a product (its id), or of all if it is empty; oldest first."""
        ...


class Leftovers(Protocol):
    """Reports of tallies that are over."""

    async def delete_some(self, limit: int) -> bool:
        """Delete at most ``limit`` reports; False if there were none."""
        ...


class Feed(Protocol):
    """What the memory of :class:`Board` is filled from."""

    async def head(self) -> int:
        """The newest sequence of the audit log."""
        ...

    async def changed_after(self, sequence: int, limit: int) -> Sequence[tuple[int, str]]:
        """Sequences and resources of the changes that follow, in order."""
        ...

    async def channels(self, names: Collection[str] | None) -> Sequence[Channel]:
        """Those of these channels that exist; all for None."""
        ...

    async def servables(self, wanted: Collection[VersionKey]) -> dict[VersionKey, Servable]:
        """Those of these versions that exist and are not deleted."""
        ...


class Memory(Protocol):
    """What answers devices."""

    async def catch_up(self) -> None:
        """Take in what was committed; an outage is waited out elsewhere."""
        ...

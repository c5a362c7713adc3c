"""Models, and the aliases that point at their versions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any

from autoisp_core.errors import FailedPreconditionError

from autoisp_registry.domain.etags import etag_of, require_etag

CANDIDATE = "candidate"
"""Alias of the newest version that a search brought, good or not."""
CHAMPION = "champion"
"""Alias of the version that passed its gate last; it moves by promotion and rollback only."""
LATEST = "latest"
"""Reads as the version with the highest number; never stored as an alias."""

MAX_HISTORY = 100
"""Earlier versions that are remembered of an alias."""


MAX_ALIASES = 100
"""That people may give: the model travels whole in every event and with every version."""


@dataclass(frozen=True)
class Model:
    """A model and what is known of its versions.

    Attributes:
        name: ``models/{m}``.
        latest_version: number of the newest version that is not deleted; 0 if there is none.
        last_number: the highest number that was ever given; none is given twice.
        aliases: alias to version number.
        history: alias to the numbers that it pointed at before, the newest last.
        promotion_gate: what a promotion checks if it is told nothing else, as TOML.
        delete_time, purge_time: set while it is deleted.
        revision: grows with every change.
    """

    name: str
    display_name: str
    create_time: datetime
    update_time: datetime
    latest_version: int = 0
    aliases: Mapping[str, int] = field(default_factory=dict)
    revision: int = 0
    last_number: int = 0
    history: Mapping[str, tuple[int, ...]] = field(default_factory=dict)
    description: str = ""
    tags: Mapping[str, str] = field(default_factory=dict)
    promotion_gate: str = ""
    delete_time: datetime | None = None
    purge_time: datetime | None = None

    @property
    def etag(self) -> str:
        """Changes with every change of the model."""
        return etag_of(self.revision)

    @property
    def deleted(self) -> bool:
        """Whether it waits to be purged or restored."""
        return self.delete_time is not None

    def require_etag(self, etag: str) -> None:
        """Check that the caller saw the model as it is; an empty etag is not checked.

        Raises:
            AbortedError: it changed since.
        """
        require_etag(self.name, self.etag, etag)

    def require_room(self, alias: str) -> None:
        """Check that the model may have ``alias``.

        Raises:
            FailedPreconditionError: it is new, and there are :data:`MAX_ALIASES` already.
        """
        if alias not in self.aliases and len(self.aliases) >= MAX_ALIASES:
            raise FailedPreconditionError(
                f"{self.name} has {len(self.aliases)} aliases; take one away (DeleteAlias) first",
                reason="TOO_MANY_ALIASES",
                metadata={"resource": self.name, "field": "alias"},
            )

    def changed(self, now: datetime, **changes: Any) -> Model:
        """The model after a change."""
        return replace(self, **changes, update_time=now, revision=self.revision + 1)

    def with_version(self, now: datetime) -> Model:
        """The model after one more version was registered: ``latest_version`` is its number."""
        number = self.last_number + 1
        return self.changed(now, latest_version=number, last_number=number)

    def with_alias(self, alias: str, number: int, now: datetime) -> Model:
        """The model with ``alias`` at version ``number``; itself if it is there already."""
        before = self.aliases.get(alias)
        if before == number:
            return self
        history = self.history
        if before is not None:
            history = {**history, alias: (*history.get(alias, ()), before)[-MAX_HISTORY:]}
        return self.changed(now, aliases={**self.aliases, alias: number}, history=history)

    def rolled_back(self, alias: str, number: int, dropped: int, now: datetime) -> Model:
        """The model with ``alias`` at an earlier version; the newest ``dropped`` of its history are gone."""
        left = self.history.get(alias, ())[:-dropped]
        return self.changed(
            now, aliases={**self.aliases, alias: number}, history={**self.history, alias: left}
        )

    def without_alias(self, alias: str, now: datetime) -> Model:
        """The model without ``alias`` and its history."""
        return self.changed(
            now,
            aliases={name: number for name, number in self.aliases.items() if name != alias},
            history={name: numbers for name, numbers in self.history.items() if name != alias},
        )

    def aliases_of(self, number: int) -> tuple[str, ...]:
        """The aliases that point at a version, sorted."""
        return tuple(sorted(alias for alias, at in self.aliases.items() if at == number))

    def resolve(self, version: str) -> int | None:
        """The number that ``version`` (a number, an alias or ``latest``) means; None if it means none."""
        if version == LATEST:
            return self.latest_version or None
        if version.isascii() and version.isdigit() and len(version) <= 10:
            number = int(version)
            return number if 1 <= number <= self.last_number and str(number) == version else None
        return self.aliases.get(version)

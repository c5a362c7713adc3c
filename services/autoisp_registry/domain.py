"""Models, their immutable versions, and the aliases that point at them."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime

from autoisp_core import names
from autoisp_core.artifact import Artifact
from autoisp_core.errors import AbortedError

CANDIDATE = "candidate"
"""Alias of the newest version that a search brought, good or not."""
CHAMPION = "champion"
"""Alias of the newest version that passed its gate."""
LATEST = "latest"
"""Reads as the version with the highest number; never stored as an alias."""


@dataclass(frozen=True)
class Prototype:
    """The slow reference that was replaced: one that ships (``builtin``) or an ONNX graph."""

    builtin: str = ""
    onnx: Artifact | None = None


@dataclass(frozen=True)
class Lineage:
    """Where a version came from; empty fields are unknown."""

    dataset: str = ""
    search: str = ""
    trial: str = ""
    evaluation: str = ""
    prototype: Prototype | None = None


@dataclass(frozen=True)
class GateResult:
    """Whether a version was good enough to become champion, and one line per check."""

    passed: bool
    checks: tuple[str, ...]


@dataclass(frozen=True)
class Content:
    """All of a version but its name: what is registered."""

    onnx: Artifact
    metrics: Mapping[str, float] = field(default_factory=dict)
    lineage: Lineage = field(default_factory=Lineage)
    spec: str = ""
    gate: GateResult | None = None


@dataclass(frozen=True)
class ModelVersion:
    """One immutable version of a model; numbers begin at 1 and have no gaps."""

    model: str
    number: int
    content: Content
    create_time: datetime

    @property
    def name(self) -> str:
        """``models/{m}/versions/{v}``."""
        return names.model_version_name(names.id_of(self.model), str(self.number))


@dataclass(frozen=True)
class Model:
    """A model and what is known of its versions.

    Attributes:
        name: ``models/{m}``.
        latest_version: number of the newest version; 0 if there is none.
        aliases: alias to version number.
        revision: grows with every change.
    """

    name: str
    display_name: str
    create_time: datetime
    update_time: datetime
    latest_version: int = 0
    aliases: Mapping[str, int] = field(default_factory=dict)
    revision: int = 0

    @property
    def etag(self) -> str:
        """Changes with every change of the model."""
        return f'"{self.revision}"'

    def require_etag(self, etag: str) -> None:
        """Check that the caller saw the model as it is; an empty etag is not checked.

        Raises:
            AbortedError: it changed since.
        """
        if etag and etag != self.etag:
            raise AbortedError(
                f"{self.name} changed since its etag was {etag}; get it again and repeat with its new etag",
                reason="ETAG_MISMATCH",
                metadata={"resource": self.name, "field": "etag", "etag": self.etag},
            )

    def with_version(self, now: datetime) -> Model:
        """The model after one more version was registered."""
        return replace(
            self, latest_version=self.latest_version + 1, update_time=now, revision=self.revision + 1
        )

    def with_alias(self, alias: str, number: int, now: datetime) -> Model:
        """The model with ``alias`` at version ``number``; itself if it is there already."""
        if self.aliases.get(alias) == number:
            return self
        aliases = {**self.aliases, alias: number}
        return replace(self, aliases=aliases, update_time=now, revision=self.revision + 1)

    def resolve(self, version: str) -> int | None:
        """The number that ``version`` (a number, an alias or ``latest``) means; None if it means none."""
        if version == LATEST:
            return self.latest_version or None
        if version.isascii() and version.isdigit():
            number = int(version)
            return number if 1 <= number <= self.latest_version and str(number) == version else None
        return self.aliases.get(version)


def finite(metrics: Mapping[str, float]) -> dict[str, float]:
    """The metrics that are numbers; what could not be measured is left out rather than written as NaN."""
    return {name: value for name, value in metrics.items() if math.isfinite(value)}

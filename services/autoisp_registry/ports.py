"""What the use cases need of the world; adapters implement these, tests pass fakes."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Protocol

from autoisp_core.artifact import Artifact
from autoisp_core.pagination import Page, PageRequest

from autoisp_registry.domain import Model, ModelVersion


@dataclass(frozen=True)
class VersionRegistered:
    """Event: there is a new version."""

    version: ModelVersion


@dataclass(frozen=True)
class VersionPromoted:
    """Event: ``alias`` points at version ``number`` of ``model`` since the model's ``revision``."""

    model: str
    number: int
    alias: str
    revision: int


Message = VersionRegistered | VersionPromoted


class Transaction(Protocol):
    """All of it happens, or nothing: changes of models and the messages that tell of them."""

    async def lock(self, model: str, now: datetime) -> Model:
        """The model, made if it is missing, and locked until the end of the transaction."""
        ...

    async def lock_existing(self, model: str) -> Model | None:
        """The model, locked until the end of the transaction; None if there is none."""
        ...

    async def add_version(self, version: ModelVersion, key: str | None) -> None:
        """Insert a version of a locked model.

        Raises:
            AlreadyExistsError: ``key`` is taken; the transaction stays usable.
        """
        ...

    async def save(self, model: Model) -> None:
        """Write a locked model and its aliases."""
        ...

    async def send(self, message: Message) -> None:
        """Have the message delivered, at least once, after the commit."""
        ...


class Store(Protocol):
    """Keeps models. Safe for any number of concurrent callers and processes."""

    def transaction(self) -> AbstractAsyncContextManager[Transaction]:
        """Commits at the end of the block, rolls back if it raises."""
        ...

    async def find(self, key: str) -> ModelVersion | None:
        """The version that was added under this idempotency key."""
        ...

    async def model(self, name: str) -> Model | None:
        """The model; None if there is none."""
        ...

    async def version(self, model: str, number: int) -> ModelVersion | None:
        """One version; None if there is none."""
        ...

    async def list_models(self, page: PageRequest) -> Page[Model]:
        """Models, oldest first."""
        ...

    async def list_versions(self, model: str, page: PageRequest) -> Page[ModelVersion]:
        """A model's versions, by number."""
        ...


class Publisher(Protocol):
    """Leaves versions where other services read them."""

    async def publish(self, version: ModelVersion) -> None:
        """Leave a version under its name, over whatever a registration that came to nothing left there.

        Raises:
            UnavailableError, ResourceExhaustedError: the artifact store is away or full.
        """
        ...

    async def published(self, name: str) -> bool:
        """Whether a version of this name was left.

        Raises:
            UnavailableError: the artifact store is away.
        """
        ...


class Artifacts(Protocol):
    """The artifact store."""

    async def exists(self, artifact: Artifact) -> bool:
        """Whether the bytes are there, with the right size."""
        ...

    async def find(self, sha256: str) -> Artifact | None:
        """The artifact with this digest; None if there is none. Its media type may be unknown."""
        ...

    async def put_file(self, path: Path, media_type: str = ..., *, sha256: str = ...) -> Artifact:
        """Store a file's bytes under their digest, which the caller may know already.

        Raises:
            ResourceExhaustedError: the store is full.
        """
        ...

    def stream(
        self, artifact: Artifact, chunk_bytes: int = ..., *, offset: int = ..., length: int | None = ...
    ) -> AsyncIterator[bytes]:
        """``length`` bytes from ``offset`` on, by default all, in pieces.

        Raises after the last piece of all of them if they are not what was stored.

        Raises:
            NotFoundError: they are gone.
            DataLossError: they are damaged.
        """
        ...

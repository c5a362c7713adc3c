"""Bytes, and what others read of them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from pathlib import Path
from typing import Protocol

from autoisp_core.artifact import Artifact

from autoisp_registry.domain import ModelVersion


class Artifacts(Protocol):
    """The artifact store."""

    async def exists(self, artifact: Artifact) -> bool:
        """Whether the bytes are there, with the right size."""
        ...

    async def put_bytes(self, data: bytes, media_type: str = ...) -> Artifact:
        """Store bytes under their digest.

        Raises:
            ResourceExhaustedError: the store is full.
        """
        ...

    async def get_bytes(self, artifact: Artifact) -> bytes:
        """The bytes, checked.

        Raises:
            NotFoundError: they are gone.
            DataLossError: they are damaged.
        """
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
        self,
        artifact: Artifact,
        chunk_bytes: int = ...,
        *,
        offset: int = ...,
        length: int | None = ...,
        recheck: bool = ...,
    ) -> AsyncIterator[bytes]:
        """``length`` bytes from ``offset`` on, by default all, in pieces.

        Raises after the last piece of all of them if they are not what was stored; without ``recheck`` that
        is looked at when they were written since the last time.

        Raises:
            NotFoundError: they are gone.
            DataLossError: they are damaged.
        """
        ...


class Datasets(Protocol):
    """Reads what ingest wrote of datasets."""

    async def manifest(self, dataset: str) -> Artifact:
        """The manifest of ``datasets/{d}``.

        Raises:
            NotFoundError: there is no such dataset.
        """
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

    async def withdraw(self, name: str) -> None:
        """Take back what was left under a version's name, if there is any.

        Raises:
            UnavailableError: the artifact store is away.
        """
        ...

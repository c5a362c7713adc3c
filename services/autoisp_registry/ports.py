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
from autoisp_core.quality import Figures, GateReport

from autoisp_registry.audit import AuditDraft, AuditEntry
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


@dataclass(frozen=True)
class ModelChanged:
    """Event: any change of a model or of one of its versions; ``model`` is as it is after it."""

    entry: AuditEntry
    model: Model


@dataclass(frozen=True)
class ConvertVersion:
    """Command: make the edge formats of a version, whose ``conversion`` says which request this is.

    Attributes:
        manifest: of the dataset whose clips calibrate and judge; None: there is no footage.
        formats: to make; empty: all that the worker makes.
    """

    version: ModelVersion
    manifest: Artifact | None = None
    formats: tuple[str, ...] = ()


Message = VersionRegistered | VersionPromoted | ModelChanged | ConvertVersion


class Transaction(Protocol):
    """All of it happens, or nothing: changes, their audit entries, and the messages that tell of them."""

    async def lock(self, model: str, now: datetime) -> Model:
        """The model, made if it is missing, and locked until the end of the transaction."""
        ...

    async def lock_existing(self, model: str) -> Model | None:
        """The model, locked until the end of the transaction; None if there is none."""
        ...

    async def version(self, model: str, number: int) -> ModelVersion | None:
        """A version of a locked model, deleted ones too; None if there is none."""
        ...

    async def find_onnx(self, model: str, sha256: str) -> int | None:
        """The version of a locked model, not deleted, that has this ONNX file; None if there is none."""
        ...

    async def newest(self, model: str) -> int:
        """The highest number of a locked model's versions that are not deleted; 0 if there is none."""
        ...

    async def in_use(self, model: str, number: int | None = None) -> list[str]:
        """What serves a version of a locked model, or any of its versions: names of channels."""
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

    async def save_version(self, version: ModelVersion) -> None:
        """Write what may change of a version of a locked model."""
        ...

    async def purge_version(self, version: ModelVersion) -> None:
        """Forget a version of a locked model for good."""
        ...

    async def purge_model(self, model: Model) -> None:
        """Forget a locked model and its versions for good, but not which numbers it has given."""
        ...

    async def record(self, draft: AuditDraft, now: datetime) -> AuditEntry:
        """Add to the audit log; after everything else, as it locks the log's head until the end.

        Raises:
            AlreadyExistsError: the draft's key is taken; the transaction stays usable.
        """
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

    async def find_entry(self, key: str) -> AuditEntry | None:
        """The audit entry of the request with this key."""
        ...

    async def model(self, name: str) -> Model | None:
        """The model, also if it is deleted; None if there is none."""
        ...

    async def version(self, model: str, number: int) -> ModelVersion | None:
        """One version, also if it is deleted; None if there is none."""
        ...

    async def list_models(self, page: PageRequest, *, show_deleted: bool = False) -> Page[Model]:
        """Models, oldest first."""
        ...

    async def list_versions(
        self, model: str, page: PageRequest, *, show_deleted: bool = False
    ) -> Page[ModelVersion]:
        """A model's versions, by number."""
        ...

    async def purgeable_models(self, now: datetime, limit: int) -> list[str]:
        """Names of deleted models whose retention is over."""
        ...

    async def purgeable_versions(self, now: datetime, limit: int) -> list[tuple[str, int]]:
        """Models and numbers of deleted versions whose retention is over."""
        ...


class AuditLog(Protocol):
    """Reads the audit log."""

    async def list_entries(
        self, page: PageRequest, resource: str = "", *, descending: bool = False
    ) -> Page[AuditEntry]:
        """Entries in the log's order, or the newest first; of one resource unless it is empty."""
        ...

    async def verify(self) -> AuditState:
        """Recompute the chain of digests."""
        ...


@dataclass(frozen=True)
class AuditState:
    """What recomputing the audit log found.

    Attributes:
        entries, head_sha256: how many there are, and the digest of the newest.
        broken_sequence: where the chain breaks first; 0 if it is intact.
        problem: why, for people.
    """

    entries: int
    head_sha256: str
    broken_sequence: int = 0
    problem: str = ""


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


class GraphChecker(Protocol):
    """Looks into what is to be registered."""

    async def check(self, onnx: Artifact, field: str) -> None:
        """Check that the bytes are a network of the model contract, without trusting them.

        Raises:
            InvalidArgumentError: they are not; names ``field``.
            ResourceExhaustedError: looking at them takes more than is allowed.
            NotFoundError, DataLossError: they are gone or damaged.
        """
        ...


@dataclass(frozen=True)
class JudgedEvaluation:
    """An evaluation that was kept, as gates see it.

    Attributes:
        figures: what was measured.
        gate_subject: the label of what its own gate judged; empty without one.
        report: what its own gate said; None without one.
    """

    figures: Figures
    gate_subject: str = ""
    report: GateReport | None = None


class Records(Protocol):
    """Reads evaluations that were kept."""

    async def read(self, record: Artifact) -> JudgedEvaluation:
        """The evaluation.

        Raises:
            NotFoundError: it is gone.
            DataLossError: it is damaged.
        """
        ...


class Signer(Protocol):
    """Signs versions."""

    async def sign(self, version: ModelVersion) -> Artifact | None:
        """A signed manifest of all files of the version as it is, kept as an artifact; None: nobody signs.

        Raises:
            UnavailableError, ResourceExhaustedError: the artifact store is away or full.
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

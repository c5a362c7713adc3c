"""What is kept of models, and of what was done to them."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from autoisp_core.pagination import Page, PageRequest

from autoisp_registry.audit import AuditDraft, AuditEntry
from autoisp_registry.domain import Model, ModelVersion
from autoisp_registry.ports.messages import Message


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

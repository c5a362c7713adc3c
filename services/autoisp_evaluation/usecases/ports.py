"""What the use cases need of the world; adapters implement these, tests pass fakes."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Protocol

from autoisp_core.artifact import Artifact
from autoisp_core.pagination import Page, PageRequest

from autoisp_evaluation.domain import Entry, Evaluation, Split


@dataclass(frozen=True)
class JudgeClip:
    """Command: judge every subject of ``evaluation`` on one clip."""

    evaluation: Evaluation
    entry: Entry


@dataclass(frozen=True)
class EvaluationEnded:
    """Event: the evaluation succeeded or failed; ``record`` is all of it, if it succeeded."""

    evaluation: Evaluation
    record: Artifact | None = None


@dataclass(frozen=True)
class EvaluationCancelled:
    """Event: nobody wants the evaluation any more; workers drop its clips."""

    evaluation: Evaluation


Message = JudgeClip | EvaluationEnded | EvaluationCancelled


class Transaction(Protocol):
    """All of it happens, or nothing: changes of evaluations and the messages that tell of them."""

    async def lock(self, name: str) -> int | None:
        """The evaluation's revision, which stays until the end of the transaction; None if there is none."""
        ...

    async def add(self, evaluation: Evaluation, key: str | None) -> None:
        """Insert a new evaluation and its clips.

        Raises:
            AlreadyExistsError: its name or ``key`` is taken; the transaction stays usable.
        """
        ...

    async def update(self, evaluation: Evaluation, clips: Collection[str]) -> None:
        """Write the evaluation, and the results of ``clips``."""
        ...

    async def send(self, message: Message) -> None:
        """Have the message delivered, at least once, after the commit."""
        ...


class Store(Protocol):
    """Keeps evaluations. Safe for any number of concurrent callers and processes."""

    def transaction(self) -> AbstractAsyncContextManager[Transaction]:
        """Commits at the end of the block, rolls back if it raises."""
        ...

    async def get(self, name: str) -> Evaluation | None:
        """The evaluation with all its results; None if there is none."""
        ...

    async def revision(self, name: str) -> int | None:
        """The evaluation's revision, without reading the rest of it; None if there is none."""
        ...

    async def find(self, key: str) -> Evaluation | None:
        """The evaluation that was added under this idempotency key."""
        ...

    async def list(self, page: PageRequest, search: str) -> Page[Evaluation]:
        """Evaluations without frames, oldest first; only those of ``search`` unless it is empty."""
        ...


class Datasets(Protocol):
    """Reads what ingest wrote of datasets."""

    async def manifest(self, dataset: str) -> Artifact:
        """The manifest of ``datasets/{d}``.

        Raises:
            NotFoundError: there is no such dataset.
        """
        ...

    async def entries(self, manifest: Artifact, split: Split) -> Sequence[Entry]:
        """The clips of one split, in the manifest's order.

        Raises:
            NotFoundError, DataLossError: the manifest is gone or damaged.
        """
        ...


class Artifacts(Protocol):
    """Knows which bytes are in the artifact store."""

    async def exists(self, artifact: Artifact) -> bool:
        """Whether the bytes are there, with the right size."""
        ...


class Records(Protocol):
    """Keeps evaluations as they were when they ended."""

    async def put(self, evaluation: Evaluation) -> Artifact:
        """All of the evaluation, as bytes in the artifact store.

        Raises:
            UnavailableError, ResourceExhaustedError: the store is away or full.
        """
        ...


class Versions(Protocol):
    """Reads what the registry wrote of model versions."""

    async def onnx(self, name: str) -> Artifact:
        """The file of ``models/{m}/versions/{n}``.

        Raises:
            NotFoundError: there is no such version.
        """
        ...

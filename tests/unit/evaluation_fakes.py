"""Stand-ins for the evaluation service's store and its neighbours, and small things to fill them with."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from autoisp_core.artifact import Artifact
from autoisp_core.errors import AlreadyExistsError, NotFoundError
from autoisp_core.pagination import Page, PageRequest
from autoisp_evaluation.domain import (
    ClipResult,
    Cost,
    Entry,
    Evaluation,
    FrameResult,
    MetricResult,
    Prototype,
    Quality,
    Registration,
    Sensor,
    Split,
    State,
    Subject,
    SubjectResult,
)
from autoisp_evaluation.usecases import Comparing, CompletedSearch, Evaluations, LiveFrames, Watching
from autoisp_evaluation.usecases.changes import Changes
from autoisp_evaluation.usecases.ports import Message
from autoisp_evaluation.usecases.validation import Draft

NOW = datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)


def artifact(seed: int = 1, media_type: str = "application/onnx") -> Artifact:
    """Made-up bytes by reference."""
    sha256 = f"{seed:064x}"
    return Artifact(f"blobs/{sha256[:2]}/{sha256}", sha256, 1000 + seed, media_type)


SUBJECTS = (Subject("prototype", Prototype("classical")), Subject("model", artifact(1)))
MANIFEST = artifact(99, "application/x-protobuf")


def entry(number: int, frames: int = 10) -> Entry:
    """A clip of a split."""
    return Entry(f"clips/c{number}", f"clip {number}", frames, b"")


def result(
    clip: str,
    psnr: dict[str, Sequence[float]],
    seconds: float = 1.0,
    macs: float | None = 50.0,
    **metrics: dict[str, Sequence[float]],
) -> ClipResult:
    """A judged clip: PSNR per frame of each subject; SSIM is a hundredth of it. Other metrics by name."""
    return ClipResult(
        clip,
        clip,
        State.SUCCEEDED,
        tuple(
            SubjectResult(
                label,
                Quality(0.0, 0.0),
                Cost(macs, 7, 8, seconds),
                tuple(FrameResult(i, Quality(db, db / 100)) for i, db in enumerate(frames)),
                tuple(
                    MetricResult(metric, values=tuple(values[label])) for metric, values in metrics.items()
                ),
            )
            for label, frames in psnr.items()
        ),
    )


def evaluation(**changes: Any) -> Evaluation:
    """A running evaluation of two clips."""
    fields: dict[str, Any] = {
        "name": "evaluations/e",
        "dataset": "datasets/d",
        "split": Split.TEST,
        "subjects": SUBJECTS,
        "sensor": Sensor("phone"),
        "seed": 3,
        "frames_per_clip": 2,
        "create_time": NOW,
        "clips": tuple(ClipResult(f"clips/c{i}", f"clip {i}", State.RUNNING) for i in (1, 2)),
    }
    return Evaluation(**{**fields, **changes})


def draft(**changes: Any) -> Draft:
    """A good request."""
    fields: dict[str, Any] = {
        "dataset": "datasets/d",
        "split": Split.TEST,
        "subjects": SUBJECTS,
        "sensor": Sensor("phone"),
    }
    return Draft(**{**fields, **changes})


def completed_search(**changes: Any) -> CompletedSearch:
    """A search that succeeded."""
    fields: dict[str, Any] = {
        "search": "searches/s",
        "trial": "searches/s/trials/t",
        "dataset": "datasets/d",
        "manifest": MANIFEST,
        "prototype": Prototype("classical"),
        "onnx": artifact(1),
        "sensor": Sensor("phone"),
        "seed": 5,
        "frames_per_clip": 24,
        "registration": Registration("models/m", "{}", 300.0, 100.0),
    }
    return CompletedSearch(**{**fields, **changes})


@dataclass
class FakeStore:
    """Evaluations in a dictionary; a transaction that raises leaves no trace."""

    rows: dict[str, Evaluation] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)
    sent: list[Message] = field(default_factory=list)
    taken_once: str = ""  # this key is added by somebody else at the first look
    overtaken_by: Evaluation | None = None  # what somebody else writes before the first lock

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[FakeStore]:
        before = dict(self.rows), dict(self.keys), list(self.sent)
        try:
            yield self
        except BaseException:
            self.rows, self.keys, self.sent = before
            raise

    async def get(self, name: str) -> Evaluation | None:
        return self.rows.get(name)

    async def revision(self, name: str) -> int | None:
        return self.rows[name].revision if name in self.rows else None

    async def lock(self, name: str) -> int | None:
        if self.overtaken_by is not None:
            self.rows[name], self.overtaken_by = self.overtaken_by, None
        return await self.revision(name)

    async def find(self, key: str) -> Evaluation | None:
        if key == self.taken_once:
            self.taken_once = ""
            return None
        return self.rows.get(self.keys.get(key, ""))

    async def add(self, evaluation: Evaluation, key: str | None) -> None:
        if evaluation.name in self.rows or (key and key in self.keys):
            raise AlreadyExistsError(evaluation.name)
        self.rows[evaluation.name] = evaluation
        if key:
            self.keys[key] = evaluation.name

    async def update(self, evaluation: Evaluation, clips: Collection[str]) -> None:
        self.rows[evaluation.name] = evaluation

    async def send(self, message: Message) -> None:
        self.sent.append(message)

    async def list(self, page: PageRequest, search: str) -> Page[Evaluation]:
        return Page(tuple(e for e in self.rows.values() if search in ("", e.search)))


@dataclass
class FakeDatasets:
    """One dataset, ``datasets/d``."""

    splits: dict[Split, list[Entry]] = field(default_factory=lambda: {Split.TEST: [entry(1), entry(2)]})
    gone: bool = False

    async def manifest(self, dataset: str) -> Artifact:
        if dataset != "datasets/d":
            raise NotFoundError(dataset)
        return MANIFEST

    async def entries(self, manifest: Artifact, split: Split) -> Sequence[Entry]:
        if self.gone:
            raise NotFoundError(manifest.uri)
        return self.splits.get(split, [])


@dataclass
class FakeArtifacts:
    """A store with these bytes."""

    stored: set[Artifact] = field(default_factory=lambda: {artifact(1)})

    async def exists(self, artifact: Artifact) -> bool:
        return artifact in self.stored


@dataclass
class FakeVersions:
    """One version, ``models/m/versions/3``."""

    async def onnx(self, name: str) -> Artifact:
        if name != "models/m/versions/3":
            raise NotFoundError(name)
        return artifact(1)


RECORD = artifact(99)


class FakeRecords:
    """Every evaluation has the same record."""

    async def put(self, evaluation: Evaluation) -> Artifact:
        return RECORD


@dataclass
class World:
    """The use cases with fakes around."""

    store: FakeStore = field(default_factory=FakeStore)
    datasets: FakeDatasets = field(default_factory=FakeDatasets)
    artifacts: FakeArtifacts = field(default_factory=FakeArtifacts)

    def __post_init__(self) -> None:
        changes = Changes()
        self.live = LiveFrames(changes)
        self.evaluations = Evaluations(
            self.store,
            self.datasets,
            self.artifacts,
            FakeVersions(),
            FakeRecords(),
            changes,
            self.live,
            lambda: NOW,
        )
        self.watching = Watching(self.store, changes, self.live)
        self.comparing = Comparing(self.store)

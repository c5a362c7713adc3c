"""Stand-ins for the registry's store and the artifact store, and small things to fill them with."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from autoisp_core.artifact import Artifact
from autoisp_core.errors import AlreadyExistsError
from autoisp_core.pagination import Page, PageRequest
from autoisp_registry.domain import Content, Lineage, Model, ModelVersion, Prototype
from autoisp_registry.gate import Clips, Limits, Measured
from autoisp_registry.ports import Message
from autoisp_registry.usecases import EvaluatedNetwork, Models

NOW = datetime(2024, 5, 6, 7, 8, 9, tzinfo=UTC)


def artifact(seed: int = 1, media_type: str = "application/onnx") -> Artifact:
    """Made-up bytes by reference."""
    sha256 = f"{seed:064x}"
    return Artifact(f"blobs/{sha256[:2]}/{sha256}", sha256, 1000 + seed, media_type)


def measured(psnr_db: float = 30.0, seconds: float = 0.01, macs: float | None = 250.0) -> Measured:
    """A subject's totals."""
    return Measured(psnr_db, 0.9, macs, 1234, 5678, seconds)


def network(**changes: Any) -> EvaluatedNetwork:
    """A network that passes its gate."""
    fields: dict[str, Any] = {
        "model": "models/m",
        "onnx": artifact(1),
        "spec": "{}",
        "lineage": Lineage(
            "datasets/d", "searches/s", "searches/s/trials/t", "evaluations/e", Prototype("classical")
        ),
        "measured": measured(),
        "prototype": measured(25.0, seconds=1.5, macs=None),
        "clips": Clips(2, 2),
        "limits": Limits(latency_ratio=100.0),
    }
    return EvaluatedNetwork(**{**fields, **changes})


def content(**changes: Any) -> Content:
    """What a person registers."""
    return Content(**{"onnx": artifact(1), "metrics": {"psnr_model": 31.5}, **changes})


@dataclass
class FakeStore:
    """Models in dictionaries; a transaction that raises leaves no trace."""

    models: dict[str, Model] = field(default_factory=dict)
    versions: dict[tuple[str, int], ModelVersion] = field(default_factory=dict)
    keys: dict[str, ModelVersion] = field(default_factory=dict)
    sent: list[Message] = field(default_factory=list)
    taken_once: str = ""  # this key is added by somebody else at the first look

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[FakeStore]:
        before = dict(self.models), dict(self.versions), dict(self.keys), list(self.sent)
        try:
            yield self
        except BaseException:
            self.models, self.versions, self.keys, self.sent = before
            raise

    async def lock(self, model: str, now: datetime) -> Model:
        return self.models.setdefault(model, Model(model, model, now, now))

    async def lock_existing(self, model: str) -> Model | None:
        return self.models.get(model)

    async def find(self, key: str) -> ModelVersion | None:
        if key == self.taken_once:
            self.taken_once = ""
            return None
        return self.keys.get(key)

    async def add_version(self, version: ModelVersion, key: str | None) -> None:
        if key and key in self.keys:
            raise AlreadyExistsError(version.name)
        self.versions[version.model, version.number] = version
        if key:
            self.keys[key] = version

    async def save(self, model: Model) -> None:
        self.models[model.name] = model

    async def send(self, message: Message) -> None:
        self.sent.append(message)

    async def model(self, name: str) -> Model | None:
        return self.models.get(name)

    async def version(self, model: str, number: int) -> ModelVersion | None:
        return self.versions.get((model, number))

    async def list_models(self, page: PageRequest) -> Page[Model]:
        return Page(tuple(self.models.values()))

    async def list_versions(self, model: str, page: PageRequest) -> Page[ModelVersion]:
        return Page(tuple(v for (name, _), v in self.versions.items() if name == model))


@dataclass
class FakeArtifacts:
    """A store with these bytes, by digest."""

    stored: dict[str, Artifact] = field(default_factory=lambda: {artifact(1).sha256: artifact(1, "")})
    data: dict[str, bytes] = field(default_factory=dict)

    async def exists(self, artifact: Artifact) -> bool:
        return artifact.sha256 in self.stored

    async def find(self, sha256: str) -> Artifact | None:
        return self.stored.get(sha256)

    async def put_file(self, path: Path, media_type: str = "", *, sha256: str = "") -> Artifact:
        raise NotImplementedError("uploads are tested against the real store")

    async def stream(
        self, artifact: Artifact, chunk_bytes: int = 1 << 20, *, offset: int = 0, length: int | None = None
    ) -> AsyncIterator[bytes]:
        end = None if length is None else offset + length
        yield self.data[artifact.sha256][offset:end]


@dataclass
class FakePublisher:
    """Keeps what was published, by name."""

    versions: dict[str, ModelVersion] = field(default_factory=dict)

    async def publish(self, version: ModelVersion) -> None:
        self.versions[version.name] = version

    async def published(self, name: str) -> bool:
        return name in self.versions


@dataclass
class World:
    """The use cases with fakes around."""

    store: FakeStore = field(default_factory=FakeStore)
    artifacts: FakeArtifacts = field(default_factory=FakeArtifacts)
    publisher: FakePublisher = field(default_factory=FakePublisher)

    def __post_init__(self) -> None:
        self.models = Models(self.store, self.artifacts, self.publisher, lambda: NOW)

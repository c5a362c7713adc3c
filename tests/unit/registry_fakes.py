"""Stand-ins for the registry's store and the artifact store, and small things to fill them with."""

from __future__ import annotations

import hashlib
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from copy import copy
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from autoisp_core.artifact import Artifact
from autoisp_core.errors import AlreadyExistsError, AutoISPError, NotFoundError
from autoisp_core.pagination import Page
from autoisp_core.quality import Figures, GateReport, SubjectFigures
from autoisp_registry.audit import FIRST_SHA256, AuditDraft, AuditEntry
from autoisp_registry.bus import RegistryBus
from autoisp_registry.domain import Content, Lineage, Model, ModelVersion, Prototype
from autoisp_registry.filters import Listing
from autoisp_registry.gate import Clips, Limits, Measured
from autoisp_registry.ports import JudgedEvaluation, Message
from autoisp_registry.usecases import (
    Adding,
    Aliases,
    Conversions,
    Deleting,
    Editing,
    EvaluatedNetwork,
    Judgements,
    Judging,
    Models,
    NewVersion,
    Promotion,
    Registering,
    Retention,
    RollingBack,
)

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


def judged(psnr: float, label: str = "mine", report: GateReport | None = None) -> JudgedEvaluation:
    """An evaluation of two frames."""
    subjects = {
        name: SubjectFigures({"psnr": {"clips/a": {0: value, 1: value}}}, {})
        for name, value in ((label, psnr), ("prototype", 25.0))
    }
    return JudgedEvaluation(Figures(subjects, {"clips/a": "a"}, 1), label if report else "", report)


@dataclass
class FakeStore:
    """Models in dictionaries; a transaction that raises leaves no trace."""

    models: dict[str, Model] = field(default_factory=dict)
    versions: dict[tuple[str, int], ModelVersion] = field(default_factory=dict)
    keys: dict[str, ModelVersion] = field(default_factory=dict)
    sent: list[Message] = field(default_factory=list)
    entries: list[AuditEntry] = field(default_factory=list)
    purged: dict[str, int] = field(default_factory=dict)
    serving: dict[str, tuple[str, int]] = field(default_factory=dict)  # channel to what it serves
    taken_once: str = ""  # this key is added by somebody else at the first look

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[FakeStore]:
        names = ("models", "versions", "keys", "sent", "entries", "purged")
        before = {name: copy(getattr(self, name)) for name in names}
        try:
            yield self
        except BaseException:
            vars(self).update(before)
            raise

    async def lock(self, model: str, now: datetime) -> Model:
        new = Model(model, model, now, now, last_number=self.purged.get(model, 0))
        return self.models.setdefault(model, new)

    async def lock_existing(self, model: str) -> Model | None:
        return self.models.get(model)

    async def find(self, key: str) -> ModelVersion | None:
        if key == self.taken_once:
            self.taken_once = ""
            return None
        found = self.keys.get(key)
        return await self.version(found.model, found.number) if found else None

    async def add_version(self, version: ModelVersion, key: str | None) -> None:
        if key and key in self.keys:
            raise AlreadyExistsError(version.name)
        self.versions[version.model, version.number] = version
        if key:
            self.keys[key] = version

    async def save(self, model: Model) -> None:
        self.models[model.name] = model

    async def save_version(self, version: ModelVersion) -> None:
        self.versions[version.model, version.number] = replace(version, aliases=())
        self.keys = {
            key: version if (v.model, v.number) == (version.model, version.number) else v
            for key, v in self.keys.items()
        }

    async def find_onnx(self, model: str, sha256: str) -> int | None:
        same = [
            version.number
            for (name, _), version in self.versions.items()
            if name == model and version.content.onnx.sha256 == sha256 and not version.deleted
        ]
        return min(same, default=None)

    async def newest(self, model: str) -> int:
        live = (number for (name, number), v in self.versions.items() if name == model and not v.deleted)
        return max(live, default=0)

    async def in_use(self, model: str, number: int | None = None) -> list[str]:
        return [
            channel
            for channel, used in self.serving.items()
            if used[0] == model and number in (None, used[1])
        ]

    async def purge_version(self, version: ModelVersion) -> None:
        del self.versions[version.model, version.number]
        self.keys = {key: v for key, v in self.keys.items() if v.name != version.name}

    async def purge_model(self, model: Model) -> None:
        del self.models[model.name]
        self.versions = {key: version for key, version in self.versions.items() if key[0] != model.name}
        self.purged[model.name] = model.last_number

    async def record(self, draft: AuditDraft, now: datetime) -> AuditEntry:
        if draft.key and any(entry.draft.key == draft.key for entry in self.entries):
            raise AlreadyExistsError(draft.resource)
        sequence = len(self.entries) + 1
        entry = AuditEntry(sequence, now, draft, FIRST_SHA256, f"{sequence:064x}")
        self.entries.append(entry)
        return entry

    async def send(self, message: Message) -> None:
        self.sent.append(message)

    async def find_entry(self, key: str) -> AuditEntry | None:
        return next((entry for entry in self.entries if entry.draft.key == key), None)

    async def purgeable_models(self, now: datetime, limit: int) -> list[str]:
        due = [model.name for model in self.models.values() if model.purge_time and model.purge_time <= now]
        return due[:limit]

    async def purgeable_versions(self, now: datetime, limit: int) -> list[tuple[str, int]]:
        return [key for key, v in self.versions.items() if v.purge_time and v.purge_time <= now][:limit]

    async def model(self, name: str) -> Model | None:
        return self.models.get(name)

    async def version(self, model: str, number: int) -> ModelVersion | None:
        found = self.versions.get((model, number))
        return replace(found, aliases=self.models[model].aliases_of(number)) if found else None

    async def find_models(self, listing: Listing) -> Page[Model]:
        return Page(tuple(one for one in self.models.values() if listing.show_deleted or not one.deleted))

    async def find_versions(self, listing: Listing) -> Page[ModelVersion]:
        found = (v for (name, _), v in self.versions.items() if name == listing.model)
        return Page(tuple(version for version in found if listing.show_deleted or not version.deleted))


@dataclass
class FakeArtifacts:
    """A store with these bytes, by digest."""

    stored: dict[str, Artifact] = field(default_factory=lambda: {artifact(1).sha256: artifact(1, "")})
    data: dict[str, bytes] = field(default_factory=dict)

    async def exists(self, artifact: Artifact) -> bool:
        return artifact.sha256 in self.stored

    async def find(self, sha256: str) -> Artifact | None:
        return self.stored.get(sha256)

    async def put_bytes(self, data: bytes, media_type: str = "") -> Artifact:
        sha256 = hashlib.sha256(data).hexdigest()
        made = Artifact(f"blobs/{sha256[:2]}/{sha256}", sha256, len(data), media_type)
        self.stored[sha256], self.data[sha256] = made, data
        return made

    async def get_bytes(self, artifact: Artifact) -> bytes:
        if artifact.sha256 not in self.data:
            raise NotFoundError(artifact.uri)
        return self.data[artifact.sha256]

    async def put_file(self, path: Path, media_type: str = "", *, sha256: str = "") -> Artifact:
        raise NotImplementedError("uploads are tested against the real store")

    async def stream(
        self,
        artifact: Artifact,
        chunk_bytes: int = 1 << 20,
        *,
        offset: int = 0,
        length: int | None = None,
        recheck: bool = True,
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

    async def withdraw(self, name: str) -> None:
        self.versions.pop(name, None)


@dataclass
class FakeChecker:
    """Refuses these digests."""

    bad: dict[str, AutoISPError] = field(default_factory=dict)

    async def check(self, onnx: Artifact, field: str) -> None:
        if onnx.sha256 in self.bad:
            raise self.bad[onnx.sha256]


@dataclass
class FakeDatasets:
    """Manifests by dataset."""

    manifests: dict[str, Artifact] = field(default_factory=lambda: {"datasets/d": artifact(70)})

    async def manifest(self, dataset: str) -> Artifact:
        if dataset not in self.manifests:
            raise NotFoundError(dataset)
        return self.manifests[dataset]


@dataclass
class FakeRecords:
    """Evaluations by the digest of their records."""

    judged: dict[str, JudgedEvaluation] = field(default_factory=dict)

    async def read(self, record: Artifact) -> JudgedEvaluation:
        if record.sha256 not in self.judged:
            raise NotFoundError(record.uri)
        return self.judged[record.sha256]


@dataclass
class FakeSigner:
    """Signs if told to; says what was signed."""

    signing: bool = False
    signed: list[ModelVersion] = field(default_factory=list)

    async def sign(self, version: ModelVersion) -> Artifact | None:
        self.signed.append(version)
        return artifact(800 + len(self.signed)) if self.signing else None


@dataclass
class World:
    """The use cases with fakes around; ``now`` may be moved."""

    store: FakeStore = field(default_factory=FakeStore)
    artifacts: FakeArtifacts = field(default_factory=FakeArtifacts)
    publisher: FakePublisher = field(default_factory=FakePublisher)
    checker: FakeChecker = field(default_factory=FakeChecker)
    datasets: FakeDatasets = field(default_factory=FakeDatasets)
    records: FakeRecords = field(default_factory=FakeRecords)
    signer: FakeSigner = field(default_factory=FakeSigner)
    convert: bool = True
    now: datetime = NOW

    def __post_init__(self) -> None:
        def now() -> datetime:
            return self.now

        self.models = Models(self.store)
        adding = Adding(self.store, self.publisher, self.signer, convert=self.convert, now=now)
        judging = Judging(self.records)
        self.registering = Registering(
            self.store, adding, self.artifacts, self.datasets, self.checker, judging, now
        )
        self.editing = Editing(self.store, now)
        self.deleting = Deleting(self.store, timedelta(days=30), now)
        self.retention = Retention(self.store, self.publisher, now)
        self.aliases = Aliases(self.store, now)
        self.promotion = Promotion(self.store, self.models, judging, now)
        self.rolling_back = RollingBack(self.store, self.models, now)
        self.judgements = Judgements(self.store, now)
        self.conversions = Conversions(self.store, self.datasets, self.signer, enabled=self.convert, now=now)
        self.bus = RegistryBus(self.registering, self.judgements, self.conversions, self.artifacts)

    async def register(self, model: str = "models/m", seed: int | None = None, **more: Any) -> ModelVersion:
        """Register by hand, by default a file that no version has."""
        number = seed or 100 + len(self.store.versions)
        onnx = artifact(number)
        self.artifacts.stored.setdefault(onnx.sha256, replace(onnx, media_type=""))
        request_id = more.pop("request_id", "")
        new = NewVersion(content(onnx=onnx, **more))
        return await self.registering.register(model, new, request_id, "ann")

    async def filled(self, count: int, model: str = "models/m") -> None:
        """Register so many versions."""
        for _ in range(count):
            await self.register(model)

    def actions(self) -> list[str]:
        """What the audit log says was done, refusals in brackets."""
        drafts = (entry.draft for entry in self.store.entries)
        return [f"({draft.action})" if draft.refused else draft.action for draft in drafts]

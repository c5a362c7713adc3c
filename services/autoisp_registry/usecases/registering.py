"""Registering versions: by hand, and what searches found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

import structlog
from autoisp_core import names
from autoisp_core.artifact import Artifact
from autoisp_core.errors import AlreadyExistsError, NotFoundError

from autoisp_registry import gate, validation
from autoisp_registry.audit import REGISTRY, AuditDraft
from autoisp_registry.domain import (
    CANDIDATE,
    CHAMPION,
    Content,
    Conversion,
    Evidence,
    Lineage,
    Model,
    ModelVersion,
    as_registered,
)
from autoisp_registry.ports import (
    Artifacts,
    ConvertVersion,
    Datasets,
    GraphChecker,
    Publisher,
    Signer,
    Store,
    Transaction,
    VersionRegistered,
)
from autoisp_registry.usecases.locking import live_model
from autoisp_registry.usecases.networks import EvaluatedNetwork, NewVersion
from autoisp_registry.usecases.telling import announce_alias, tell

_log = structlog.get_logger(__name__)

ONNX_MEDIA_TYPE = "application/onnx"
_FRAMES_PER_CLIP = 24
_MODEL_LABEL = "model"
_FRAMES_PER_CLIP = 24  # that formats are judged on where no evaluation says how many


class Registering:
    """The use cases that make versions. One instance serves all callers of a process.

    Args:
        store: keeps models.
        artifacts: knows which bytes exist.
        publisher: tells other services of versions.
        datasets: knows the manifests of datasets.
        checker: looks into graphs.
        signer: signs versions.
        convert: whether workers are to make edge formats.
        now: the clock, in UTC.
    """

    def __init__(
        self,
        store: Store,
        artifacts: Artifacts,
        publisher: Publisher,
        datasets: Datasets,
        checker: GraphChecker,
        signer: Signer,
        *,
        convert: bool = True,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._store = store
        self._artifacts = artifacts
        self._publisher = publisher
        self._datasets = datasets
        self._checker = checker
        self._signer = signer
        self._convert = convert
        self._now = now

    async def register(self, parent: str, new: NewVersion, request_id: str, actor: str) -> ModelVersion:
        """Register a network that was made elsewhere; the model is created with its first version.

        Args:
            parent: ``models/{m}``.
            request_id: the same one again returns the version that it registered.

        Raises:
            InvalidArgumentError: a field is wrong, or the file is no network.
            NotFoundError: a file is not in the store, or the model is deleted.
            AlreadyExistsError: a version of the model has the same file.
            ResourceExhaustedError: the file is too large.
        """
        names.MODEL.parse(parent, "parent")
        validation.validate_request_id(request_id)
        key = f"request/{request_id}" if request_id else None
        if key and (existing := await self._store.find(key)):
            return existing
        validation.validate_content(new.content)
        validation.validate_description(new.description, "model_version.description")
        validation.validate_tags(new.tags, "model_version.tags")
        stored = await self._stored(new.content.onnx, "model_version.onnx")
        validation.validate_stored(new.content.onnx, stored)
        await self._checker.check(stored, "model_version.onnx")
        content = replace(
            new.content,
            onnx=replace(stored, media_type=new.content.onnx.media_type or ONNX_MEDIA_TYPE),
            lineage=await self._with_manifest(new.content.lineage),
            # The gate is the registry's own judgement of an evaluation; nobody registers one.
            gate=None,
        )
        draft = AuditDraft(actor, "version.register", parent, "registered by hand", request_id=request_id)
        version = ModelVersion(
            parent,
            0,
            content,
            self._now(),
            new.description,
            new.tags,
            formats=(as_registered(content),),
            conversion=Conversion(frames_per_clip=_FRAMES_PER_CLIP),
        )
        return await self._add(version, key, draft, unique=True)

    async def register_evaluated(self, network: EvaluatedNetwork) -> ModelVersion:
        """Register what a search found: always ``candidate``, ``champion`` too if it passed. Idempotent.

        Raises:
            NotFoundError: its ONNX file is gone, or the model is deleted.
        """
        lineage = network.lineage
        key = f"evaluation/{lineage.evaluation}"
        if existing := await self._store.find(key):
            return existing
        await self._stored(network.onnx, "evaluation.subjects.onnx")
        metrics = gate.metrics_of(network.measured, network.prototype)
        result = gate.check(metrics, network.clips, network.limits, network.own_gate)
        content = Content(network.onnx, metrics, lineage, network.spec, result, network.cost, network.sensor)
        now = self._now()
        version = ModelVersion(
            network.model,
            0,
            content,
            now,
            evidence=(Evidence(lineage.evaluation, _MODEL_LABEL, network.record, now),)
            if network.record
            else (),
            formats=(as_registered(content),),
            conversion=Conversion(seed=network.seed, frames_per_clip=network.frames_per_clip),
        )
        draft = AuditDraft(
            REGISTRY,
            "version.register",
            network.model,
            f"found by {lineage.search or 'a search'}",
            evaluation=lineage.evaluation,
            evidence_sha256=network.record.sha256 if network.record else "",
            checks=result.checks,
        )
        aliases = (CANDIDATE, CHAMPION) if result.passed else (CANDIDATE,)
        return await self._add(version, key, draft, aliases=aliases)

    async def _add(
        self,
        version: ModelVersion,
        key: str | None,
        draft: AuditDraft,
        *,
        aliases: tuple[str, ...] = (),
        unique: bool = False,
    ) -> ModelVersion:
        try:
            async with self._store.transaction() as transaction:
                version = await self._added(transaction, version, key, draft, aliases, unique)
        except AlreadyExistsError:
            # Perhaps the same request or event, a moment earlier: nothing of this transaction was written.
            existing = await self._store.find(key) if key else None
            if existing is None:
                raise
            return existing
        _log.info("version registered", version=version.name, aliases=aliases)
        return version

    async def _added(
        self,
        transaction: Transaction,
        version: ModelVersion,
        key: str | None,
        draft: AuditDraft,
        aliases: tuple[str, ...],
        unique: bool,
    ) -> ModelVersion:
        now = self._now()
        before = live_model(await transaction.lock(version.model, now), version.model, "parent")
        model = before.with_version(now)
        version = replace(version, number=model.latest_version, create_time=now)
        if unique:
            await _require_new(transaction, version)
        conversion = version.conversion
        if self._convert:
            version = replace(version, conversion=conversion.again(version.name, now))
        version = replace(version, signed_manifest=await self._signer.sign(version))
        await transaction.add_version(version, key)
        await transaction.send(VersionRegistered(version))
        if self._convert:
            await transaction.send(ConvertVersion(version, version.content.lineage.manifest))
        for alias in aliases:
            model = model.with_alias(alias, version.number, now)
            await announce_alias(transaction, model, alias)
        await transaction.save(model)
        # Before anybody can know of it, while the number is nobody else's. If nothing comes of the
        # transaction, the next version of this number takes its place.
        await self._publisher.publish(version)
        await tell(transaction, replace(draft, resource=version.name), model, now)
        for alias in aliases:
            await tell(transaction, _alias_draft(draft, before, version, alias), model, now)
        return replace(version, aliases=model.aliases_of(version.number))

    async def _with_manifest(self, lineage: Lineage) -> Lineage:
        """With the manifest of its dataset, if there is one: of datasets elsewhere nothing is known here."""
        if lineage.manifest is not None:
            await self._stored(lineage.manifest, "model_version.lineage.manifest")
            return lineage
        if not lineage.dataset:
            return lineage
        try:
            return replace(lineage, manifest=await self._datasets.manifest(lineage.dataset))
        except NotFoundError:
            return lineage

    async def _stored(self, artifact: Artifact, field: str) -> Artifact:
        stored = await self._artifacts.find(artifact.sha256)
        if stored is None:
            raise NotFoundError(
                artifact.uri,
                f"the file {artifact.sha256[:12]}… is not in the artifact store; send it with UploadArtifact "
                "first",
                reason="NO_ARTIFACT",
                metadata={"field": field},
            )
        return stored


async def _require_new(transaction: Transaction, version: ModelVersion) -> None:
    sha256 = version.content.onnx.sha256
    number = await transaction.find_onnx(version.model, sha256)
    if number is not None:
        name = f"{version.model}/versions/{number}"
        raise AlreadyExistsError(
            name,
            f"{name} has the file {sha256[:12]}… already; use that version, or delete it first",
            reason="SAME_FILE",
        )


def _alias_draft(draft: AuditDraft, before: Model, version: ModelVersion, alias: str) -> AuditDraft:
    details = {"alias": alias, "from": str(before.aliases.get(alias, "")), "to": str(version.number)}
    if alias == CHAMPION:
        summary = f"{alias} is {version.number}: it passed its gate"
        return replace(
            draft, action="version.promote", resource=version.name, summary=summary, details=details
        )
    return AuditDraft(draft.actor, "alias.set", version.name, f"{alias} is {version.number}", details)

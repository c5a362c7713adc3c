"""Registering versions: by hand, and what searches found."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime

from autoisp_core import names
from autoisp_core.artifact import Artifact
from autoisp_core.errors import DataLossError, NotFoundError

from autoisp_registry import gate, validation
from autoisp_registry.audit import REGISTRY, AuditDraft
from autoisp_registry.domain import Content, Conversion, Evidence, Lineage, ModelVersion, as_registered
from autoisp_registry.ports import Artifacts, Datasets, GraphChecker, Store
from autoisp_registry.usecases.adding import Adding, NewNumber
from autoisp_registry.usecases.judging import Judging
from autoisp_registry.usecases.networks import EvaluatedNetwork, NewVersion

ONNX_MEDIA_TYPE = "application/onnx"
_MODEL_LABEL = "model"
_FRAMES_PER_CLIP = 24  # that formats are judged on where no evaluation says how many


class Registering:
    """The use cases that make versions. One instance serves all callers of a process.

    Args:
        store: keeps models.
        adding: adds versions to them.
        artifacts: knows which bytes exist.
        datasets: knows the manifests of datasets.
        checker: looks into graphs.
        judging: runs the gates of models.
        now: the clock, in UTC.
    """

    def __init__(
        self,
        store: Store,
        adding: Adding,
        artifacts: Artifacts,
        datasets: Datasets,
        checker: GraphChecker,
        judging: Judging,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._store = store
        self._adding = adding
        self._artifacts = artifacts
        self._datasets = datasets
        self._checker = checker
        self._judging = judging
        self._now = now

    async def register(self, parent: str, new: NewVersion, request_id: str, actor: str) -> ModelVersion:
        """Register a network that was made elsewhere; the model is created with its first version.

        Args:
            parent: ``models/{m}``.
            request_id: the same one again returns the version that it registered.

        Raises:
            InvalidArgumentError: a field is wrong, the file is no network, or the request_id registered
                another one.
            NotFoundError: a file is not in the store, or the model is deleted.
            AlreadyExistsError: a version of the model has the same file.
            ResourceExhaustedError: the file is too large.
        """
        names.MODEL.parse(parent, "parent")
        validation.validate_request_id(request_id)
        key = f"request/{request_id}" if request_id else None
        if existing := await self._adding.find(key, parent, new.content.onnx.sha256):
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
        return await self._adding.add(NewNumber(version, key, draft))

    async def register_evaluated(self, network: EvaluatedNetwork) -> ModelVersion:
        """Register what a search found: ``candidate``, and ``champion`` too if it passed. Idempotent.

        What it has to pass is the gate of its search and evaluation, and the model's ``promotion_gate``.

        Raises:
            NotFoundError: its ONNX file is gone, or the model is deleted.
        """
        lineage = network.lineage
        key = f"evaluation/{lineage.evaluation}"
        if existing := await self._adding.find(key, network.model, network.onnx.sha256):
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
            conversion=Conversion(
                seed=network.seed,
                frames_per_clip=min(network.frames_per_clip or _FRAMES_PER_CLIP, _FRAMES_PER_CLIP),
            ),
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
        passed = await self._passed(version) if result.passed else None
        return await self._adding.add(NewNumber(version, key, draft, passed))

    async def _passed(self, version: ModelVersion) -> str | None:
        """The model's gate, if it lets the version through; empty if it has none."""
        model = await self._store.model(version.model)
        if model is None or not model.promotion_gate:
            return ""
        try:
            verdict = await self._judging.judge(model, version, "", "")
        except (NotFoundError, DataLossError):
            return None  # without evidence that can be read, somebody has to look
        return model.promotion_gate if verdict.gate.passed else None

    async def _with_manifest(self, lineage: Lineage) -> Lineage:
        """With the manifest of its dataset, if there is one: of datasets elsewhere nothing is known here."""
        if lineage.manifest is not None:
            stored = await self._stored(lineage.manifest, "model_version.lineage.manifest")
            # Whoever registers may be wrong about all but the digest.
            return replace(lineage, manifest=replace(stored, media_type=lineage.manifest.media_type))
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

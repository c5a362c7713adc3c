"""Registering versions, pointing aliases at them, and finding both."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, datetime

import structlog
from autoisp_core import names
from autoisp_core.artifact import Artifact
from autoisp_core.errors import AlreadyExistsError, NotFoundError

from autoisp_registry import gate, validation
from autoisp_registry.domain import CANDIDATE, CHAMPION, Content, GateResult, Lineage, Model, ModelVersion
from autoisp_registry.ports import (
    Artifacts,
    Publisher,
    Store,
    Transaction,
    VersionPromoted,
    VersionRegistered,
)

_log = structlog.get_logger(__name__)

ONNX_MEDIA_TYPE = "application/onnx"


@dataclass(frozen=True)
class EvaluatedNetwork:
    """A network that a search found and an evaluation judged.

    Args:
        model: ``models/{m}``, where it is to be registered.
        measured, prototype: totals of both; no prototype means that it was not judged.
        clips: what the totals are of.
        limits: what the gate checks.
        own_gate: what the evaluation's own gate said; None if it had none.
    """

    model: str
    onnx: Artifact
    spec: str
    lineage: Lineage
    measured: gate.Measured
    prototype: gate.Measured | None
    clips: gate.Clips
    limits: gate.Limits
    own_gate: GateResult | None = None


class Models:
    """The use cases about models. One instance serves all callers of a process.

    Args:
        store: keeps models.
        artifacts: knows which bytes exist.
        publisher: tells other services of versions.
        now: the clock, in UTC.
    """

    def __init__(
        self,
        store: Store,
        artifacts: Artifacts,
        publisher: Publisher,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._store = store
        self._artifacts = artifacts
        self._publisher = publisher
        self._now = now

    async def register(self, parent: str, content: Content, request_id: str = "") -> ModelVersion:
        """Register a network that was made elsewhere; the model is created with its first version.

        Args:
            parent: ``models/{m}``.
            request_id: the same one again returns the version that it registered.

        Raises:
            InvalidArgumentError: a field is wrong.
            NotFoundError: the ONNX file is not in the store.
        """
        names.MODEL.parse(parent, "parent")
        validation.validate_request_id(request_id)
        key = f"request/{request_id}" if request_id else None
        if key and (existing := await self._store.find(key)):
            return existing
        validation.validate_content(content)
        stored = await self._stored(content.onnx, "model_version.onnx")
        validation.validate_stored(content.onnx, stored)
        onnx = replace(stored, media_type=content.onnx.media_type or ONNX_MEDIA_TYPE)
        # The gate is the registry's own judgement of an evaluation; nobody registers one.
        return await self._add(parent, replace(content, onnx=onnx, gate=None), key, promote=False)

    async def register_evaluated(self, network: EvaluatedNetwork) -> ModelVersion:
        """Register what a search found: always ``candidate``, ``champion`` too if it passed. Idempotent.

        Raises:
            NotFoundError: its ONNX file is gone.
        """
        key = f"evaluation/{network.lineage.evaluation}"
        if existing := await self._store.find(key):
            return existing
        await self._stored(network.onnx, "evaluation.subjects.onnx")
        metrics = gate.metrics_of(network.measured, network.prototype)
        result = gate.check(metrics, network.clips, network.limits, network.own_gate)
        content = Content(network.onnx, metrics, network.lineage, network.spec, result)
        return await self._add(network.model, content, key, promote=True)

    async def set_alias(self, model: str, alias: str, number: int, etag: str = "") -> Model:
        """Point ``alias`` at a version; pointing it where it points already changes nothing.

        Args:
            etag: if given, the model's etag that the caller saw.

        Raises:
            InvalidArgumentError: the model's name or the alias has a wrong form.
            NotFoundError: there is no such model or version.
            AbortedError: the model changed since the caller saw ``etag``.
        """
        names.MODEL.parse(model, "model")
        validation.validate_alias(alias)
        async with self._store.transaction() as transaction:
            current = await transaction.lock_existing(model)
            if current is None:
                raise NotFoundError(model, metadata={"field": "model"})
            current.require_etag(etag)
            if not 1 <= number <= current.latest_version:
                raise NotFoundError(
                    f"{model}/versions/{number}",
                    f"{model} has no version {number}; its versions are 1 to {current.latest_version}",
                    metadata={"field": "version"},
                )
            return await self._promote(transaction, current, current, [alias], number)

    async def get_model(self, name: str) -> Model:
        """The model.

        Raises:
            InvalidArgumentError: the name has another form.
            NotFoundError: there is none.
        """
        names.MODEL.parse(name)
        return await self._model(name)

    async def get_version(self, name: str) -> ModelVersion:
        """The version ``models/{m}/versions/{v}``, where ``{v}`` is a number, an alias, or ``latest``.

        Raises:
            InvalidArgumentError: the name has another form.
            NotFoundError: there is no such model or version.
        """
        model_id, asked = names.MODEL_VERSION.parse(name)
        model = await self._model(names.model_name(model_id))
        number = model.resolve(asked)
        version = await self._store.version(model.name, number) if number is not None else None
        if version is None:
            aliases = ", ".join(sorted(model.aliases)) or "none"
            raise NotFoundError(
                name,
                f"{model.name} has no version {asked!r}; it has 1 to {model.latest_version}, and the aliases "
                f"{aliases}",
            )
        return version

    async def _add(self, model: str, content: Content, key: str | None, *, promote: bool) -> ModelVersion:
        try:
            async with self._store.transaction() as transaction:
                before = await transaction.lock(model, self._now())
                after = before.with_version(self._now())
                version = ModelVersion(model, after.latest_version, content, self._now())
                await transaction.add_version(version, key)
                await transaction.send(VersionRegistered(version))
                passed = content.gate is not None and content.gate.passed
                aliases = [CANDIDATE, *([CHAMPION] if passed else [])] if promote else []
                await self._promote(transaction, before, after, aliases, version.number)
                # Before anybody can know of it, while the number is nobody else's. If nothing comes of the
                # transaction, the next version of this number takes its place.
                await self._publisher.publish(version)
        except AlreadyExistsError:
            # The same request or event, a moment earlier: nothing of this transaction was written.
            existing = await self._store.find(key) if key else None
            if existing is None:
                raise
            return existing
        _log.info("version registered", version=version.name, aliases=aliases)
        return version

    async def _promote(
        self, transaction: Transaction, stored: Model, model: Model, aliases: list[str], number: int
    ) -> Model:
        for alias in aliases:
            after = model.with_alias(alias, number, self._now())
            if after is not model:
                await transaction.send(VersionPromoted(model.name, number, alias, after.revision))
            model = after
        if model is not stored:
            await transaction.save(model)
        return model

    async def _stored(self, artifact: Artifact, field: str) -> Artifact:
        stored = await self._artifacts.find(artifact.sha256)
        if stored is None:
            raise NotFoundError(
                artifact.uri,
                f"the ONNX file {artifact.sha256[:12]}… is not in the artifact store; send it with "
                "UploadArtifact first",
                reason="NO_ARTIFACT",
                metadata={"field": field},
            )
        return stored

    async def _model(self, name: str) -> Model:
        model = await self._store.model(name)
        if model is None:
            raise NotFoundError(name)
        return model

"""Having edge formats made, and taking them in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from datetime import UTC, datetime

import structlog
from autoisp_core import names
from autoisp_core.artifact import Artifact
from autoisp_core.errors import FailedPreconditionError, NotFoundError

from autoisp_registry import validation
from autoisp_registry.audit import REGISTRY, AuditDraft
from autoisp_registry.domain import ConversionState, EdgeFormat, Failure, Lineage, ModelVersion
from autoisp_registry.ports import ConvertVersion, Datasets, Signer, Store
from autoisp_registry.usecases.locking import lock_live, locked_version
from autoisp_registry.usecases.telling import tell

_log = structlog.get_logger(__name__)


class Conversions:
    """The use cases of edge formats.

    Args:
        store: keeps models.
        datasets: knows the manifests of datasets.
        signer: signs versions.
        enabled: whether there is anybody who converts.
        now: the clock, in UTC.
    """

    def __init__(
        self,
        store: Store,
        datasets: Datasets,
        signer: Signer,
        *,
        enabled: bool = True,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._store = store
        self._datasets = datasets
        self._signer = signer
        self._enabled = enabled
        self._now = now

    async def ask(self, name: str, formats: Sequence[str], dataset: str, actor: str) -> ModelVersion:
        """Have formats made again.

        Args:
            name: ``models/{m}/versions/{v}``, by number.
            formats: empty for all.
            dataset: ``datasets/{d}``; empty: that of the lineage.

        Raises:
            InvalidArgumentError: a field is wrong.
            NotFoundError: there is no such version or dataset.
            FailedPreconditionError: somebody works at it, or nobody converts here.
        """
        model_name, number = validation.version_number(name)
        validation.validate_formats(formats)
        if dataset:
            names.DATASET.parse(dataset, "dataset")
        if not self._enabled:
            raise FailedPreconditionError(
                "this registry has no formats made: start it with AUTOISP_CONVERT=true",
                reason="CONVERSION_DISABLED",
            )
        found = await self._store.version(model_name, number)
        manifest = await self._manifest(dataset, found.content.lineage if found else Lineage())
        async with self._store.transaction() as transaction:
            model = await lock_live(transaction, model_name)
            before = await locked_version(transaction, model, number, "name")
            now = self._now()
            if not before.conversion.may_ask(now):
                raise FailedPreconditionError(
                    f"{name} is being converted since {before.conversion.asked:%Y-%m-%d %H:%M} UTC; wait for "
                    "that, or ask again an hour after",
                    reason="CONVERSION_RUNNING",
                    metadata={"resource": name},
                )
            after = before.changed(conversion=before.conversion.again(name, now))
            await transaction.save_version(after)
            await transaction.send(ConvertVersion(after, manifest, tuple(formats)))
            wanted = ", ".join(formats) or "all"
            draft = AuditDraft(
                actor, "version.convert", name, f"asked for formats: {wanted}", {"formats": wanted}
            )
            await tell(transaction, draft, model, now)
        return after

    async def converted(self, name: str, conversion_id: str, made: Sequence[EdgeFormat] | Failure) -> None:
        """Take in what came of a conversion, and sign it. Idempotent; answers to earlier requests are late.

        Raises:
            InvalidArgumentError: the name has another form.
        """
        model_name, number = validation.version_number(name, "model_version")
        found = await self._store.version(model_name, number)
        if found is None or not _awaits(found, conversion_id):
            _log.info("late formats", version=name, conversion=conversion_id)
            return
        signed = found.signed_manifest
        if not isinstance(made, Failure):
            signed = await self._signer.sign(found.with_formats(made))
        async with self._store.transaction() as transaction:
            model = await transaction.lock_existing(model_name)
            before = await transaction.version(model_name, number) if model else None
            if model is None or before is None or not _awaits(before, conversion_id):
                return
            if isinstance(made, Failure):
                failed = replace(before.conversion, state=ConversionState.FAILED, failure=made)
                after, summary = before.changed(conversion=failed), f"no formats: {made.message[:500]}"
            else:
                after = replace(before.with_formats(made), signed_manifest=signed)
                summary = f"formats: {', '.join(form.format for form in after.formats if form.artifact)}"
            await transaction.save_version(after)
            draft = AuditDraft(REGISTRY, "version.converted", name, summary)
            await tell(transaction, draft, model, self._now())
        _log.info("version converted", version=name, state=after.conversion.state.value)

    async def _manifest(self, dataset: str, lineage: Lineage) -> Artifact | None:
        if not dataset and (lineage.manifest or not lineage.dataset):
            return lineage.manifest
        try:
            return await self._datasets.manifest(dataset or lineage.dataset)
        except NotFoundError as error:
            if not dataset:
                return None
            raise NotFoundError(dataset, error.message, metadata={"field": "dataset"}) from error


def _awaits(version: ModelVersion, conversion_id: str) -> bool:
    conversion = version.conversion
    return conversion.state is ConversionState.RUNNING and conversion.conversion_id == conversion_id

"""Telling of one version: its lineage and its card."""

from __future__ import annotations

from autoisp_core.artifact import Artifact
from autoisp_core.errors import DataLossError, NotFoundError

from autoisp_registry.card import model_card
from autoisp_registry.domain import Evidence, ModelVersion
from autoisp_registry.lineage import Footage, Judgement, LineageGraph, Origins, Provenance, trace
from autoisp_registry.usecases.models import Models


class Describing:
    """The use cases of lineage and cards.

    Args:
        models: resolves names.
        origins: reads what a version's references lead to.
    """

    def __init__(self, models: Models, origins: Origins) -> None:
        self._models = models
        self._origins = origins

    async def lineage(self, name: str) -> LineageGraph:
        """Where ``models/{m}/versions/{v}`` came from; what is missing is in it as missing.

        Raises:
            InvalidArgumentError: the name has another form.
            NotFoundError: there is no such version.
            UnavailableError: the artifact store is away.
        """
        return trace(await self._provenance(name))

    async def card(self, name: str) -> tuple[str, str]:
        """The version's name by number, and its card as Markdown.

        Raises:
            InvalidArgumentError, NotFoundError, UnavailableError: as :meth:`lineage`.
        """
        provenance = await self._provenance(name)
        return provenance.version.name, model_card(provenance)

    async def _provenance(self, name: str) -> Provenance:
        model, version = await self._models.get_both(name)
        judgements = [(evidence, await self._judgement(evidence)) for evidence in version.evidence]
        files = [file for file in _files(version) if not await self._origins.present(file)]
        return Provenance(
            model,
            version,
            await self._footage(version.content.lineage.manifest),
            tuple(judgements),
            frozenset(file.sha256 for file in files),
        )

    async def _footage(self, manifest: Artifact | None) -> tuple[Footage, ...] | str:
        if manifest is None:
            return "the dataset's manifest is not known"
        try:
            return tuple(await self._origins.footage(manifest))
        except (NotFoundError, DataLossError) as error:
            return error.message

    async def _judgement(self, evidence: Evidence) -> Judgement | str:
        try:
            return await self._origins.judgement(evidence.record)
        except (NotFoundError, DataLossError) as error:
            return error.message


def _files(version: ModelVersion) -> list[Artifact]:
    prototype = version.content.lineage.prototype
    files = (
        version.content.onnx,
        prototype.onnx if prototype else None,
        version.signed_manifest,
        *(made.artifact for made in version.formats),
    )
    return [file for file in files if file is not None]

"""Reads from the artifact store what ingest leaves there of datasets."""

from __future__ import annotations

from autoisp.ingest.v1 import ingest_pb2
from autoisp_core import names
from autoisp_core.artifact import Artifact
from autoisp_core.errors import DataLossError, InvalidArgumentError, NotFoundError
from autoisp_runtime.async_artifacts import AsyncArtifactStore
from google.protobuf.message import DecodeError

from autoisp_registry import wire


class StoredDatasets:
    """Datasets under the keyed results ``datasets/{d}``."""

    def __init__(self, artifacts: AsyncArtifactStore) -> None:
        self._artifacts = artifacts

    async def manifest(self, dataset: str) -> Artifact:
        """See :class:`autoisp_registry.ports.Datasets`."""
        data = await self._artifacts.get_result(f"datasets/{names.id_of(dataset)}")
        if data is None:
            raise NotFoundError(dataset)
        try:
            return wire.artifact_from(ingest_pb2.Dataset.FromString(data).manifest, "dataset.manifest")
        except (DecodeError, InvalidArgumentError) as error:
            raise DataLossError(f"what is stored of {dataset} can't be read; create it again") from error

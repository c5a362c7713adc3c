"""Datasets, as the ingest service leaves them in the artifact store."""

from __future__ import annotations

from autoisp.ingest.v1 import ingest_pb2
from autoisp_core.artifact import Artifact
from autoisp_core.errors import DataLossError
from autoisp_runtime.async_artifacts import AsyncArtifactStore
from google.protobuf.message import DecodeError

from autoisp_search.domain.dataset import DatasetInfo
from autoisp_search.wire.common import artifact_from


class StoredDatasets:
    """Reads ``datasets/<id>``: control services ask each other nothing, so ingest may be down."""

    def __init__(self, artifacts: AsyncArtifactStore) -> None:
        self._artifacts = artifacts

    async def find(self, name: str) -> DatasetInfo | None:
        """See :class:`autoisp_search.usecases.ports.Datasets`.

        Raises:
            DataLossError: what is stored is no dataset.
        """
        data = await self._artifacts.get_result(name)
        if data is None:
            return None
        try:
            dataset = ingest_pb2.Dataset.FromString(data)
            artifact = artifact_from(dataset.manifest, "dataset.manifest")
            manifest = ingest_pb2.DatasetManifest.FromString(await self._artifacts.get_bytes(artifact))
        except DecodeError as error:
            raise DataLossError(
                f"{name} is damaged in the artifact store: {error}; create it again"
            ) from error

        frames: dict[int, list[int]] = {}
        for entry in manifest.entries:
            frames.setdefault(entry.split, []).append(entry.end_frame - entry.first_frame)
        splits = (ingest_pb2.SPLIT_TRAIN, ingest_pb2.SPLIT_VALIDATION, ingest_pb2.SPLIT_TEST)
        return DatasetInfo(artifact, *(tuple(frames.get(split, ())) for split in splits))

    async def has(self, artifact: Artifact) -> bool:
        """See the port."""
        return await self._artifacts.exists(artifact)

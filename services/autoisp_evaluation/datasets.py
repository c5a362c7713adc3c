"""Reads datasets from the artifact store, where ingest leaves them for everybody."""

from __future__ import annotations

from collections.abc import Sequence

from autoisp.ingest.v1 import ingest_pb2
from autoisp_core import names
from autoisp_core.artifact import Artifact
from autoisp_core.errors import DataLossError, NotFoundError
from autoisp_runtime.async_artifacts import AsyncArtifactStore
from google.protobuf.message import DecodeError

from autoisp_evaluation import wire
from autoisp_evaluation.domain import Entry, Split


class StoredDatasets:
    """Datasets under the keyed results ``datasets/{d}``; manifests as artifacts."""

    def __init__(self, store: AsyncArtifactStore) -> None:
        self._store = store

    async def manifest(self, dataset: str) -> Artifact:
        """The manifest of ``datasets/{d}``.

        Raises:
            NotFoundError: there is no such dataset.
            DataLossError: what is stored of it can't be read.
        """
        data = await self._store.get_result(f"datasets/{names.id_of(dataset)}")
        if data is None:
            raise NotFoundError(
                dataset, f"{dataset} does not exist; create it, or list datasets to see which do"
            )
        try:
            return wire.artifact_from(ingest_pb2.Dataset.FromString(data).manifest, "dataset.manifest")
        except DecodeError as error:
            raise DataLossError(f"what is stored of {dataset} can't be read; create it again") from error

    async def entries(self, manifest: Artifact, split: Split) -> Sequence[Entry]:
        """The clips of one split, in the manifest's order.

        Raises:
            NotFoundError: the manifest is gone.
            DataLossError: it is damaged.
        """
        try:
            message = ingest_pb2.DatasetManifest.FromString(await self._store.get_bytes(manifest))
        except DecodeError as error:
            raise DataLossError(
                f"the manifest {manifest.uri} can't be read; create the dataset again"
            ) from error
        return [
            Entry(
                entry.clip.name,
                entry.clip.display_name,
                entry.end_frame - entry.first_frame,
                entry.SerializeToString(),
            )
            for entry in message.entries
            if wire.split_from(entry.split) is split
        ]

"""What ingest tells the others: the event of a new clip, and datasets under a key that everybody can read."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence

from autoisp.events.v1 import events_pb2
from autoisp.ingest.v1 import ingest_pb2
from autoisp_core.artifact import Artifact
from autoisp_core.ids import derived_id
from autoisp_core.names import dataset_name
from autoisp_runtime.async_artifacts import AsyncArtifactStore
from autoisp_runtime.jetstream import Event, event_subject

from autoisp_ingest.domain import Clip, Dataset, DatasetClip
from autoisp_ingest.messages import encode_clip, encode_dataset, encode_entry
from autoisp_ingest.store.clip_rows import OutgoingEvent

MANIFEST_MEDIA_TYPE = "application/x-protobuf; messageType=autoisp.ingest.v1.DatasetManifest"


def clip_ingested(clip: Clip) -> OutgoingEvent:
    """The event of a new clip. The id is new if the clip was deleted and uploaded again."""
    return OutgoingEvent(
        subject=event_subject(Event.CLIP_INGESTED, clip.id),
        payload=events_pb2.ClipIngested(clip=encode_clip(clip)).SerializeToString(),
        event_id=derived_id("clip.ingested", clip.frames_uri),
    )


class ArtifactDatasetPublisher:
    """Keeps datasets in the artifact store: the manifest by digest, the ``Dataset`` as ``datasets/<id>``."""

    def __init__(self, artifacts: AsyncArtifactStore) -> None:
        self._artifacts = artifacts

    async def store_manifest(
        self, dataset_id: str, parts: Sequence[DatasetClip], clips: Mapping[str, Clip]
    ) -> Artifact:
        """See :class:`autoisp_ingest.usecases.DatasetPublisher`."""
        manifest = ingest_pb2.DatasetManifest(
            dataset=dataset_name(dataset_id),
            entries=[encode_entry(part, clips[part.clip_id]) for part in parts],
        )
        data = manifest.SerializeToString(deterministic=True)
        return await self._artifacts.put_bytes(data, MANIFEST_MEDIA_TYPE)

    async def publish(self, dataset: Dataset) -> None:
        """See :class:`autoisp_ingest.usecases.DatasetPublisher`."""
        data = encode_dataset(dataset).SerializeToString(deterministic=True)
        # Over whatever a deleted dataset of this id may have left.
        await self._artifacts.put_result(dataset.name, data, overwrite=True)

    async def withdraw(self, dataset_id: str) -> None:
        """See :class:`autoisp_ingest.usecases.DatasetPublisher`."""
        await asyncio.to_thread(self._artifacts.blocking.delete_result, dataset_name(dataset_id))

"""Between the domain and the wire contract."""

from __future__ import annotations

from datetime import datetime

from autoisp.common.v1 import common_pb2
from autoisp.ingest.v1 import ingest_pb2
from autoisp_core.artifact import Artifact
from autoisp_core.names import clip_name
from google.protobuf.timestamp_pb2 import Timestamp

from autoisp_ingest.domain import Clip, Dataset, DatasetClip, RequestedClip, Split, UploadHeader
from autoisp_ingest.usecases import NewDataset

_SPLITS = {
    Split.TRAIN: ingest_pb2.SPLIT_TRAIN,
    Split.VALIDATION: ingest_pb2.SPLIT_VALIDATION,
    Split.TEST: ingest_pb2.SPLIT_TEST,
}
_SPLITS_BACK = {wire: split for split, wire in _SPLITS.items()}


def encode_clip(clip: Clip) -> ingest_pb2.Clip:
    """As ``autoisp.ingest.v1.Clip``."""
    return ingest_pb2.Clip(
        name=clip.name,
        display_name=clip.display_name,
        width=clip.width,
        height=clip.height,
        frame_count=clip.frame_count,
        frame_rate=clip.frame_rate,
        codec=clip.codec,
        source_sha256=clip.source_sha256,
        source_size_bytes=clip.source_size_bytes,
        frames_uri=clip.frames_uri,
        create_time=_timestamp(clip.create_time),
    )


def encode_dataset(dataset: Dataset) -> ingest_pb2.Dataset:
    """As ``autoisp.ingest.v1.Dataset``; ranges have both ends set."""
    return ingest_pb2.Dataset(
        name=dataset.name,
        display_name=dataset.display_name,
        clips=[
            ingest_pb2.DatasetClip(
                clip=clip_name(part.clip_id),
                split=_SPLITS[part.split],
                first_frame=part.first_frame,
                end_frame=part.end_frame,
            )
            for part in dataset.clips
        ],
        manifest=_artifact(dataset.manifest),
        create_time=_timestamp(dataset.create_time),
    )


def encode_entry(part: DatasetClip, clip: Clip) -> ingest_pb2.DatasetManifest.Entry:
    """As an entry of ``autoisp.ingest.v1.DatasetManifest``."""
    return ingest_pb2.DatasetManifest.Entry(
        clip=encode_clip(clip),
        split=_SPLITS[part.split],
        first_frame=part.first_frame,
        end_frame=part.end_frame,
    )


def decode_header(header: ingest_pb2.UploadClipHeader) -> UploadHeader:
    """From the first message of an upload."""
    return UploadHeader(
        filename=header.filename,
        size_bytes=header.size_bytes,
        sha256=header.sha256,
        display_name=header.display_name,
    )


def decode_new_dataset(request: ingest_pb2.CreateDatasetRequest) -> NewDataset:
    """From a request to make a dataset; a split that is unset or unknown becomes None."""
    return NewDataset(
        clips=tuple(
            RequestedClip(part.clip, _SPLITS_BACK.get(part.split), part.first_frame, part.end_frame)
            for part in request.clips
        ),
        dataset_id=request.dataset_id,
        display_name=request.display_name,
        request_id=request.request_id,
    )


def _artifact(artifact: Artifact) -> common_pb2.Artifact:
    return common_pb2.Artifact(
        uri=artifact.uri,
        sha256=artifact.sha256,
        size_bytes=artifact.size_bytes,
        media_type=artifact.media_type,
    )


def _timestamp(moment: datetime) -> Timestamp:
    stamp = Timestamp()
    stamp.FromDatetime(moment)
    return stamp

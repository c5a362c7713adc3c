"""Between the domain and the wire contract."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from autoisp.common.v1 import common_pb2
from autoisp.ingest.v1 import ingest_pb2
from autoisp_core.artifact import Artifact
from autoisp_core.errors import InvalidArgumentError
from autoisp_core.frames import Box, FrameFormat, FrameKind
from autoisp_core.names import clip_name
from google.protobuf.timestamp_pb2 import Timestamp

from autoisp_ingest.domain import Clip, Dataset, DatasetClip, RequestedClip, Split, Upload, UploadHeader
from autoisp_ingest.usecases import Layout, NewDataset, Piece, Reading, Selection

_PART_BYTES = 1 << 20

_SPLITS = {
    Split.TRAIN: ingest_pb2.SPLIT_TRAIN,
    Split.VALIDATION: ingest_pb2.SPLIT_VALIDATION,
    Split.TEST: ingest_pb2.SPLIT_TEST,
}
_KINDS = {
    FrameKind.RGB: ingest_pb2.FrameFormat.KIND_RGB,
    FrameKind.YUV: ingest_pb2.FrameFormat.KIND_YUV,
    FrameKind.GRAY: ingest_pb2.FrameFormat.KIND_GRAY,
    FrameKind.BAYER: ingest_pb2.FrameFormat.KIND_BAYER,
}
_LAYOUTS = {
    ingest_pb2.ReadFramesRequest.LAYOUT_STORED: Layout.STORED,
    ingest_pb2.ReadFramesRequest.LAYOUT_RGB: Layout.RGB,
}
_KINDS_BACK = {wire: kind for kind, wire in _KINDS.items()}
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
        format=encode_format(clip.format),
        variable_frame_rate=clip.variable_frame_rate,
        duration_seconds=clip.duration_seconds,
        sensor=common_pb2.Sensor(toml=clip.sensor.to_toml()) if clip.sensor else None,
    )


def encode_format(frame_format: FrameFormat) -> ingest_pb2.FrameFormat:
    """As ``autoisp.ingest.v1.FrameFormat``."""
    yuv = frame_format.kind is FrameKind.YUV
    return ingest_pb2.FrameFormat(
        kind=_KINDS[frame_format.kind],
        bit_depth=frame_format.bit_depth,
        h_step=frame_format.h_step if yuv else 0,
        v_step=frame_format.v_step if yuv else 0,
        matrix=frame_format.matrix,
        full_range=frame_format.full_range,
        rotation=frame_format.rotation,
        stored_width=frame_format.stored_width,
        stored_height=frame_format.stored_height,
        cfa=frame_format.cfa,
        chroma_location=frame_format.chroma_location,
    )


def decode_format(message: ingest_pb2.FrameFormat) -> FrameFormat:
    """From ``autoisp.ingest.v1.FrameFormat``.

    Raises:
        InvalidArgumentError: naming the field, ``format.…``.
    """
    kind = _KINDS_BACK.get(message.kind)
    if kind is None:
        raise InvalidArgumentError("format.kind", "say what the frames are: RGB, YUV, GRAY or BAYER")
    return FrameFormat(
        kind,
        message.bit_depth,
        message.stored_width,
        message.stored_height,
        message.h_step or 1,
        message.v_step or 1,
        message.matrix,
        message.full_range,
        message.rotation,
        message.cfa,
        message.chroma_location,
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
        tags=dataset.tags,
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
        first_offset=header.first_offset,
    )


def encode_upload(upload: Upload) -> ingest_pb2.Upload:
    """As ``autoisp.ingest.v1.Upload``."""
    return ingest_pb2.Upload(
        sha256=upload.sha256,
        size_bytes=upload.size_bytes,
        received_bytes=upload.received_bytes,
        expire_time=_timestamp(upload.expire_time) if upload.expire_time else None,
        clip=upload.clip,
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
        tags=tuple(request.tags),
    )


def decode_selection(request: ingest_pb2.ReadFramesRequest) -> Selection:
    """From a request to read frames; a layout that is unset or unknown becomes None."""
    box = request.box
    return Selection(
        request.clip,
        _LAYOUTS.get(request.layout),
        request.first_frame,
        request.end_frame,
        request.step,
        Box(box.x, box.y, box.width, box.height) if request.HasField("box") else None,
    )


def encode_reading(reading: Reading) -> ingest_pb2.ReadFramesResponse:
    """As the first answer to a request to read frames."""
    return ingest_pb2.ReadFramesResponse(
        header=ingest_pb2.ReadFramesResponse.Header(
            clip=encode_clip(reading.clip),
            format=encode_format(reading.format),
            bytes_per_frame=reading.format.frame_bytes,
            frame_count=reading.frame_count,
        )
    )


def encode_piece(piece: Piece) -> Iterator[ingest_pb2.ReadFramesResponse]:
    """As parts of at most 1 MiB."""
    for start in range(0, len(piece.data), _PART_BYTES):
        offset = piece.offset + start
        yield ingest_pb2.ReadFramesResponse(
            part=ingest_pb2.FramePart(
                frame=piece.frame,
                time_ns=0 if offset else piece.time_ns,
                offset=offset,
                data=piece.data[start : start + _PART_BYTES],
            )
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

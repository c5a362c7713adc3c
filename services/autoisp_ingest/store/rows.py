"""Between rows and the domain's dataclasses."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Any

from autoisp_core.artifact import Artifact
from autoisp_core.frames import FrameFormat
from autoisp_core.sensor import SensorProfile
from sqlalchemy import Row

from autoisp_ingest.domain import Clip, Dataset, DatasetClip, Split

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def to_us(moment: datetime) -> int:
    """Microseconds since 1970 in UTC."""
    return (moment - _EPOCH) // timedelta(microseconds=1)


def from_us(us: int) -> datetime:
    """The opposite of :func:`to_us`."""
    return _EPOCH + timedelta(microseconds=us)


def clip_to_row(clip: Clip, order_key: str) -> dict[str, object]:
    """For an insert into ``clips``."""
    return {
        "id": clip.id,
        "order_key": order_key,
        "display_name": clip.display_name,
        "width": clip.width,
        "height": clip.height,
        "frame_count": clip.frame_count,
        "frame_rate": clip.frame_rate,
        "codec": clip.codec,
        "source_sha256": clip.source_sha256,
        "source_size_bytes": clip.source_size_bytes,
        "frames_uri": clip.frames_uri,
        "create_time_us": to_us(clip.create_time),
        "format": json.dumps(clip.format.to_dict(), sort_keys=True),
        "variable_frame_rate": clip.variable_frame_rate,
        "duration_us": round(clip.duration_seconds * 1e6),
        "sensor": clip.sensor.to_json() if clip.sensor else None,
    }


def clip_from_row(row: Row[Any]) -> Clip:
    """From a row of ``clips``."""
    return Clip(
        id=row.id,
        display_name=row.display_name,
        format=FrameFormat.from_dict(json.loads(row.format)),
        frame_count=row.frame_count,
        frame_rate=row.frame_rate,
        codec=row.codec,
        source_sha256=row.source_sha256,
        source_size_bytes=row.source_size_bytes,
        frames_uri=row.frames_uri,
        create_time=from_us(row.create_time_us),
        variable_frame_rate=row.variable_frame_rate,
        duration_seconds=row.duration_us / 1e6,
        sensor=SensorProfile.from_json(row.sensor) if row.sensor else None,
    )


def dataset_to_row(dataset: Dataset, order_key: str) -> dict[str, object]:
    """For an insert into ``datasets``, as not yet published."""
    return {
        "id": dataset.id,
        "order_key": order_key,
        "display_name": dataset.display_name,
        "request_id": dataset.request_id or None,  # any number of datasets may have none
        "manifest_uri": dataset.manifest.uri,
        "manifest_sha256": dataset.manifest.sha256,
        "manifest_size_bytes": dataset.manifest.size_bytes,
        "manifest_media_type": dataset.manifest.media_type,
        "create_time_us": to_us(dataset.create_time),
        "published": False,
        "tags": json.dumps(dataset.tags),
    }


def parts_to_rows(dataset: Dataset) -> list[dict[str, object]]:
    """For an insert into ``dataset_clips``."""
    return [
        {
            "dataset_id": dataset.id,
            "position": position,
            "clip_id": part.clip_id,
            "split": part.split.value,
            "first_frame": part.first_frame,
            "end_frame": part.end_frame,
        }
        for position, part in enumerate(dataset.clips)
    ]


def dataset_from_rows(row: Row[Any], parts: Iterable[Row[Any]]) -> Dataset:
    """From a row of ``datasets`` and its rows of ``dataset_clips`` in order of position."""
    return Dataset(
        id=row.id,
        display_name=row.display_name,
        clips=tuple(
            DatasetClip(part.clip_id, Split(part.split), part.first_frame, part.end_frame) for part in parts
        ),
        manifest=Artifact(
            row.manifest_uri, row.manifest_sha256, row.manifest_size_bytes, row.manifest_media_type
        ),
        create_time=from_us(row.create_time_us),
        request_id=row.request_id or "",
        tags=tuple(json.loads(row.tags)),
    )

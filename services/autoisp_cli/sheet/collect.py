"""What a sheet shows, asked of the server."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from itertools import islice

from autoisp.ingest.v1 import ingest_pb2
from autoisp_client import Client
from autoisp_core.sensor import SensorProfile

from autoisp_cli.sheet.content import Picture, Sheet, Strip, facts_of
from autoisp_cli.sheet.thumbnails import thumbnail

FRAMES = 6
"""Of each part, spread over its length."""
THUMBNAIL_HEIGHT = 160
_SPLITS = (ingest_pb2.SPLIT_TRAIN, ingest_pb2.SPLIT_VALIDATION, ingest_pb2.SPLIT_TEST)


def collect(client: Client, dataset: ingest_pb2.Dataset) -> Sheet:
    """Every part of the dataset, in the order training, validation, test.

    Raises:
        NotFoundError: a clip has been deleted meanwhile.
        UnavailableError: the server can't be reached.
    """
    parts = sorted(dataset.clips, key=lambda part: _SPLITS.index(part.split))
    strips = tuple(_strip(client, part) for part in parts)
    counts = [
        f"{sum(part.split == split for part in parts)} {_word(split)}"
        for split in _SPLITS
        if any(part.split == split for part in parts)
    ]
    words = [f"{len({part.clip for part in parts})} clips", ", ".join(counts)]
    if dataset.tags:
        words.append(" ".join(dataset.tags))
    return Sheet(dataset.display_name or dataset.name.removeprefix("datasets/"), " · ".join(words), strips)


def _strip(client: Client, part: ingest_pb2.DatasetClip) -> Strip:
    clip = client.get_clip(part.clip)
    first, end = part.first_frame, part.end_frame or clip.frame_count
    step = max(1, (end - first) // FRAMES)
    numbers = tuple(islice(range(first, end, step), FRAMES))
    return Strip(
        title=clip.display_name or clip.name,
        use=_word(part.split),
        facts=facts_of(clip, part),
        numbers=numbers,
        thumbnails=tuple(_thumbnails(client, clip, numbers, step)),
        sensor=SensorProfile.from_toml(clip.sensor.toml) if clip.sensor.toml else None,
    )


def _thumbnails(
    client: Client, clip: ingest_pb2.Clip, numbers: tuple[int, ...], step: int
) -> Iterator[Picture]:
    frames = client.read_frames(clip.name, numbers[0], numbers[-1] + 1, step=step)
    with closing(frames):  # type: ignore[type-var]  # a generator
        for _, frame in frames:
            yield thumbnail(frame, THUMBNAIL_HEIGHT)


def _word(split: ingest_pb2.Split.ValueType) -> str:
    return ingest_pb2.Split.Name(split).removeprefix("SPLIT_").lower()

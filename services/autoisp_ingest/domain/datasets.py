"""Datasets: which frames of which clips train, validate and test. Immutable once made."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum

from autoisp_core.artifact import Artifact
from autoisp_core.errors import InvalidArgumentError
from autoisp_core.names import dataset_name

from autoisp_ingest.domain.clips import Clip
from autoisp_ingest.domain.footage import MIN_FRAMES

MAX_TAGS = 32
_TAG = re.compile(r"[a-z0-9-]{1,63}")


class Split(Enum):
    """What frames are for."""

    TRAIN = "TRAIN"
    VALIDATION = "VALIDATION"
    TEST = "TEST"


@dataclass(frozen=True)
class RequestedClip:
    """A clip's part as somebody asked for it: unchecked, ``end_frame`` 0 means to the clip's end."""

    clip: str
    split: Split | None
    first_frame: int = 0
    end_frame: int = 0


@dataclass(frozen=True)
class DatasetClip:
    """A clip's part in a dataset: its frames ``[first_frame, end_frame)``."""

    clip_id: str
    split: Split
    first_frame: int
    end_frame: int


@dataclass(frozen=True)
class Dataset:
    """A named, immutable choice of frames.

    Args:
        id: chosen by the user, or made up.
        clips: in the order they were given.
        manifest: the serialised ``DatasetManifest``.
        create_time: with a time zone, to the microsecond.
        request_id: of the request that made it; empty if it had none.
        tags: free words for finding it again.
    """

    id: str
    display_name: str
    clips: tuple[DatasetClip, ...]
    manifest: Artifact
    create_time: datetime
    request_id: str = ""
    tags: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """``datasets/{id}``"""
        return dataset_name(self.id)


def check_tags(tags: Sequence[str]) -> None:
    """Check the tags of a new dataset.

    Raises:
        InvalidArgumentError: too many, one twice, or with other characters than lower-case letters, digits
        and
            hyphens.
    """
    if len(tags) > MAX_TAGS:
        raise InvalidArgumentError("tags", f"{len(tags)} tags are too many; give at most {MAX_TAGS}")
    for index, tag in enumerate(tags):
        if not _TAG.fullmatch(tag):
            raise InvalidArgumentError(
                f"tags[{index}]",
                f"{tag!r} is no tag; use 1 to 63 lower-case letters, digits and hyphens, such as 'night'",
                reason="INVALID_TAG",
            )
        if tag in tags[:index]:
            raise InvalidArgumentError(f"tags[{index}]", f"the tag {tag!r} is there twice; give it once")


def resolve_clips(requested: Sequence[RequestedClip], clips: Mapping[str, Clip]) -> tuple[DatasetClip, ...]:
    """Check what was asked for against the clips there are, and fill in the open ends.

    Args:
        requested: the parts, as they came.
        clips: by resource name; those of ``requested`` that exist.

    Raises:
        InvalidArgumentError: naming the part (``clips[2].end_frame``) and the rule it breaks.
    """
    parts: list[DatasetClip] = []
    for index, request in enumerate(requested):
        part = _resolve_one(f"clips[{index}]", request, clips.get(request.clip))
        for other_index, other in enumerate(parts):
            if other.clip_id == part.clip_id:
                _check_pair(index, part, other_index, other)
        parts.append(part)
    missing = [split.value.lower() for split in Split if all(part.split is not split for part in parts)]
    if missing:
        raise InvalidArgumentError(
            "clips",
            f"the dataset has no clip for {' and '.join(missing)}; it needs at least one for each of "
            "train, validation and test",
            reason="EMPTY_SPLIT",
        )
    return tuple(parts)


def _resolve_one(field: str, request: RequestedClip, clip: Clip | None) -> DatasetClip:
    if clip is None:
        raise InvalidArgumentError(
            f"{field}.clip",
            f"there is no clip {request.clip!r}; upload it first, or list the clips to see what there is",
            reason="UNKNOWN_CLIP",
        )
    if request.split is None:
        raise InvalidArgumentError(
            f"{field}.split",
            f"say what {clip.name} is for: train, validation or test",
            reason="MISSING_SPLIT",
        )
    end = request.end_frame or clip.frame_count
    if not 0 <= request.first_frame < clip.frame_count:
        raise InvalidArgumentError(
            f"{field}.first_frame",
            f"first_frame {request.first_frame} is outside of {clip.name}, which has frames 0 to "
            f"{clip.frame_count - 1}",
            reason="INVALID_RANGE",
        )
    if not 0 < end <= clip.frame_count:
        raise InvalidArgumentError(
            f"{field}.end_frame",
            f"end_frame {request.end_frame} is outside of {clip.name}, which has {clip.frame_count} frames; "
            "0 means to its end",
            reason="INVALID_RANGE",
        )
    if end - request.first_frame < MIN_FRAMES:
        raise InvalidArgumentError(
            f"{field}.end_frame",
            f"[{request.first_frame}, {end}) of {clip.name} has fewer than {MIN_FRAMES} frames; widen it",
            reason="INVALID_RANGE",
        )
    return DatasetClip(clip.id, request.split, request.first_frame, end)


def _check_pair(index: int, part: DatasetClip, other_index: int, other: DatasetClip) -> None:
    """Two parts of one clip: train and validation may share it, if they share no frame."""
    if part.split is other.split:
        raise InvalidArgumentError(
            f"clips[{index}].clip",
            f"clips[{index}] repeats clips[{other_index}]: clips/{part.clip_id} is there for "
            f"{part.split.value.lower()} already; give it one range",
            reason="DUPLICATE_CLIP",
        )
    if Split.TEST in (part.split, other.split):
        raise InvalidArgumentError(
            f"clips[{index}].split",
            f"clips/{part.clip_id} is for {other.split.value.lower()} and {part.split.value.lower()}; a test "
            "clip may serve nothing else, or the test proves nothing",
            reason="TEST_CLIP_SHARED",
        )
    if part.first_frame < other.end_frame and other.first_frame < part.end_frame:
        raise InvalidArgumentError(
            f"clips[{index}].first_frame",
            f"[{part.first_frame}, {part.end_frame}) overlaps [{other.first_frame}, {other.end_frame}) of "
            f"clips[{other_index}], the same clip; train and validation may share no frame",
            reason="OVERLAPPING_RANGES",
        )

"""Which frames train, which validate: test clips are whole clips that nothing else sees."""

from __future__ import annotations

from collections.abc import Sequence

from autoisp.ingest.v1 import ingest_pb2
from autoisp_core.errors import InvalidArgumentError

WHOLE_CLIPS_FROM = 6
"""With so many training clips, whole clips validate; with fewer, the end of each clip does."""
EVERY = 5
TAIL_SHARE = 0.2
GAP_FRAMES = 5
"""Frames between training and validation that neither uses: neighbours look alike."""
FEWEST_FRAMES = 12
"""Of a clip that both trains and validates: shorter ones only train."""


def split(
    training: Sequence[ingest_pb2.Clip], test: Sequence[ingest_pb2.Clip]
) -> list[ingest_pb2.DatasetClip]:
    """The dataset's clips, in the order given.

    From :data:`WHOLE_CLIPS_FROM` training clips on, every fifth is for validation. Below, the last
    :data:`TAIL_SHARE` of each clip's frames is, after a gap; a clip too short to be cut only trains.

    Raises:
        InvalidArgumentError: nothing is left to train on, or no clip is long enough to be cut; names the
            longest.
    """
    if not training:
        raise InvalidArgumentError(
            "--test",
            "--test: every training clip has the same bytes as a test clip, so none is left to train on; "
            "give other clips in --footage or --test",
        )
    few = len(training) < WHOLE_CLIPS_FROM
    if few and max(clip.frame_count for clip in training) < FEWEST_FRAMES:
        raise _too_short(max(training, key=lambda clip: clip.frame_count))
    parts: list[ingest_pb2.DatasetClip] = []
    for index, clip in enumerate(training):
        if few:
            parts += _cut(clip)
        else:
            validates = index % EVERY == EVERY - 1
            use = ingest_pb2.SPLIT_VALIDATION if validates else ingest_pb2.SPLIT_TRAIN
            parts.append(_part(clip, use, 0, clip.frame_count))
    return parts + [_part(clip, ingest_pb2.SPLIT_TEST, 0, clip.frame_count) for clip in test]


def describe(
    parts: Sequence[ingest_pb2.DatasetClip], names: dict[str, str], use: ingest_pb2.Split.ValueType
) -> str:
    """The part of a dataset that serves ``use``, for people: ``bikes [0–199], bunny [0–104]``."""
    return ", ".join(
        f"{names.get(part.clip, part.clip)} [{part.first_frame}–{part.end_frame - 1}]"
        for part in parts
        if part.split == use
    )


def _cut(clip: ingest_pb2.Clip) -> list[ingest_pb2.DatasetClip]:
    frames = clip.frame_count
    if frames < FEWEST_FRAMES:
        return [_part(clip, ingest_pb2.SPLIT_TRAIN, 0, frames)]
    validation = max(2, round(frames * TAIL_SHARE))
    first = frames - validation
    return [
        _part(clip, ingest_pb2.SPLIT_TRAIN, 0, first - GAP_FRAMES),
        _part(clip, ingest_pb2.SPLIT_VALIDATION, first, frames),
    ]


def _too_short(clip: ingest_pb2.Clip) -> InvalidArgumentError:
    return InvalidArgumentError(
        "--footage",
        f"--footage {clip.display_name}: {clip.frame_count} frames are too few to train and to validate on; "
        f"give clips of at least {FEWEST_FRAMES} frames, or at least {WHOLE_CLIPS_FROM} clips",
    )


def _part(
    clip: ingest_pb2.Clip, use: ingest_pb2.Split.ValueType, first: int, end: int
) -> ingest_pb2.DatasetClip:
    return ingest_pb2.DatasetClip(clip=clip.name, split=use, first_frame=first, end_frame=end)

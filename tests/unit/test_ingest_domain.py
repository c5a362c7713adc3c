"""The rules of clips and datasets."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from autoisp_core.errors import InvalidArgumentError
from autoisp_core.frames import FrameFormat, FrameKind
from autoisp_ingest.domain import (
    Clip,
    DatasetClip,
    FootageLimits,
    RequestedClip,
    Split,
    Timing,
    UploadHeader,
    check_enough_frames,
    check_tags,
    clip_id_of,
    resolve_clips,
)
from hypothesis import given
from hypothesis import strategies as st

FRAMES = 20
FORMAT = FrameFormat(FrameKind.YUV, 10, 64, 64, 2, 2, "bt709", False)


def clip(clip_id: str) -> Clip:
    return Clip(
        id=clip_id,
        display_name=clip_id,
        format=FORMAT,
        frame_count=FRAMES,
        frame_rate=25.0,
        codec="h264",
        source_sha256="0" * 64,
        source_size_bytes=1,
        frames_uri=f"clips/{clip_id}/x",
        create_time=datetime.now(UTC),
    )


CLIPS = {one.name: one for one in (clip("ca"), clip("cb"), clip("cc"))}
TEST = RequestedClip("clips/cc", Split.TEST)


def test_the_same_bytes_have_the_same_id() -> None:
    assert clip_id_of("ab" * 32) == "c" + "ab" * 10


@pytest.mark.parametrize("filename", ["bikes.mp4", "Shot 1 (final).MOV", "größe.mkv", "a.b.tar", "x.y4m"])
def test_good_file_names(filename: str) -> None:
    header = UploadHeader(filename, 1, "")
    header.check()
    assert header.title == filename
    assert header.suffix == header.suffix.lower()


@given(st.text(max_size=300))
def test_any_file_name_is_taken_or_refused_with_its_field(filename: str) -> None:
    refused = None
    try:
        UploadHeader(filename, 1, "").check()
    except InvalidArgumentError as error:
        refused = error.field
    harmless = "/" not in filename and "\\" not in filename and not filename.startswith(".")
    assert refused == "header.filename" or (refused is None and harmless)


def test_ranges_are_filled_in() -> None:
    parts = resolve_clips(
        [
            RequestedClip("clips/ca", Split.TRAIN, 0, 12),
            RequestedClip("clips/ca", Split.VALIDATION, 12),
            TEST,
        ],
        CLIPS,
    )
    assert parts == (
        DatasetClip("ca", Split.TRAIN, 0, 12),
        DatasetClip("ca", Split.VALIDATION, 12, FRAMES),
        DatasetClip("cc", Split.TEST, 0, FRAMES),
    )


ranges = st.tuples(st.integers(-3, FRAMES + 3), st.integers(-3, FRAMES + 3))


@given(train=ranges, validation=ranges)
def test_whatever_is_asked_for_the_result_keeps_the_rules(
    train: tuple[int, int], validation: tuple[int, int]
) -> None:
    requested = [
        RequestedClip("clips/ca", Split.TRAIN, *train),
        RequestedClip("clips/ca", Split.VALIDATION, *validation),
        TEST,
    ]
    parts: tuple[DatasetClip, ...] = ()
    refused = ""
    try:
        parts = resolve_clips(requested, CLIPS)
    except InvalidArgumentError as error:
        refused = error.field
    assert bool(parts) != refused.startswith("clips[")
    frames = [set(range(part.first_frame, part.end_frame)) for part in parts]
    assert all(len(some) >= 2 and some <= set(range(FRAMES)) for some in frames)
    assert not parts or not frames[0] & frames[1]


def test_all_missing_splits_are_named() -> None:
    with pytest.raises(InvalidArgumentError, match="no clip for train and validation"):
        resolve_clips([TEST], CLIPS)


@pytest.mark.parametrize(("width", "height"), [(63, 64), (64, 63), (0, 0), (101, 64), (64, 101)])
def test_sizes_outside_of_the_limits(width: int, height: int) -> None:
    limits = FootageLimits(max_side=100)
    with pytest.raises(InvalidArgumentError, match=f"'a.mp4' is {width}x{height}"):
        limits.check_size("a.mp4", width, height)
    limits.check_size("a.mp4", 64, 64)
    limits.check_size("a.mp4", 100, 100)


def test_length_is_limited_in_frames_and_in_bytes() -> None:
    FootageLimits(max_frames=5).check_length("a", FORMAT, 5)
    with pytest.raises(InvalidArgumentError, match="more than the 5 frames"):
        FootageLimits(max_frames=5).check_length("a", FORMAT, 6)
    with pytest.raises(InvalidArgumentError, match="more than the 2 frames"):
        FootageLimits(max_decoded_bytes=FORMAT.frame_bytes * 3 - 1).check_length("a", FORMAT, 3)


def test_one_frame_is_no_video() -> None:
    check_enough_frames("a", 2)
    for frames in (0, 1):
        with pytest.raises(InvalidArgumentError, match="at least 2 frames"):
            check_enough_frames("a", frames)


@pytest.mark.parametrize(
    ("times_ms", "rate", "step_ms", "expected"),
    [
        ([0, 40, 80], 25.0, 0.001, Timing(False, 0.12)),
        ([0, 33, 67, 100], 30.0, 1, Timing(False, 0.1333)),
        ([0, 33, 67, 200], 30.0, 1, Timing(True, 0.234)),
        ([0, 0, 0], 0.0, 0.001, Timing(False, 0.0)),
        ([0, 100], 0.0, 0.001, Timing(False, 0.2)),
        ([0], 10.0, 1, Timing(False, 0.1)),
    ],
)
def test_what_times_say(times_ms: list[int], rate: float, step_ms: float, expected: Timing) -> None:
    assert Timing.of([time * 1_000_000 for time in times_ms], rate, round(step_ms * 1e6)) == expected


@pytest.mark.parametrize(
    "tags", [["Night"], ["a b"], [""], ["a" * 64], ["a", "b", "a"], [str(n) for n in range(33)]]
)
def test_tags_that_are_none(tags: list[str]) -> None:
    with pytest.raises(InvalidArgumentError, match="tag"):
        check_tags(tags)


def test_tags() -> None:
    check_tags(["night", "p-series", "2024"])

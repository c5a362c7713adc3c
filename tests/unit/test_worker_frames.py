"""Frames from the store: kept, thinned out, read bit by bit, or clearly missing."""

from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
import zarr
from autoisp_core.errors import DataLossError, NotFoundError
from autoisp_core.frames import FrameFormat, FrameKind
from autoisp_runtime.artifacts import ArtifactStore
from autoisp_runtime.clip_frames import ClipWriter
from autoisp_worker import frames as worker_frames
from autoisp_worker.domain import ClipRange
from autoisp_worker.frames import WINDOW, FrameCache, spread_windows
from autoisp_worker.readable import FootageUnreadableError, readable_runs

HEIGHT, WIDTH = 16, 20
FRAME_BYTES = HEIGHT * WIDTH * 3


@pytest.fixture
def store(tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(str(tmp_path))


def write_clip(
    store: ArtifactStore, clip_id: str, frames: int, *, bit_depth: int = 8, **changes: object
) -> ClipRange:
    """An RGB clip whose every pixel holds the frame's number."""
    uri = f"clips/{clip_id}/frames"
    frame_format = FrameFormat(FrameKind.RGB, bit_depth, WIDTH, HEIGHT)
    with ClipWriter(store, uri, frame_format) as writer:
        for index in range(frames):
            writer.append((np.full((HEIGHT, WIDTH, 3), index, frame_format.dtype),), 0)
    fields: dict[str, object] = {
        "clip": f"clips/{clip_id}",
        "display_name": clip_id,
        "digest": "0" * 64,
        "frames_uri": uri,
        "first_frame": 0,
        "end_frame": frames,
    }
    return ClipRange(**(fields | changes))  # type: ignore[arg-type]


def test_training_gets_the_clips_range(store: ArtifactStore) -> None:
    clip = write_clip(store, "a", 10, first_frame=2, end_frame=7)

    ((name, frames),) = FrameCache(store, 1 << 20).training([clip])

    assert name == "clips/a"
    assert frames[:, 0, 0, 0].tolist() == [2, 3, 4, 5, 6]


def test_a_clip_is_read_once(store: ArtifactStore) -> None:
    clip = write_clip(store, "a", 4)
    cache = FrameCache(store, 1 << 20)

    assert cache.frames(clip) is cache.frames(clip)
    assert cache.held_bytes == 4 * FRAME_BYTES


def test_what_was_not_used_lately_makes_room(store: ArtifactStore) -> None:
    clips = [write_clip(store, name, 8) for name in "abcdefg"]
    cache = FrameCache(store, limit_bytes=32 * FRAME_BYTES)
    first = cache.frames(clips[0])

    for clip in clips[1:]:
        assert cache.frames(clips[0]) is first
        cache.frames(clip)

    assert cache.held_bytes == 32 * FRAME_BYTES
    assert cache.frames(clips[0]) is first


def test_footage_that_does_not_fit_is_thinned_to_windows(store: ArtifactStore) -> None:
    clips = [write_clip(store, "a", 128), write_clip(store, "b", 64)]
    limit = 128 * FRAME_BYTES

    footage = FrameCache(store, limit).training(clips)

    assert sum(frames.nbytes for _, frames in footage) <= limit
    assert {len(frames) for _, frames in footage} == {WINDOW}
    for _, frames in footage:
        assert np.all(np.diff(frames[:, 0, 0, 0].astype(int)) == 1)
    from_a = [frames[0, 0, 0, 0] for name, frames in footage if name.startswith("clips/a@")]
    assert len(from_a) == 8
    assert np.ptp(np.diff(np.asarray(from_a, int))) <= 1


def test_a_large_clip_is_read_frame_by_frame(store: ArtifactStore) -> None:
    clip = write_clip(store, "a", 40, first_frame=5)
    cache = FrameCache(store, limit_bytes=8 * FRAME_BYTES)

    frames = cache.frames(clip)

    assert (len(frames), int(frames[30][0, 0, 0])) == (35, 35)
    assert [int(frame[0, 0, 0]) for frame in frames[0:3]] == [5, 6, 7]
    assert cache.held_bytes == 0


def test_deep_clips_are_16_bit_and_take_twice_the_room(store: ArtifactStore) -> None:
    clip = write_clip(store, "a", 4, bit_depth=16)
    cache = FrameCache(store, 1 << 20)

    assert cache.frames(clip)[3].dtype == np.uint16
    assert cache.held_bytes == 4 * 2 * FRAME_BYTES


def test_clips_of_releases_before_this_layout_are_read(store: ArtifactStore) -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (4, HEIGHT, WIDTH, 3), np.uint8)
    uri = "clips/a/frames"
    zarr.create_array(store.zarr_store(uri), data=pixels, chunks=(1, HEIGHT, WIDTH, 3))
    clip = ClipRange("clips/a", "a", "0" * 64, uri, 0, 4)

    np.testing.assert_array_equal(np.stack(FrameCache(store, 1 << 20).frames(clip)), pixels)


def test_a_clip_that_is_gone_is_not_found(store: ArtifactStore) -> None:
    clip = ClipRange("clips/a", "a", "0" * 64, "clips/a/frames", 0, 4)

    with pytest.raises(NotFoundError, match="upload it again"):
        FrameCache(store, 1 << 20).frames(clip)


def test_a_range_past_the_clips_end_is_data_loss(store: ArtifactStore) -> None:
    clip = write_clip(store, "a", 4, end_frame=9)

    with pytest.raises(DataLossError, match="has 4 frames"):
        FrameCache(store, 1 << 20).training([clip])


def _files_of(folder: Path, clip_id: str) -> list[Path]:
    """What holds the pixels of a clip: some consecutive frames in each file, in their order."""
    files = (folder / f"clips/{clip_id}/frames/frames/c").rglob("*")
    return sorted((path for path in files if path.is_file()), key=lambda path: int(path.parts[-4]))


def test_damaged_frames_end_the_training(store: ArtifactStore, tmp_path: Path) -> None:
    clip = write_clip(store, "a", 4)
    for file in _files_of(tmp_path, "a"):
        file.write_bytes(b"no pixels")

    with pytest.raises(
        FootageUnreadableError, match=r"4 of 4 training frames.*clips/a can't be read"
    ) as caught:
        FrameCache(store, 1 << 20).training([clip])
    assert caught.value.reason == "FOOTAGE_UNREADABLE"
    assert caught.value.metadata["clip"] == "clips/a"
    assert caught.value.metadata["unreadable"] == "4"


@pytest.mark.parametrize("damage", [Path.unlink, lambda file: file.write_bytes(b"no pixels")])
def test_a_few_damaged_frames_are_left_out(
    store: ArtifactStore, tmp_path: Path, damage: Callable[[Path], object]
) -> None:
    clip, whole = write_clip(store, "a", 136), write_clip(store, "b", 40)
    first, last = _files_of(tmp_path, "a")
    damage(last)

    found = dict(FrameCache(store, 1 << 20).training([clip, whole]))

    assert found.keys() == {"clips/a@0", "clips/b"}
    assert found["clips/a@0"][:, 0, 0, 0].tolist() == list(range(128))
    assert len(found["clips/b"]) == 40

    damage(first)
    with pytest.raises(FootageUnreadableError, match="136 of 176"):
        FrameCache(store, 1 << 20).training([clip, whole])


def test_damage_is_searched_for_once(
    store: ArtifactStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip, whole = write_clip(store, "a", 136), write_clip(store, "b", 40)
    first, last = _files_of(tmp_path, "a")
    pixels = first.read_bytes()
    last.unlink()
    searched: list[tuple[int, int]] = []

    def search(read: Callable[[int, int], object], start: int, end: int) -> Iterator[tuple[int, int]]:
        searched.append((start, end))
        return readable_runs(read, start, end)

    monkeypatch.setattr(worker_frames, "readable_runs", search)
    cache = FrameCache(store, 1 << 20)
    one, two = (dict(cache.training([clip, whole])) for _ in range(2))
    assert searched == [(0, 136)]
    assert one.keys() == two.keys() == {"clips/a@0", "clips/b"}

    # Where it was too much, the user may have put the frames back.
    first.unlink()
    other = FrameCache(store, 1 << 20)
    with pytest.raises(FootageUnreadableError):
        other.training([clip, whole])
    first.write_bytes(pixels)
    assert dict(other.training([clip, whole])).keys() == one.keys()


def test_runs_between_unreadable_frames_are_found() -> None:
    def read(first: int, end: int) -> None:
        if {0, 4, 5, 9} & set(range(first, end)):
            raise DataLossError("damaged")

    assert list(readable_runs(read, 0, 10)) == [(1, 4), (6, 9)]
    assert list(readable_runs(read, 6, 9)) == [(6, 9)]
    assert list(readable_runs(read, 4, 6)) == []


@pytest.mark.parametrize("share", [0.01, 0.3, 1.0])
@pytest.mark.parametrize("length", [1, 5, 8, 100])
def test_windows_stay_inside_the_range(length: int, share: float) -> None:
    windows = list(spread_windows(10, 10 + length, share))

    assert windows
    assert all(10 <= start < end <= 10 + length for start, end in windows)

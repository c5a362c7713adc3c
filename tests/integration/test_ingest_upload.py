"""Uploads through a real server: what goes in comes out, once."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import av
import numpy as np
import pytest
from autoisp.ingest.v1 import ingest_pb2, ingest_pb2_grpc
from autoisp_client import AsyncClient, Endpoints
from autoisp_runtime.artifacts import ArtifactStore
from autoisp_runtime.clip_frames import ClipFrames
from autoisp_testing.scenes import moving_scene, write_png_folder, write_video
from av.video.reformatter import ColorRange, Interpolation
from ingest_calls import (
    Ingest,
    header_of,
    ingested_events,
    real_video,
    running_ingest,
    tar_of,
    upload,
)


@pytest.fixture(scope="module")
def ingest(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ingest]:
    with running_ingest(tmp_path_factory.mktemp("ingest")) as running:
        yield running


@pytest.fixture(scope="module")
def folder(ingest: Ingest) -> Path:
    return ingest.folder


@pytest.fixture(scope="module")
def stub(ingest: Ingest) -> ingest_pb2_grpc.IngestServiceStub:
    return ingest.stub


@pytest.fixture(scope="module")
def store(folder: Path) -> ArtifactStore:
    return ArtifactStore((folder / "artifacts").as_uri())


def frames_of(store: ArtifactStore, clip: ingest_pb2.Clip) -> np.ndarray:
    return ClipFrames.open(store, clip.frames_uri).rgb(0, clip.frame_count)


def test_a_real_video_becomes_its_frames(
    stub: ingest_pb2_grpc.IngestServiceStub, store: ArtifactStore
) -> None:
    path = real_video("carphone_pristine.mp4")
    clip = upload(stub, path.read_bytes(), path.name)
    assert clip.name == f"clips/c{clip.source_sha256[:20]}"
    assert (clip.width, clip.height, clip.frame_count, clip.codec) == (176, 144, 120, "h264")
    assert clip.frame_rate == pytest.approx(30000 / 1001)
    assert clip.display_name == path.name
    assert clip.source_size_bytes == path.stat().st_size
    assert stub.GetClip(ingest_pb2.GetClipRequest(name=clip.name)) == clip
    frames = frames_of(store, clip)
    with av.open(str(path)) as container:
        for frame, picture in zip(frames, container.decode(video=0), strict=True):
            # This clip is BT.601 in limited range: luma must come out as the standard says.
            expected = np.clip((picture.to_ndarray()[:144].astype(float) - 16) * 255 / 219, 0, 255)
            assert np.abs(frame @ [0.299, 0.587, 0.114] - expected).mean() < 1.0


@pytest.mark.parametrize("name", ["bikes.mp4", "carphone_pristine.mp4"])
def test_pictures_are_what_ffmpeg_makes_of_the_video(
    stub: ingest_pb2_grpc.IngestServiceStub, store: ArtifactStore, name: str
) -> None:
    path = real_video(name)
    frames = ClipFrames.open(store, upload(stub, path.read_bytes(), name).frames_uri).rgb(0, 5)
    accurate = Interpolation.BILINEAR | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT
    with av.open(str(path)) as container:
        for frame, picture in zip(frames, container.decode(video=0), strict=False):
            wanted = picture.reformat(
                format="rgb24", dst_color_range=ColorRange.JPEG, interpolation=accurate
            ).to_ndarray()
            np.testing.assert_array_equal(frame, wanted[: frame.shape[0], : frame.shape[1]])


def test_the_same_bytes_are_one_clip_and_one_event(
    ingest: Ingest, stub: ingest_pb2_grpc.IngestServiceStub, folder: Path
) -> None:
    data = write_video(folder / "twice.mkv", moving_scene(seed=1)).read_bytes()
    first = upload(stub, data, "twice.mkv")
    again = upload(stub, data, "other-name.mkv", display_name="Other")
    assert again == first
    assert ingest.clip_names().count(first.name) == 1
    kept = list((folder / "artifacts" / "clips" / first.name.removeprefix("clips/")).iterdir())
    assert len(kept) == 1
    assert [event.clip for event in ingested_events(ingest, first.name)] == [first]


def test_a_known_clip_is_answered_after_the_header(
    stub: ingest_pb2_grpc.IngestServiceStub, folder: Path
) -> None:
    data = write_video(folder / "known.mkv", moving_scene(seed=5)).read_bytes()
    first = upload(stub, data, "known.mkv")
    sent = 0

    def messages() -> Iterator[ingest_pb2.UploadClipRequest]:
        nonlocal sent
        yield header_of(data, "known.mkv")
        for _ in range(1000):
            sent += 1
            yield ingest_pb2.UploadClipRequest(chunk=bytes(1 << 20))

    assert stub.UploadClip(messages()) == first
    assert sent < 500


def test_a_tar_of_png_frames_is_kept_exactly(
    stub: ingest_pb2_grpc.IngestServiceStub, store: ArtifactStore, folder: Path
) -> None:
    scene = moving_scene(11, 65, 97, seed=2)
    files = write_png_folder(folder / "pngs", scene)
    # Given in the wrong order and without leading zeros: the names' numbers count.
    members = {f"shot/{int(path.stem)}.png": path.read_bytes() for path in sorted(files.iterdir())[::-1]}
    clip = upload(stub, tar_of(members), "shot.tar", display_name="PNG shot")
    assert (clip.width, clip.height, clip.frame_count, clip.codec) == (96, 64, 11, "png")
    assert clip.frame_rate == 0
    assert clip.display_name == "PNG shot"
    np.testing.assert_array_equal(frames_of(store, clip), scene[:, :64, :96])


def test_a_deleted_clip_is_gone_with_its_frames_and_can_come_back(
    stub: ingest_pb2_grpc.IngestServiceStub, store: ArtifactStore, folder: Path
) -> None:
    data = write_video(folder / "gone.mp4", moving_scene(seed=3)).read_bytes()
    clip = upload(stub, data, "gone.mp4")
    stub.DeleteClip(ingest_pb2.DeleteClipRequest(name=clip.name))
    left = folder / "artifacts" / clip.frames_uri
    assert not left.exists() or not [path for path in left.rglob("*") if path.is_file()]
    back = upload(stub, data, "gone.mp4")
    assert back.name == clip.name
    assert back.frames_uri != clip.frames_uri
    assert len(frames_of(store, back)) == 12


def test_clients_that_upload_the_same_at_the_same_time(ingest: Ingest, folder: Path) -> None:
    path = write_video(folder / "many.mp4", moving_scene(seed=4))

    async def all_at_once() -> list[ingest_pb2.Clip]:
        endpoints = Endpoints(*[ingest.process.address] * 4)
        async with AsyncClient(endpoints) as client:
            return await asyncio.gather(*(client.upload_clip(path) for _ in range(4)))

    clips = asyncio.run(all_at_once())
    assert {clip.frames_uri for clip in clips} == {clips[0].frames_uri}
    (kept,) = (folder / "artifacts" / clips[0].name).iterdir()
    assert kept == folder / "artifacts" / clips[0].frames_uri

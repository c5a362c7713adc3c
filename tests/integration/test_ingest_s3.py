"""Footage on a real S3 server, from the upload to the last object's end, with the real service."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import obstore
import pytest
from autoisp.ingest.v1 import ingest_pb2
from autoisp_core.errors import FailedPreconditionError, InvalidArgumentError
from autoisp_runtime.artifacts import ArtifactStore
from autoisp_runtime.clip_frames import ClipFrames
from autoisp_testing.dng import dng_bytes
from autoisp_testing.s3 import S3Server
from ingest_calls import Ingest, real_video, refused, running_ingest, tar_of, upload
from obstore.store import from_url

URL = "s3://footage/ingest"


@pytest.fixture(scope="module")
def environment(s3_process: S3Server) -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in s3_process.environment.items():
            patch.setenv(name, value)
        yield


@pytest.fixture(scope="module")
def ingest(environment: None, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Ingest]:
    with running_ingest(tmp_path_factory.mktemp("ingest"), store_url=URL) as running:
        yield running


def objects() -> list[str]:
    """All clips' objects, asked of the server past the artifact store."""
    return sorted(meta["path"] for batch in obstore.list(from_url(f"{URL}/clips")) for meta in batch)


def mosaic(seed: int) -> np.ndarray:
    return np.random.default_rng(seed).integers(64, 1024, (96, 128), np.uint16)


def delete(ingest: Ingest, clip: ingest_pb2.Clip) -> None:
    ingest.stub.DeleteClip(ingest_pb2.DeleteClipRequest(name=clip.name))


def test_a_video_is_stored_read_and_deleted_whole(ingest: Ingest) -> None:
    clip = upload(ingest.stub, real_video("bikes.mp4").read_bytes(), "bikes.mp4")
    frames = ClipFrames.open(ArtifactStore(URL), clip.frames_uri)
    assert (frames.count, frames.rgb_size) == (clip.frame_count, (clip.width, clip.height))
    assert frames.rgb(3, 5).std() > 10
    assert objects()
    assert not ingest.artifacts.exists()  # nothing of it on this disk
    delete(ingest, clip)
    assert objects() == []


def test_a_raw_burst_comes_back_to_the_bit(ingest: Ingest) -> None:
    burst = tar_of({f"{seed}.dng": dng_bytes(mosaic(seed)) for seed in range(3)})
    clip = upload(ingest.stub, burst, "burst.tar")
    frames = ClipFrames.open(ArtifactStore(URL), clip.frames_uri)
    np.testing.assert_array_equal(frames.stored(0, 3)["frames"], [mosaic(seed) for seed in range(3)])
    assert frames.sensor is not None
    assert frames.sensor.name == "AutoISP test camera"
    delete(ingest, clip)
    assert objects() == []


def test_what_is_refused_leaves_no_object(ingest: Ingest) -> None:
    good, bad = dng_bytes(mosaic(0)), dng_bytes(mosaic(1))[:-100]
    error = refused(upload, ingest.stub, tar_of({"0.dng": good, "1.dng": bad}), "burst.tar")
    assert isinstance(error, InvalidArgumentError)
    assert (ingest.clip_names(), objects()) == ([], [])


def test_objects_stay_as_long_as_a_dataset_holds_their_clip(ingest: Ingest) -> None:
    clips = [
        upload(ingest.stub, tar_of({f"{n}.dng": dng_bytes(mosaic(10 * i + n)) for n in range(2)}), "b.tar")
        for i in range(3)
    ]
    splits = (ingest_pb2.SPLIT_TRAIN, ingest_pb2.SPLIT_VALIDATION, ingest_pb2.SPLIT_TEST)
    parts = [
        ingest_pb2.DatasetClip(clip=clip.name, split=split) for clip, split in zip(clips, splits, strict=True)
    ]
    dataset = ingest.stub.CreateDataset(ingest_pb2.CreateDatasetRequest(clips=parts))
    held = objects()
    error = refused(ingest.stub.DeleteClip, ingest_pb2.DeleteClipRequest(name=clips[0].name))
    assert isinstance(error, FailedPreconditionError)
    assert objects() == held
    ingest.stub.DeleteDataset(ingest_pb2.DeleteDatasetRequest(name=dataset.name))
    for clip in clips:
        delete(ingest, clip)
    assert objects() == []


def test_a_raw_still_is_a_clip_and_no_part_of_a_dataset(ingest: Ingest) -> None:
    clip = upload(ingest.stub, dng_bytes(mosaic(0)), "still.dng")
    assert (clip.frame_count, clip.width, clip.height) == (1, 128, 96)
    for split in (ingest_pb2.SPLIT_TRAIN, ingest_pb2.SPLIT_VALIDATION, ingest_pb2.SPLIT_TEST):
        part = ingest_pb2.DatasetClip(clip=clip.name, split=split)
        error = refused(ingest.stub.CreateDataset, ingest_pb2.CreateDatasetRequest(clips=[part]))
        assert error.metadata["field"] == "clips[0].end_frame"
        assert "fewer than 2 frames" in str(error)
    delete(ingest, clip)

"""Clients that vanish, a process that is killed, a disk that is full: nothing half-made is ever seen."""

from __future__ import annotations

import resource
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import grpc
import numpy as np
import pytest
from autoisp.ingest.v1 import ingest_pb2, ingest_pb2_grpc
from autoisp_core.errors import ErrorCode
from autoisp_testing.scenes import moving_scene, write_video
from ingest_calls import (
    CHUNK,
    Ingest,
    chunks_of,
    header_of,
    ingested_events,
    real_video,
    received,
    refused,
    running_ingest,
    upload,
)


@pytest.fixture
def ingest(tmp_path: Path) -> Iterator[Ingest]:
    with running_ingest(tmp_path, stop_grace_seconds=1) as running:
        yield running


def until(condition: Callable[[], object], timeout_s: float = 20.0) -> None:
    deadline = time.monotonic() + timeout_s
    while not condition():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.01)


def reconnect(ingest: Ingest) -> ingest_pb2_grpc.IngestServiceStub:
    """A stub for the restarted process, which has another port."""
    return ingest_pb2_grpc.IngestServiceStub(grpc.insecure_channel(ingest.process.address))


SLOW_FRAMES = 96


def small_source() -> bytes:
    """Some chunks long, and quickly decoded."""
    return real_video("carphone_pristine.mp4").read_bytes()


@cache
def slow_source() -> bytes:
    """Large frames, of which some are stored while there is still time to interrupt the decoding."""
    scene = moving_scene(16, 720, 1280)
    with tempfile.TemporaryDirectory() as folder:
        shot = np.concatenate([scene] * (SLOW_FRAMES // len(scene)))
        return write_video(Path(folder) / "slow.mp4", shot).read_bytes()


class StalledUpload:
    """An upload that stops half-way and waits; runs in the background."""

    def __init__(self, ingest: Ingest, data: bytes, filename: str) -> None:
        self._go_on = threading.Event()

        def messages() -> Iterator[ingest_pb2.UploadClipRequest]:
            yield header_of(data, filename)
            yield from chunks_of(data[: len(data) // 2])
            self._go_on.wait(30)

        self.call = ingest.stub.UploadClip.future(messages())
        until(lambda: any(Path(name).stat().st_size >= CHUNK for name in ingest.files()))

    def end(self) -> None:
        self._go_on.set()


def test_a_client_that_leaves_in_mid_upload(ingest: Ingest) -> None:
    data = small_source()
    stalled = StalledUpload(ingest, data, "carphone.mp4")
    stalled.call.cancel()
    stalled.end()
    there = received(ingest.stub, data)
    assert CHUNK <= there <= len(data) // 2
    assert (ingest.clip_names(), ingest.stored()) == ([], [])
    clip = upload(ingest.stub, data, "carphone.mp4", first_offset=there)
    assert (clip.frame_count, ingest.spooled()) == (120, [])


def test_a_client_that_leaves_while_its_upload_is_decoded(ingest: Ingest) -> None:
    data = slow_source()
    call = ingest.stub.UploadClip.future(iter([header_of(data, "slow.mp4"), *chunks_of(data)]))
    until(ingest.stored)
    call.cancel()
    until(lambda: not ingest.stored())
    assert ingest.clip_names() == []
    # All bytes are there: only the decoding is done again.
    clip = upload(ingest.stub, data, "slow.mp4", first_offset=received(ingest.stub, data))
    assert (clip.frame_count, ingest.spooled()) == (SLOW_FRAMES, [])


def test_killed_in_mid_upload(ingest: Ingest) -> None:
    data = small_source()
    stalled = StalledUpload(ingest, data, "carphone.mp4")
    ingest.process.kill()
    stalled.end()
    assert stalled.call.exception().code() is grpc.StatusCode.UNAVAILABLE  # type: ignore[attr-defined]
    ingest.process.start()
    stub = reconnect(ingest)
    there = received(stub, data)
    assert CHUNK <= there <= len(data) // 2
    assert not stub.ListClips(ingest_pb2.ListClipsRequest()).clips
    assert upload(stub, data, "carphone.mp4", first_offset=there).frame_count == 120
    assert ingest.spooled() == []


def test_killed_while_decoding(ingest: Ingest) -> None:
    data = slow_source()
    call = ingest.stub.UploadClip.future(iter([header_of(data, "slow.mp4"), *chunks_of(data)]))
    until(ingest.stored)
    ingest.process.kill()
    assert call.exception() is not None
    ingest.process.start()
    stub = reconnect(ingest)
    assert ingest.stored() == []
    assert not stub.ListClips(ingest_pb2.ListClipsRequest()).clips
    clip = upload(stub, data, "slow.mp4", first_offset=len(data))
    kept = ingest.files()
    assert ingest.process.stop() == 0
    ingest.process.start()
    assert [c.name for c in reconnect(ingest).ListClips(ingest_pb2.ListClipsRequest()).clips] == [clip.name]
    assert ingest.files() == kept


def test_stopped_with_an_upload_half_way(ingest: Ingest) -> None:
    data = small_source()
    stalled = StalledUpload(ingest, data, "carphone.mp4")
    assert ingest.process.stop() == 0
    stalled.end()
    ingest.process.start()
    assert received(reconnect(ingest), data) >= CHUNK
    assert ingest.stored() == []


def limit_file_size(ingest: Ingest, size_bytes: int) -> None:
    """From now on no file of the service can grow past this, as on a disk that is full."""
    resource.prlimit(ingest.process.pid, resource.RLIMIT_FSIZE, (size_bytes, resource.RLIM_INFINITY))


def test_no_space_for_the_upload(ingest: Ingest) -> None:
    data = small_source()
    limit_file_size(ingest, 400_000)
    error = refused(upload, ingest.stub, data, "carphone.mp4")
    assert error.code is ErrorCode.RESOURCE_EXHAUSTED, str(error)
    assert "free" in str(error)
    assert ingest.files() == []
    limit_file_size(ingest, resource.RLIM_INFINITY)
    assert upload(ingest.stub, data, "carphone.mp4").frame_count == 120


def test_no_space_for_the_frames(ingest: Ingest, tmp_path: Path) -> None:
    # The upload fits, and so do the first frames; a detailed one at the end does not.
    shot = np.full((8, 720, 1280, 3), 128, np.uint8)
    shot[6:] = moving_scene(2, 720, 1280, seed=1)
    data = write_video(tmp_path / "big.mp4", shot).read_bytes()
    limit = 1_500_000
    assert len(data) < limit
    limit_file_size(ingest, limit)
    small = write_video(tmp_path / "small.mp4", moving_scene()).read_bytes()
    kept = upload(ingest.stub, small, "small.mp4")
    files = ingest.files()
    error = refused(upload, ingest.stub, data, "big.mp4")
    assert error.code is ErrorCode.RESOURCE_EXHAUSTED, str(error)
    assert "artifact store" in str(error)
    assert ingest.files() == files
    assert ingest.clip_names() == [kept.name]


def test_nats_away(ingest: Ingest, tmp_path: Path) -> None:
    """Uploads go on; their events follow when the broker is back."""
    ingest.nats.kill()
    data = write_video(tmp_path / "a.mp4", moving_scene()).read_bytes()
    clip = upload(ingest.stub, data, "a.mp4")
    ingest.nats.start()
    assert ingest.clip_names() == [clip.name]
    assert [event.clip for event in ingested_events(ingest, clip.name, wait_s=5)] == [clip]

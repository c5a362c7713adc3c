"""``kill -9`` of ingest at random moments: the client goes on, and the clip is complete and exact."""

from __future__ import annotations

import hashlib
import random
import sqlite3
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from functools import partial
from pathlib import Path

import av
import numpy as np
import pytest
from autoisp.ingest.v1 import ingest_pb2
from autoisp_client import Client, Endpoints, UploadProgress
from autoisp_client.payload import CHUNK_BYTES
from autoisp_runtime.artifacts import ArtifactStore
from autoisp_runtime.clip_frames import ClipFrames
from autoisp_testing.nats import NatsServer
from autoisp_testing.ports import free_ports
from autoisp_testing.processes import ServiceProcess

KILLS, UPLOADS, FRAMES = 20, 2, 12
PACE_S = 0.01
"""Pause before each chunk, so that an upload takes long enough to be killed in."""


@pytest.fixture
def ingest(tmp_path: Path) -> Iterator[ServiceProcess]:
    """A service that comes back at the same address."""
    with (
        NatsServer(tmp_path / "nats") as nats,
        ServiceProcess(
            "autoisp_ingest", tmp_path, nats_url=nats.url, listen=f"127.0.0.1:{free_ports(1)[0]}"
        ) as process,
    ):
        yield process


def noisy_video(path: Path, seed: int) -> Path:
    """A few frames and many bytes: noise can't be compressed."""
    frames = np.random.default_rng(seed).integers(0, 256, (FRAMES, 384, 640, 3), np.uint8)
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=25)
        stream.height, stream.width, stream.pix_fmt = *frames.shape[1:3], "yuv444p"
        for frame in frames:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(frame, format="rgb24")))
        container.mux(stream.encode(None))
    return path


def decoded(path: Path) -> dict[str, np.ndarray]:
    """The source's own planes."""
    with av.open(str(path)) as container:
        pictures = [picture.to_ndarray() for picture in container.decode(video=0)]
    return dict(zip("yuv", np.stack(pictures, axis=1), strict=True))


def files_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file()]


class Killer:
    """Kills the service at random moments of some uploads, and starts it again.

    Each moment is another share of all bytes to be sent, and some milliseconds more.
    """

    def __init__(self, process: ServiceProcess, size_bytes: int, seed: int) -> None:
        chance = random.Random(seed)
        self._process = process
        self._moments = sorted(chance.sample(range(CHUNK_BYTES, size_bytes, CHUNK_BYTES), KILLS))
        self._pauses = [chance.uniform(0.0, 0.03) for _ in range(KILLS)]
        self._lock = threading.Lock()
        self._sent: dict[Path, int] = {}
        self.resumed: set[tuple[Path, int]] = set()

    @property
    def kills(self) -> int:
        return KILLS - len(self._moments)

    def watch(self, path: Path, progress: UploadProgress) -> None:
        time.sleep(PACE_S)
        with self._lock:  # the thread of a stream that is dead already may still be at work
            self._sent[path] = progress.sent_bytes
            if progress.resumed_bytes:
                self.resumed.add((path, progress.resumed_bytes))
            if self._moments and sum(self._sent.values()) >= self._moments[0]:
                self._moments.pop(0)
                time.sleep(self._pauses.pop())
                self._process.kill()
                self._process.start(wait=False)


@pytest.mark.timeout(480)
def test_killed_at_random_moments_of_two_uploads(ingest: ServiceProcess, tmp_path: Path) -> None:
    """Twenty kills, each while two uploads are on their way until one of them is done."""
    paths = [noisy_video(tmp_path / f"{seed}.mkv", seed) for seed in range(UPLOADS)]
    killer = Killer(ingest, sum(path.stat().st_size for path in paths), seed=20)
    endpoints = Endpoints(*[ingest.address] * 4)
    with Client(endpoints, patience=240) as client, ThreadPoolExecutor(UPLOADS) as threads:

        def upload(path: Path) -> ingest_pb2.Clip:
            return client.upload_clip(path, on_progress=partial(killer.watch, path))

        clips = list(threads.map(upload, paths))
        assert killer.kills == KILLS
        assert {path for path, _ in killer.resumed} == set(paths), "it always began anew"
        assert {found.name for found in client.list_clips()} == {clip.name for clip in clips}
    store = ArtifactStore((tmp_path / "artifacts").as_uri())
    for path, clip in zip(paths, clips, strict=True):
        assert clip.source_sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
        frames = ClipFrames.open(store, clip.frames_uri)
        assert frames.count == clip.frame_count == FRAMES
        planes, expected = frames.stored(0, FRAMES), decoded(path)
        assert planes.keys() == expected.keys()
        for name, plane in expected.items():
            np.testing.assert_array_equal(planes[name], plane)
    assert_nothing_without_a_clip(tmp_path, clips)
    ingest.kill()
    ingest.start()
    assert_nothing_without_a_clip(tmp_path, clips)


def assert_nothing_without_a_clip(folder: Path, clips: list[ingest_pb2.Clip]) -> None:
    assert files_in(folder / "ingest" / "spool") == []
    owned = [folder / "artifacts" / clip.frames_uri for clip in clips]
    for path in files_in(folder / "artifacts" / "clips"):
        assert any(path.is_relative_to(uri) for uri in owned), path
    with closing(sqlite3.connect(folder / "ingest.db")) as database:
        assert database.execute("select count(*) from unowned_frames").fetchone() == (0,)

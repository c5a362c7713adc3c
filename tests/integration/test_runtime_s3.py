"""The artifact store on a real S3 server: what holds for a folder holds there."""

from __future__ import annotations

import os
import threading
import time
from pathlib import Path

import numpy as np
import obstore
import pytest
import zarr
from autoisp_core.artifact import Artifact
from autoisp_core.errors import DataLossError, NotFoundError, UnavailableError
from autoisp_runtime.artifacts import ArtifactStore
from autoisp_testing.s3 import s3_server
from obstore.store import from_url

DATA = bytes(range(256)) * 5000


@pytest.fixture
def store(s3_url: str) -> ArtifactStore:
    return ArtifactStore(s3_url)


def objects(url: str) -> list[str]:
    """Everything below ``url``, asked of the server past the artifact store."""
    return sorted(meta["path"] for batch in obstore.list(from_url(url)) for meta in batch)


def test_bytes_come_back_under_their_digest(store: ArtifactStore, s3_url: str) -> None:
    store.ping()
    artifact = store.put_bytes(DATA, "video/raw")
    assert store.put_bytes(DATA, "video/raw") == artifact
    assert objects(s3_url) == [artifact.uri]
    assert store.get_bytes(artifact) == DATA
    assert b"".join(store.iter_bytes(artifact, 100_000)) == DATA
    assert store.read_range(artifact, 255, 3) == b"\xff\x00\x01"
    assert store.find(artifact.sha256, "video/raw") == artifact


def test_files_of_many_parts_go_in_and_out(store: ArtifactStore, tmp_path: Path, s3_url: str) -> None:
    source = tmp_path / "source"
    source.write_bytes(os.urandom(25 << 20))  # a multipart upload, whose parts are 5 MiB
    artifact = store.put_file(source, "video/mp4")
    assert store.get_file(artifact, tmp_path / "target").read_bytes() == source.read_bytes()
    assert objects(s3_url) == [artifact.uri]


def test_damage_is_noticed(store: ArtifactStore, s3_url: str, tmp_path: Path) -> None:
    artifact = store.put_bytes(DATA)
    for damaged in (DATA[:-1], b"\1" + DATA[1:]):
        obstore.put(from_url(s3_url), artifact.uri, damaged)
        with pytest.raises(DataLossError, match="is damaged"):
            store.get_bytes(artifact)
        with pytest.raises(DataLossError):
            store.get_file(artifact, tmp_path / "target")
        assert not list(tmp_path.glob("target*"))


def test_what_is_not_there(store: ArtifactStore) -> None:
    artifact = Artifact("blobs/00/none", "0" * 64, 5)
    assert not store.exists(artifact)
    for read in (store.get_bytes, lambda a: list(store.iter_bytes(a)), lambda a: store.read_range(a, 0, 1)):
        with pytest.raises(NotFoundError):
            read(artifact)
    store.delete(artifact)
    store.delete_result("none")
    assert store.get_result("none") is None


def test_of_many_writers_one_wins(store: ArtifactStore) -> None:
    wins: list[bytes] = []

    def write(i: int) -> None:
        data = b"%d" % i * 100_000
        if store.put_result("same", data):
            wins.append(data)

    threads = [threading.Thread(target=write, args=(i,)) for i in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(wins) == 1
    assert store.get_result("same") == wins[0]
    assert store.put_result("same", b"other", overwrite=True)
    assert store.get_result("same") == b"other"


def test_a_prefix_is_deleted_whole_and_its_neighbour_is_not(store: ArtifactStore, s3_url: str) -> None:
    frames = np.arange(4 * 6 * 8 * 3, dtype=np.uint8).reshape(4, 6, 8, 3)
    for clip in ("clips/a", "clips/ab"):
        group = zarr.open_group(store=store.zarr_store(clip), mode="w")
        group.create_array("frames", data=frames, chunks=(1, 6, 8, 3))
    again = zarr.open_group(store=ArtifactStore(s3_url).zarr_store("clips/a", read_only=True), mode="r")
    np.testing.assert_array_equal(again["frames"][2], frames[2])
    assert store.delete_prefix("clips/a") >= 5
    assert store.delete_prefix("clips/a") == 0
    assert objects(s3_url)
    assert all(name.startswith("clips/ab/") for name in objects(s3_url))


def test_more_objects_than_one_request_deletes(store: ArtifactStore, s3_url: str) -> None:
    raw = from_url(s3_url)
    for i in range(1_100):  # S3 lists and deletes 1,000 at a time
        obstore.put(raw, f"clips/many/{i}", b"x")
    assert store.delete_prefix("clips/many") == 1_100
    assert objects(s3_url) == []


def test_an_outage_is_said_soon_and_passes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with s3_server(tmp_path / "s3") as server:
        for name, value in server.environment.items():
            monkeypatch.setenv(name, value)
        store = ArtifactStore("s3://tests/outage")
        artifact = store.put_bytes(DATA)
        wrong = server.environment | {"AWS_SECRET_ACCESS_KEY": "wrong"}
        for name, value in wrong.items():
            monkeypatch.setenv(name, value)
        with pytest.raises(UnavailableError, match="s3://tests/outage"):
            ArtifactStore("s3://tests/outage").get_bytes(artifact)
    begin = time.monotonic()
    with pytest.raises(UnavailableError, match="s3://tests/outage"):
        store.get_bytes(artifact)
    assert time.monotonic() - begin < 30

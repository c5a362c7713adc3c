"""The artifact store on a real folder: digests, damage, a full disk, Zarr."""

import asyncio
import hashlib
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

import numpy as np
import pytest
import zarr
from autoisp_core.artifact import Artifact
from autoisp_core.errors import (
    DataLossError,
    InvalidArgumentError,
    NotFoundError,
    OutOfRangeError,
    UnavailableError,
)
from autoisp_runtime import artifacts
from autoisp_runtime.artifacts import ArtifactStore
from autoisp_runtime.async_artifacts import AsyncArtifactStore

DATA = bytes(range(256)) * 5000


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    return tmp_path / "the store"


@pytest.fixture
def store(folder: Path) -> ArtifactStore:
    return ArtifactStore(folder.as_uri())


def files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_bytes_come_back_under_their_digest(store: ArtifactStore, folder: Path) -> None:
    artifact = store.put_bytes(DATA, "video/raw")
    assert artifact.uri == f"blobs/{artifact.sha256[:2]}/{artifact.sha256}"
    assert (artifact.size_bytes, artifact.media_type) == (len(DATA), "video/raw")
    assert store.put_bytes(DATA, "video/raw") == artifact
    assert files(folder) == [artifact.uri]
    assert store.get_bytes(artifact) == DATA
    assert b"".join(store.iter_bytes(artifact, 1000)) == DATA
    assert max(map(len, store.iter_bytes(artifact, 1000))) == 1000
    assert store.read_range(artifact, 255, 3) == b"\xff\x00\x01"


def test_empty_bytes_are_an_artifact_too(store: ArtifactStore) -> None:
    artifact = store.put_bytes(b"")
    assert store.exists(artifact)
    assert store.get_bytes(artifact) == b""
    assert list(store.iter_bytes(artifact)) == []


def test_files_go_in_and_out(store: ArtifactStore, tmp_path: Path, folder: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(DATA * 20)  # more than one part of a multipart upload
    artifact = store.put_file(source, "video/mp4")
    assert store.put_bytes(DATA * 20, "video/mp4") == artifact
    target = store.get_file(artifact, tmp_path / "target")
    assert target.read_bytes() == DATA * 20
    assert files(folder) == [artifact.uri]


def test_damage_is_noticed(store: ArtifactStore, tmp_path: Path, folder: Path) -> None:
    artifact = store.put_bytes(DATA)
    changed = bytearray(DATA)
    changed[7] ^= 1
    for damaged in (bytes(changed), DATA[:-1], b""):
        (folder / artifact.uri).write_bytes(damaged)
        with pytest.raises(DataLossError, match="is damaged"):
            store.get_bytes(artifact)
        with pytest.raises(DataLossError):
            list(store.iter_bytes(artifact))
        with pytest.raises(DataLossError):
            store.get_file(artifact, tmp_path / "target")
        assert not (tmp_path / "target").exists()
        assert not (tmp_path / "target.part").exists()


def test_what_was_checked_is_checked_again_when_it_was_written_since(
    store: ArtifactStore, folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    artifact, other = store.put_bytes(DATA), store.put_bytes(DATA + b"x")
    path = folder / artifact.uri
    hashed = 0

    class Counting:
        def __init__(self) -> None:
            self._real = hashlib.new("sha256")

        def update(self, data: bytes) -> None:
            nonlocal hashed
            hashed += len(data)
            self._real.update(data)

        def hexdigest(self) -> str:
            return self._real.hexdigest()

    monkeypatch.setattr(artifacts.hashlib, "sha256", Counting)
    for times, recheck in ((1, False), (1, False), (2, True), (2, False)):
        assert b"".join(store.iter_bytes(artifact, 1000, recheck=recheck)) == DATA
        assert hashed == times * len(DATA)
    path.write_bytes(DATA[:-1] + b"?")
    for _ in range(2):
        with pytest.raises(DataLossError):
            list(store.iter_bytes(artifact, recheck=False))
    path.write_bytes(DATA)
    assert b"".join(store.iter_bytes(artifact, recheck=False)) == DATA
    # Of a part nothing is learnt.
    assert b"".join(store.iter_bytes(other, offset=1, recheck=False)) == DATA[1:] + b"x"
    (folder / other.uri).write_bytes(DATA + b"y")
    with pytest.raises(DataLossError):
        list(store.iter_bytes(other, recheck=False))


def test_a_shortened_blob_is_mended_by_putting_it_again(store: ArtifactStore, folder: Path) -> None:
    artifact = store.put_bytes(DATA)
    (folder / artifact.uri).write_bytes(DATA[:10])
    store.put_bytes(DATA)
    assert store.get_bytes(artifact) == DATA


def test_what_is_not_there(store: ArtifactStore, tmp_path: Path) -> None:
    artifact = Artifact("blobs/00/none", "0" * 64, 5)
    assert not store.exists(artifact)
    for read in (store.get_bytes, lambda a: list(store.iter_bytes(a)), lambda a: store.read_range(a, 0, 1)):
        with pytest.raises(NotFoundError):
            read(artifact)
    store.delete(artifact)
    with pytest.raises(OutOfRangeError):
        store.read_range(artifact, 3, 3)


def test_the_first_result_wins(store: ArtifactStore) -> None:
    assert store.get_result("trials/t-1") is None
    assert store.put_result("trials/t-1", b"first")
    assert not store.put_result("trials/t-1", b"second")
    assert store.get_result("trials/t-1") == b"first"
    assert store.put_result("trials/t-1", b"third", overwrite=True)
    assert store.get_result("trials/t-1") == b"third"
    store.delete_result("trials/t-1")
    store.delete_result("trials/t-1")
    assert store.get_result("trials/t-1") is None


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


@pytest.mark.parametrize("key", ["", "/", "../x", "a/../b", "a//b", "a b", "/etc/passwd", ".hidden", "a\n"])
def test_keys_stay_inside_the_store(store: ArtifactStore, key: str) -> None:
    with pytest.raises(InvalidArgumentError):
        store.put_result(key, b"")
    with pytest.raises(InvalidArgumentError):
        store.delete_prefix(key)


def test_clips_are_zarr_and_can_be_deleted(store: ArtifactStore, folder: Path) -> None:
    frames = np.arange(4 * 6 * 8 * 3, dtype=np.uint8).reshape(4, 6, 8, 3)
    for clip in ("clips/a", "clips/ab"):
        group = zarr.open_group(store=store.zarr_store(clip), mode="w")
        group.create_array("frames", data=frames, chunks=(1, 6, 8, 3))
    reader = ArtifactStore(folder.as_uri())
    again = zarr.open_group(store=reader.zarr_store("clips/a", read_only=True), mode="r")
    np.testing.assert_array_equal(again["frames"][2], frames[2])
    assert store.delete_prefix("clips/a") >= 5
    assert store.delete_prefix("clips/a") == 0
    assert all(name.startswith("clips/ab/") for name in files(folder))


async def test_the_event_loop_gets_the_same(store: ArtifactStore) -> None:
    artifacts = AsyncArtifactStore(store)
    artifact = await artifacts.put_bytes(DATA)
    assert b"".join([chunk async for chunk in artifacts.stream(artifact, 100_000)]) == DATA
    assert await artifacts.get_bytes(artifact) == DATA
    assert await artifacts.put_result("k", b"1")
    assert await artifacts.get_result("k") == b"1"
    results = await asyncio.gather(*(artifacts.get_bytes(artifact) for _ in range(20)))
    assert all(data == DATA for data in results)
    await artifacts.delete(artifact)
    assert not await artifacts.exists(artifact)


FILL = """
import resource, signal, sys
from pathlib import Path
from autoisp_core.errors import ResourceExhaustedError
from autoisp_runtime.artifacts import ArtifactStore

store = ArtifactStore(sys.argv[1])
signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
resource.setrlimit(resource.RLIMIT_FSIZE, (50_000, 50_000))
for put in (
    lambda: store.put_bytes(bytes(1_000_000)),
    lambda: store.put_file(Path(sys.argv[2])),
    lambda: store.put_result("r", bytes(1_000_000)),
    lambda: store.put_result("r", bytes(1_000_000), overwrite=True),
):
    try:
        put()
    except ResourceExhaustedError as error:
        assert "AUTOISP_STORE_URL" in str(error) and sys.argv[1] in str(error), error
    else:
        sys.exit("was not refused")
"""


def test_a_full_disk_is_said_and_leaves_nothing(store: ArtifactStore, folder: Path, tmp_path: Path) -> None:
    source = tmp_path / "source"
    source.write_bytes(bytes(20_000_000))
    subprocess.run([sys.executable, "-c", FILL, folder.as_uri(), source], check=True)
    assert files(folder) == []


WRITE = """
import os, sys
from autoisp_runtime.artifacts import ArtifactStore

store = ArtifactStore(sys.argv[1])
while True:
    store.put_bytes(os.urandom(1 << 20) * 16)
    print("stored", flush=True)
"""


def test_a_killed_writer_leaves_nothing_under_a_digest_that_is_not_whole(folder: Path) -> None:
    for attempt in range(5):
        command = [sys.executable, "-c", WRITE, folder.as_uri()]
        with subprocess.Popen(command, stdout=subprocess.PIPE) as writer:
            assert writer.stdout is not None
            writer.stdout.readline()
            time.sleep(0.005 * attempt)  # within another write, at another place of it
            writer.kill()
    whole = [path for path in folder.rglob("*") if path.is_file() and "#" not in path.name]
    assert len(whole) >= 5
    for path in whole:  # what was being written has another name, which no reader asks for
        with path.open("rb") as file:
            assert hashlib.file_digest(file, "sha256").hexdigest() == path.name


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_without_permission_is_unavailable(store: ArtifactStore, folder: Path) -> None:
    folder.chmod(0o500)
    with pytest.raises(UnavailableError):
        store.put_bytes(DATA)


@pytest.mark.parametrize("url", ["http://x/y", "s3://", "file://host/x", ""])
def test_other_stores_are_refused(url: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        ArtifactStore(url)
    assert caught.value.field == "store_url"

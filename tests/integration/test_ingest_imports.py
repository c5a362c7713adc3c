"""Imports: what the server may read and what not, from folders and from buckets."""

from __future__ import annotations

import hashlib
import os
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from autoisp.ingest.v1 import ingest_pb2
from autoisp_client import Client
from autoisp_core.errors import (
    AutoISPError,
    InvalidArgumentError,
    PermissionDeniedError,
    ResourceExhaustedError,
    UnavailableError,
)
from autoisp_testing.scenes import moving_scene, write_png_folder, write_video
from ingest_calls import Ingest, running_ingest


class Bucket(BaseHTTPRequestHandler):
    """As much of S3's protocol as reading needs: one bucket ``footage``, objects by key."""

    objects: dict[str, bytes]

    def do_HEAD(self) -> None:
        self._answer(with_body=False)

    def do_GET(self) -> None:
        self._answer(with_body=True)

    def _answer(self, *, with_body: bool) -> None:
        data = self.objects.get(self.path)
        if self.path.endswith("/forbidden.mp4"):
            self.send_error(403)
            return
        if data is None:
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(data)))
        self.send_header("Last-Modified", "Thu, 01 Jan 2026 00:00:00 GMT")
        self.send_header("ETag", '"1"')
        self.end_headers()
        if with_body:
            self.wfile.write(data)

    def log_message(self, *words: object) -> None:
        return None


@pytest.fixture(scope="module")
def footage(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An allowed folder, another one beside it, and links between them."""
    base = tmp_path_factory.mktemp("footage")
    allowed, secret = base / "allowed", base / "allowed-not"
    for folder in (allowed, secret):
        folder.mkdir()
        write_video(folder / "street one.mp4", moving_scene(6, seed=1))
    write_png_folder(allowed / "shot", moving_scene(10, seed=2))
    write_png_folder(allowed / "leak", moving_scene(3, seed=3))
    os.symlink(next((allowed / "shot").iterdir()), allowed / "leak" / "inside.png")
    os.symlink(secret / "street one.mp4", allowed / "out.mp4")
    os.symlink(allowed / "street one.mp4", allowed / "in.mp4")
    write_png_folder(allowed / "way-out", moving_scene(3, seed=3))
    os.symlink(secret / "street one.mp4", allowed / "way-out" / "0003.png")
    os.symlink(allowed / "loop", allowed / "loop")
    (allowed / "notes.txt").write_text("no footage")
    (allowed / "notes.mp4").write_text("no footage")
    (allowed / "empty.mp4").touch()
    os.mkfifo(allowed / "pipe.mp4")
    (allowed / "nothing").mkdir()
    with (allowed / "large.mp4").open("wb") as large:
        large.truncate(9 << 20)
    with (allowed / "large.txt").open("wb") as large:
        large.truncate(1 << 40)  # nobody reads this to its end
    return allowed


@pytest.fixture(scope="module")
def bucket(footage: Path) -> Iterator[str]:
    video = (footage / "street one.mp4").read_bytes()
    handler = type("Footage", (Bucket,), {"objects": {}})
    handler.objects = {f"/footage/{key}": video for key in ("raw/a.mp4", "raw2/a.mp4", "a.mp4")}
    handler.objects["/footage/raw/empty.mp4"] = b""
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_address[1]}"
    server.shutdown()
    server.server_close()


@pytest.fixture(scope="module")
def ingest(tmp_path_factory: pytest.TempPathFactory, footage: Path, bucket: str) -> Iterator[Ingest]:
    surroundings = {
        "AWS_ENDPOINT_URL": bucket,
        "AWS_ALLOW_HTTP": "true",
        "AWS_SKIP_SIGNATURE": "true",
        "AWS_REGION": "us-east-1",
    }
    with pytest.MonkeyPatch.context() as patch:
        for name, value in surroundings.items():
            patch.setenv(name, value)
        roots = f"{footage.as_uri()}, s3://footage/raw"
        folder = tmp_path_factory.mktemp("ingest")
        with running_ingest(folder, import_roots=roots, max_upload_bytes=8 << 20) as running:
            yield running


@pytest.fixture(scope="module")
def client(ingest: Ingest) -> Iterator[Client]:
    with ingest.client(patience=0) as opened:
        yield opened


def test_a_file_is_the_clip_that_its_upload_is(ingest: Ingest, client: Client, footage: Path) -> None:
    path = footage / "street one.mp4"
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    clip = client.import_clip(path.as_uri(), sha256=digest)
    assert (clip.display_name, clip.frame_count, clip.source_sha256) == ("street one.mp4", 6, digest)
    assert client.upload_clip(path) == clip
    assert client.import_clip((footage / "in.mp4").as_uri()) == clip
    assert client.import_clip("s3://footage/raw/a.mp4", sha256=digest) == clip
    client.delete_clip(clip.name)
    again = client.import_clip("s3://footage/raw/a.mp4", display_name="From a bucket")
    assert (again.name, again.display_name) == (clip.name, "From a bucket")
    assert ingest.spooled() == []


def test_a_folder_of_stills_is_the_clip_that_its_upload_is(client: Client, footage: Path) -> None:
    clip = client.import_clip((footage / "shot").as_uri() + "/")
    assert (clip.frame_count, clip.codec, clip.display_name) == (10, "png", "shot.tar")
    assert client.upload_clip(footage / "shot") == clip
    assert client.import_clip((footage / "leak").as_uri()).frame_count == 4


REFUSED: dict[str, tuple[str, type[AutoISPError], str]] = {
    "another folder": ("{base}/allowed-not/street%20one.mp4", PermissionDeniedError, "AUTOISP_IMPORT_ROOTS"),
    "the folder above": ("{base}/allowed/../allowed-not/street%20one.mp4", PermissionDeniedError, "ROOTS"),
    "an escaped way up": (
        "{base}/allowed/%2e%2e/allowed-not/street%20one.mp4",
        PermissionDeniedError,
        "ROOTS",
    ),
    "a link that leads out": ("{base}/allowed/out.mp4", PermissionDeniedError, "AUTOISP_IMPORT_ROOTS"),
    "a folder with a link that leads out": ("{base}/allowed/way-out", PermissionDeniedError, "ROOTS"),
    "what is not there, outside": ("file:///no/such/file.mp4", PermissionDeniedError, "ROOTS"),
    "the system": ("file:///etc/passwd", PermissionDeniedError, "AUTOISP_IMPORT_ROOTS"),
    "a loop of links": ("{base}/allowed/loop", PermissionDeniedError, "AUTOISP_IMPORT_ROOTS"),
    "another bucket": ("s3://others/raw/a.mp4", PermissionDeniedError, "AUTOISP_IMPORT_ROOTS"),
    "another prefix": ("s3://footage/a.mp4", PermissionDeniedError, "AUTOISP_IMPORT_ROOTS"),
    "a prefix that begins alike": ("s3://footage/raw2/a.mp4", PermissionDeniedError, "ROOTS"),
    "dots in a key": ("s3://footage/raw/../a.mp4", InvalidArgumentError, "s3://BUCKET/KEY"),
    "what is not there, inside": ("{base}/allowed/none.mp4", InvalidArgumentError, "no file"),
    "what is not in the bucket": ("s3://footage/raw/none.mp4", InvalidArgumentError, "nothing at"),
    "what the bucket keeps": ("s3://footage/raw/forbidden.mp4", UnavailableError, "access"),
    "an empty object": ("s3://footage/raw/empty.mp4", InvalidArgumentError, "empty"),
    "an empty file": ("{base}/allowed/empty.mp4", InvalidArgumentError, "empty"),
    "a name that no disk takes": ("{base}/allowed/" + "a" * 300 + ".mp4", InvalidArgumentError, "no file"),
    "a file as a folder": ("{base}/allowed/in.mp4/a.mp4", InvalidArgumentError, "no file"),
    "a large text": ("{base}/allowed/large.txt", InvalidArgumentError, "extension"),
    "a pipe": ("{base}/allowed/pipe.mp4", InvalidArgumentError, "no file"),
    "a folder of nothing": ("{base}/allowed/nothing", InvalidArgumentError, ".png"),
    "no footage": ("{base}/allowed/notes.txt", InvalidArgumentError, "extension"),
    "text as mp4": ("{base}/allowed/notes.mp4", InvalidArgumentError, "no video"),
    "too large": ("{base}/allowed/large.mp4", ResourceExhaustedError, "quota"),
    "nothing": ("", InvalidArgumentError, "file:///FOLDER"),
    "a path": ("/etc/passwd", InvalidArgumentError, "file:///FOLDER"),
    "another machine": ("file://server/share/a.mp4", InvalidArgumentError, "file:///FOLDER"),
    "the web": ("http://127.0.0.1:9/a.mp4", InvalidArgumentError, "file:///FOLDER"),
    "a zero byte": ("{base}/allowed/a%00.mp4", InvalidArgumentError, "file:///FOLDER"),
    "a bucket without a name": ("s3:///raw/a.mp4", InvalidArgumentError, "s3://BUCKET"),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_may_not_be_imported(ingest: Ingest, client: Client, footage: Path, case: str) -> None:
    uri, kind, says = REFUSED[case]
    before = ingest.clip_names(), ingest.files()
    with pytest.raises(kind, match=says) as caught:
        client.import_clip(uri.format(base=footage.parent.as_uri()))
    assert caught.value.metadata["field"] == "uri"
    assert (ingest.clip_names(), ingest.files()) == before


def test_another_digest(ingest: Ingest, client: Client, footage: Path) -> None:
    for name in ("street one.mp4", "shot"):
        with pytest.raises(InvalidArgumentError) as caught:
            client.import_clip((footage / name).as_uri(), sha256="0" * 64)
        assert caught.value.field == "sha256"
    assert ingest.spooled() == []


def test_nothing_is_allowed_until_it_is_set(tmp_path: Path) -> None:
    path = write_video(tmp_path / "a.mp4", moving_scene())
    with running_ingest(tmp_path) as ingest, ingest.client() as client:
        with pytest.raises(PermissionDeniedError, match=r"AUTOISP_IMPORT_ROOTS.*nothing, until"):
            client.import_clip(path.as_uri())
        assert client.list_clips() is not None
        assert not ingest.stub.ListClips(ingest_pb2.ListClipsRequest()).clips

"""Downloads that go on where they broke off, against a server that breaks off as it is told."""

from __future__ import annotations

import asyncio
import hashlib
import os
import resource
import subprocess
import sys
import threading
from collections.abc import Iterator
from concurrent import futures
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import pytest
from autoisp.common.v1 import common_pb2
from autoisp.registry.v1 import registry_pb2, registry_pb2_grpc
from autoisp_client import AsyncClient, Client, DownloadProgress
from autoisp_client.partial_file import PartialFile
from autoisp_core.errors import (
    DataLossError,
    InvalidArgumentError,
    ResourceExhaustedError,
    UnavailableError,
)

CHUNK = 100_000
BLOB = os.urandom(CHUNK * 7 + 123)
DIGEST = hashlib.sha256(BLOB).hexdigest()
VERSION = "models/m/versions/1"


@dataclass
class Registry(registry_pb2_grpc.RegistryServiceServicer):
    """Sends a blob.

    Attributes:
        breaks: after how many chunks each of the next streams breaks off.
        data: what it sends.
        requests: all that came.
        gate: every chunk waits for it.
    """

    breaks: list[int] = field(default_factory=list)
    data: bytes = BLOB
    described: common_pb2.Artifact = field(
        default_factory=lambda: common_pb2.Artifact(sha256=DIGEST, size_bytes=len(BLOB))
    )
    requests: list[registry_pb2.DownloadArtifactRequest] = field(default_factory=list)
    gate: threading.Event = field(default_factory=threading.Event)
    sent: threading.Event = field(default_factory=threading.Event)
    honours_offset: bool = True

    def DownloadArtifact(self, request: Any, context: Any) -> Iterator[Any]:  # noqa: N802
        self.requests.append(request)
        left = self.breaks.pop(0) if self.breaks else 1000
        yield registry_pb2.DownloadArtifactResponse(artifact=self.described)
        for start in range(request.offset if self.honours_offset else 0, len(self.data), CHUNK):
            if not left:
                context.abort(grpc.StatusCode.UNAVAILABLE, "going down")
            left -= 1
            yield registry_pb2.DownloadArtifactResponse(chunk=self.data[start : start + CHUNK])
            self.sent.set()
            self.gate.wait(30)


@pytest.fixture
def registry() -> Iterator[Registry]:
    servicer = Registry()
    servicer.gate.set()
    yield servicer
    servicer.gate.set()


@pytest.fixture
def address(registry: Registry) -> Iterator[str]:
    server = grpc.server(futures.ThreadPoolExecutor(8))
    registry_pb2_grpc.add_RegistryServiceServicer_to_server(registry, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(0).wait()


def part_of(folder: Path) -> Path:
    return folder / f".{DIGEST}.part"


def test_a_broken_stream_goes_on_at_its_offset(registry: Registry, address: str, tmp_path: Path) -> None:
    registry.breaks = [3, 0, 2]
    heard: list[DownloadProgress] = []
    with Client(address) as client:
        artifact = client.download(
            tmp_path / "sub" / "m.onnx", model_version=VERSION, format="onnx-int8", on_progress=heard.append
        )
    assert (tmp_path / "sub" / "m.onnx").read_bytes() == BLOB
    assert artifact == registry.described
    assert [request.offset for request in registry.requests] == [0, 3 * CHUNK, 3 * CHUNK, 5 * CHUNK]
    # An alias could have moved in between: the rest is asked for by digest.
    assert [r.model_version for r in registry.requests] == [VERSION, "", "", ""]
    assert {r.sha256 for r in registry.requests[1:]} == {DIGEST}
    assert registry.requests[0].format == "onnx-int8"
    assert [p.received_bytes for p in heard] == [min(n * CHUNK, len(BLOB)) for n in range(1, 9)]
    assert {(p.size_bytes, p.resumed_bytes) for p in heard} == {(len(BLOB), 0)}
    assert heard[-1].fraction == 1
    assert heard[-1].megabytes_per_second > 0
    assert [path.name for path in (tmp_path / "sub").iterdir()] == ["m.onnx"]


async def test_the_asyncio_client_goes_on_too(registry: Registry, address: str, tmp_path: Path) -> None:
    registry.breaks = [3, 0, 2]
    heard: list[DownloadProgress] = []
    async with AsyncClient(address) as client:
        await client.download(tmp_path / "m.onnx", sha256=DIGEST, on_progress=heard.append)
    assert (tmp_path / "m.onnx").read_bytes() == BLOB
    assert [request.offset for request in registry.requests] == [0, 3 * CHUNK, 3 * CHUNK, 5 * CHUNK]
    assert heard[-1].received_bytes == len(BLOB)


async def test_a_cancelled_download_is_gone_on_with(registry: Registry, address: str, tmp_path: Path) -> None:
    registry.gate.clear()
    async with AsyncClient(address) as client:
        task = asyncio.create_task(client.download(tmp_path / "m.onnx", sha256=DIGEST))
        while not (part_of(tmp_path).exists() and part_of(tmp_path).stat().st_size):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        registry.gate.set()
        assert part_of(tmp_path).stat().st_size == CHUNK
        await client.download(tmp_path / "m.onnx", sha256=DIGEST)
    assert (tmp_path / "m.onnx").read_bytes() == BLOB
    assert registry.requests[-1].offset == CHUNK
    assert not part_of(tmp_path).exists()


def test_patience_ends_and_what_came_waits(registry: Registry, address: str, tmp_path: Path) -> None:
    registry.breaks = [2] + [0] * 1000
    with Client(address, patience=0.3) as client:
        with pytest.raises(UnavailableError):
            client.download(tmp_path / "m.onnx", sha256=DIGEST)
        assert part_of(tmp_path).read_bytes() == BLOB[: 2 * CHUNK]
        assert not (tmp_path / "m.onnx").exists()
        registry.breaks.clear()
        heard: list[DownloadProgress] = []
        client.download(tmp_path / "m.onnx", model_version=VERSION, on_progress=heard.append)
    assert (tmp_path / "m.onnx").read_bytes() == BLOB
    assert registry.requests[-1].offset == 2 * CHUNK
    assert {p.resumed_bytes for p in heard} == {2 * CHUNK}
    assert heard[0].received_bytes == 3 * CHUNK


@pytest.mark.parametrize("already", [1, CHUNK + 17, len(BLOB) - 1, len(BLOB)])
def test_another_process_goes_on(registry: Registry, address: str, tmp_path: Path, already: int) -> None:
    part_of(tmp_path).write_bytes(BLOB[:already])
    with Client(address) as client:
        client.download(tmp_path / "m.onnx", sha256=DIGEST)
    assert (tmp_path / "m.onnx").read_bytes() == BLOB
    # If all is there, only its description is asked for.
    assert [r.offset for r in registry.requests] == ([0] if already == len(BLOB) else [0, already])
    assert os.stat(tmp_path / "m.onnx").st_mode & 0o777 == 0o644


@pytest.mark.parametrize("bad", [b"?" * 1000, b"?" * len(BLOB), BLOB + b"?", BLOB[:-1] + b"?"])
def test_a_part_with_bad_bytes_is_fetched_anew_once(
    registry: Registry, address: str, tmp_path: Path, bad: bytes
) -> None:
    part_of(tmp_path).write_bytes(bad)
    with Client(address) as client:
        client.download(tmp_path / "m.onnx", sha256=DIGEST)
    assert (tmp_path / "m.onnx").read_bytes() == BLOB
    assert registry.requests[-1].offset == 0
    assert len(registry.requests) <= 3
    assert [path.name for path in tmp_path.iterdir()] == ["m.onnx"]


def test_bad_bytes_from_the_server_are_not_asked_for_for_ever(
    registry: Registry, address: str, tmp_path: Path
) -> None:
    registry.data = BLOB[:-1] + b"?"
    part_of(tmp_path).write_bytes(BLOB[:CHUNK])
    with Client(address) as client, pytest.raises(DataLossError, match="damaged"):
        client.download(tmp_path / "m.onnx", sha256=DIGEST)
    assert [r.offset for r in registry.requests] == [0, CHUNK, 0]
    assert list(tmp_path.iterdir()) == []


def test_a_server_that_knows_no_offsets_still_serves(
    registry: Registry, address: str, tmp_path: Path
) -> None:
    registry.honours_offset = False
    registry.breaks = [3]
    with Client(address) as client:
        client.download(tmp_path / "m.onnx", sha256=DIGEST)
    assert (tmp_path / "m.onnx").read_bytes() == BLOB


def test_too_many_bytes_and_other_ones(registry: Registry, address: str, tmp_path: Path) -> None:
    with Client(address, patience=0.2) as client:
        registry.data = BLOB + BLOB
        with pytest.raises(DataLossError):
            client.download(tmp_path / "m.onnx", sha256=DIGEST)
        with pytest.raises(DataLossError, match="offers"):
            client.download(tmp_path / "m.onnx", sha256="0" * 64)
        registry.data = BLOB[:CHUNK]
        with pytest.raises(UnavailableError):  # it ends early, again and again
            client.download(tmp_path / "m.onnx", sha256=DIGEST)
        assert part_of(tmp_path).exists()
    assert not (tmp_path / "m.onnx").exists()


def test_two_at_once_do_not_spoil_each_other(registry: Registry, address: str, tmp_path: Path) -> None:
    registry.gate.clear()
    with Client(address) as client, futures.ThreadPoolExecutor(2) as pool:
        first = pool.submit(client.download, tmp_path / "a.onnx", sha256=DIGEST)
        registry.sent.wait(30)
        second = pool.submit(client.download, tmp_path / "b.onnx", sha256=DIGEST)
        while len(registry.requests) < 2:
            registry.sent.wait(0.01)
        registry.gate.set()
        first.result(30)
        second.result(30)
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes() == BLOB
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.onnx", "b.onnx"]


def test_of_two_writers_the_second_gets_a_file_of_its_own(tmp_path: Path) -> None:
    first = PartialFile(tmp_path, DIGEST)
    first.append(BLOB[:10])
    second = PartialFile(tmp_path, DIGEST)
    assert second.size == 0
    second.append(BLOB)
    second.become(tmp_path / "m")
    first.append(BLOB[10:])
    assert first.sha256 == DIGEST
    first.close()
    third = PartialFile(tmp_path, DIGEST)
    assert (third.size, third.sha256) == (len(BLOB), DIGEST)
    third.discard()
    assert [path.name for path in tmp_path.iterdir()] == ["m"]


def test_a_part_that_is_a_link_is_not_followed(tmp_path: Path) -> None:
    (tmp_path / "victim").write_bytes(b"precious")
    part_of(tmp_path).symlink_to("victim")
    part = PartialFile(tmp_path, DIGEST)
    part.append(BLOB)
    part.become(tmp_path / "m")
    assert (tmp_path / "victim").read_bytes() == b"precious"
    assert (tmp_path / "m").read_bytes() == BLOB


def test_a_folder_that_is_none_is_said(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ResourceExhaustedError, match="can't write"):
        PartialFile(tmp_path / "file", DIGEST)


LIMITED = """
import resource, sys
from autoisp_client import Client
from autoisp_core.errors import ResourceExhaustedError
resource.setrlimit(resource.RLIMIT_FSIZE, (250_000, 250_000))
try:
    with Client(sys.argv[1]) as client:
        client.download(sys.argv[2], sha256=sys.argv[3])
except ResourceExhaustedError as error:
    print(error.reason, error)
"""


def test_a_full_disk_is_said_and_what_came_waits(registry: Registry, address: str, tmp_path: Path) -> None:
    assert resource.getrlimit(resource.RLIMIT_FSIZE)[0] == resource.RLIM_INFINITY
    ran = subprocess.run(
        [sys.executable, "-c", LIMITED, address, str(tmp_path / "m.onnx"), DIGEST],
        capture_output=True,
        text=True,
        timeout=60,
    )
    assert ran.stdout.startswith("DISK can't write"), ran.stderr
    assert "free some space" in ran.stdout
    assert part_of(tmp_path).read_bytes() == BLOB[:250_000]
    with Client(address) as client:
        client.download(tmp_path / "m.onnx", sha256=DIGEST)
    assert (tmp_path / "m.onnx").read_bytes() == BLOB
    assert registry.requests[-1].offset == 250_000


def test_nonsense_is_refused_before_anything_is_written(address: str, tmp_path: Path) -> None:
    with Client(address) as client:
        for wrong in (
            {},
            {"model_version": VERSION, "sha256": DIGEST},
            {"sha256": DIGEST, "format": "onnx-int8"},
        ):
            with pytest.raises(InvalidArgumentError):
                client.download(tmp_path / "m.onnx", **wrong)  # type: ignore[arg-type]
    assert list(tmp_path.iterdir()) == []

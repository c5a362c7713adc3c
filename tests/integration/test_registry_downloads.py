"""Downloads from the real registry: ranges, and servers and clients that are killed in the middle."""

from __future__ import annotations

import asyncio
import hashlib
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from autoisp.common.v1 import common_pb2
from autoisp.registry.v1 import registry_pb2, registry_pb2_grpc
from autoisp_client import AsyncClient, Client, DownloadProgress
from autoisp_core.errors import DataLossError, ErrorCode
from autoisp_runtime.artifacts import ArtifactStore
from autoisp_testing.graphs import root_of
from autoisp_testing.nats import NatsServer
from autoisp_testing.processes import ServiceProcess
from evaluation_calls import put_bytes, refused, store_in

MIB = 1 << 20
DATA = os.urandom(48 * MIB + 321)
DIGEST = hashlib.sha256(DATA).hexdigest()
Ask = registry_pb2.DownloadArtifactRequest


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("registry")


@pytest.fixture(scope="module")
def service(folder: Path) -> Iterator[ServiceProcess]:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    # On the same port after a restart, as behind a cluster's address.
    with (
        NatsServer(folder / "nats") as nats,
        ServiceProcess("autoisp_registry", folder, nats_url=nats.url, listen=f"127.0.0.1:{port}") as process,
    ):
        yield process


@pytest.fixture(scope="module")
def store(folder: Path) -> ArtifactStore:
    return store_in(folder)


@pytest.fixture(scope="module")
def artifact(store: ArtifactStore, service: ServiceProcess) -> common_pb2.Artifact:
    made = put_bytes(store, DATA)
    assert made.sha256 == DIGEST
    return made


async def test_any_range(service: ServiceProcess, store: ArtifactStore) -> None:
    data = os.urandom(3 * MIB + 7)
    size, sha256 = len(data), put_bytes(store, data).sha256
    async with grpc.aio.insecure_channel(service.address) as channel:
        stub = registry_pb2_grpc.RegistryServiceStub(channel)
        for offset, length in (
            *((0, 0), (0, 1), (0, size), (0, size + 5), (1, 0), (MIB - 1, 2), (MIB, MIB)),
            *((size - 1, 0), (size - 1, 1), (size - 1, 10), (size, 0), (size, 5), (7, 1 << 62)),
        ):
            first, *rest = [
                r async for r in stub.DownloadArtifact(Ask(sha256=sha256, offset=offset, length=length))
            ]
            assert first.artifact.size_bytes == size
            assert b"".join(r.chunk for r in rest) == data[offset : offset + length if length else size]
            assert all(0 < len(r.chunk) <= MIB for r in rest)
        for wrong, field in (
            (Ask(sha256=sha256, offset=size + 1), "offset"),
            (Ask(sha256=sha256, offset=1 << 62), "offset"),
            (Ask(sha256=sha256, offset=-1), "offset"),
            (Ask(sha256=sha256, length=-1), "length"),
        ):
            error = await refused(stub.DownloadArtifact(wrong))
            assert (error.code, error.metadata["field"]) == (ErrorCode.OUT_OF_RANGE, field)
            assert error.metadata["size_bytes"] == str(size)


async def test_wrong_formats(service: ServiceProcess, store: ArtifactStore) -> None:
    artifact = put_bytes(store, root_of(4.0))
    async with grpc.aio.insecure_channel(service.address) as channel:
        stub = registry_pb2_grpc.RegistryServiceStub(channel)
        version = await stub.RegisterModelVersion(
            registry_pb2.RegisterModelVersionRequest(
                parent="models/formats", model_version=registry_pb2.ModelVersion(onnx=artifact)
            )
        )
        for format in ("", "onnx-fp32"):
            first = await anext(aiter(stub.DownloadArtifact(Ask(model_version=version.name, format=format))))
            assert first.artifact.sha256 == artifact.sha256
        for wrong, code, reason in (
            (Ask(model_version=version.name, format="onnx-int4"), ErrorCode.NOT_FOUND, "NO_FORMAT"),
            (Ask(model_version=version.name, format="../x"), ErrorCode.INVALID_ARGUMENT, "INVALID_ARGUMENT"),
            (
                Ask(model_version=version.name, format="x" * 5000),
                ErrorCode.INVALID_ARGUMENT,
                "INVALID_ARGUMENT",
            ),
            (Ask(sha256=artifact.sha256, format="onnx-fp32"), ErrorCode.INVALID_ARGUMENT, "INVALID_ARGUMENT"),
        ):
            error = await refused(stub.DownloadArtifact(wrong))
            assert (error.code, error.reason) == (code, reason)


def test_a_registry_that_is_killed_in_the_middle(
    service: ServiceProcess, artifact: common_pb2.Artifact, tmp_path: Path
) -> None:
    killed_at: list[int] = []
    heard: list[DownloadProgress] = []

    def slow_reader(progress: DownloadProgress) -> None:
        heard.append(progress)
        # Twice, as soon as a third and two thirds have come.
        if progress.received_bytes * 3 > len(DATA) * (len(killed_at) + 1) and len(killed_at) < 2:
            killed_at.append(progress.received_bytes)
            service.kill()
            service.start()

    with Client(service.address, patience=60) as client:
        got = client.download(tmp_path / "m.onnx", sha256=artifact.sha256, on_progress=slow_reader)
    assert hashlib.sha256((tmp_path / "m.onnx").read_bytes()).hexdigest() == DIGEST == got.sha256
    assert len(killed_at) == 2
    # Nothing came twice: what was received only grew.
    received = [progress.received_bytes for progress in heard]
    assert received == sorted(set(received))
    assert os.listdir(tmp_path) == ["m.onnx"]


CLIENT = """
import sys, time
from autoisp_client import Client
def on_progress(progress):
    time.sleep(float(sys.argv[4]))
with Client(sys.argv[1], patience=60) as client:
    client.download(sys.argv[2], sha256=sys.argv[3], on_progress=on_progress)
"""


def client_process(service: ServiceProcess, to: Path, pause_s: float) -> subprocess.Popen[bytes]:
    arguments = [service.address, str(to), DIGEST, str(pause_s)]
    return subprocess.Popen([sys.executable, "-c", CLIENT, *arguments])


def test_a_client_that_is_killed_in_the_middle(
    service: ServiceProcess, artifact: common_pb2.Artifact, tmp_path: Path
) -> None:
    part = tmp_path / f".{DIGEST}.part"
    client = client_process(service, tmp_path / "m.onnx", 0.05)
    deadline = time.monotonic() + 60
    while not part.exists() or part.stat().st_size < 5 * MIB:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    client.send_signal(signal.SIGKILL)
    client.wait(30)
    assert not (tmp_path / "m.onnx").exists()
    came = part.stat().st_size
    assert 5 * MIB <= came < len(DATA)
    heard: list[DownloadProgress] = []
    with Client(service.address) as again:
        again.download(tmp_path / "m.onnx", sha256=DIGEST, on_progress=heard.append)
    assert (heard[0].resumed_bytes, heard[-1].received_bytes) == (came, len(DATA))
    assert hashlib.sha256((tmp_path / "m.onnx").read_bytes()).hexdigest() == DIGEST
    assert os.listdir(tmp_path) == ["m.onnx"]


def test_processes_that_want_the_same_file_at_once(
    service: ServiceProcess, artifact: common_pb2.Artifact, tmp_path: Path
) -> None:
    clients = [client_process(service, tmp_path / "m.onnx", 0.001) for _ in range(3)]
    assert [client.wait(120) for client in clients] == [0, 0, 0]
    assert hashlib.sha256((tmp_path / "m.onnx").read_bytes()).hexdigest() == DIGEST
    assert os.listdir(tmp_path) == ["m.onnx"]


async def test_bytes_that_were_tampered_with_in_the_store(
    service: ServiceProcess, store: ArtifactStore, folder: Path, tmp_path: Path
) -> None:
    data = os.urandom(2 * MIB)
    artifact = put_bytes(store, data)
    stored = folder / "artifacts" / artifact.uri
    stored.write_bytes(data[:-1] + bytes([data[-1] ^ 1]))
    async with AsyncClient(service.address) as client:
        with pytest.raises(DataLossError):
            await client.download(tmp_path / "m.onnx", sha256=artifact.sha256)
        # A part whose own bytes are good does not hide it.
        (tmp_path / f".{artifact.sha256}.part").write_bytes(data[:MIB])
        with pytest.raises(DataLossError):
            await client.download(tmp_path / "m.onnx", sha256=artifact.sha256)
        stored.write_bytes(data[:MIB])
        with pytest.raises(DataLossError):
            await client.download(tmp_path / "m.onnx", sha256=artifact.sha256)
        assert await asyncio.to_thread(os.listdir, tmp_path) == []

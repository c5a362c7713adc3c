"""A version's files in one folder, from a server that may be anybody."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from concurrent import futures
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import pytest
import yaml
from autoisp.common.v1 import common_pb2
from autoisp.registry.v1 import registry_pb2, registry_pb2_grpc
from autoisp_client import AsyncClient, Client, DownloadProgress
from autoisp_core.errors import DataLossError, InvalidArgumentError, NotFoundError
from autoisp_core.release.command import main
from autoisp_core.release.ed25519 import PrivateKey
from autoisp_testing import graphs
from released import FILES, KEY, manifest

VERSION = "models/m/versions/3"
FP32, INT8 = "onnx-fp32.onnx", "onnx-int8.onnx"


def artifact(data: bytes) -> common_pb2.Artifact:
    return common_pb2.Artifact(sha256=hashlib.sha256(data).hexdigest(), size_bytes=len(data))


@dataclass
class Registry(registry_pb2_grpc.RegistryServiceServicer):
    """Has one version, and sends what it has under each digest."""

    envelope: bytes = field(default_factory=lambda: KEY.sign(manifest()).to_json())
    network: bytes = FILES["onnx-fp32"]
    keys: list[PrivateKey] = field(default_factory=lambda: [KEY])
    signed: bool = True
    spoilt: dict[str, bytes] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    def GetModelVersion(self, request: Any, context: Any) -> registry_pb2.ModelVersion:  # noqa: N802
        version = registry_pb2.ModelVersion(name=VERSION, onnx=artifact(self.network))
        if self.signed:
            version.signed_manifest.CopyFrom(artifact(self.envelope))
        return version

    def ListSigningKeys(self, request: Any, context: Any) -> registry_pb2.ListSigningKeysResponse:  # noqa: N802
        return registry_pb2.ListSigningKeysResponse(
            keys=[registry_pb2.SigningKey(public_key=key.public.pem) for key in self.keys]
        )

    def DownloadArtifact(self, request: Any, context: Any) -> Iterator[Any]:  # noqa: N802
        has = {artifact(data).sha256: data for data in (*FILES.values(), self.envelope, self.network)}
        sha256 = request.sha256 or artifact(self.network).sha256
        self.asked.append(sha256)
        yield registry_pb2.DownloadArtifactResponse(
            artifact=common_pb2.Artifact(sha256=sha256, size_bytes=len(has[sha256]))
        )
        yield registry_pb2.DownloadArtifactResponse(chunk=self.spoilt.get(sha256, has[sha256]))


@pytest.fixture
def registry() -> Registry:
    return Registry()


@pytest.fixture
def address(registry: Registry) -> Iterator[str]:
    server = grpc.server(futures.ThreadPoolExecutor(4))
    registry_pb2_grpc.add_RegistryServiceServicer_to_server(registry, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}"
    server.stop(0).wait()


@pytest.fixture
def key(tmp_path: Path) -> Path:
    (tmp_path / "registry.pem").write_text(KEY.public.pem)
    return tmp_path / "registry.pem"


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def test_all_files_with_their_manifest(address: str, tmp_path: Path, key: Path) -> None:
    heard: list[DownloadProgress] = []
    with Client(address) as client:
        release = client.download_release(
            tmp_path / "r", "models/m/versions/champion", keys=[key], on_progress=heard.append
        )
    assert (release.manifest, release.key, release.genuine) == (manifest(), KEY.public, True)
    assert names(tmp_path / "r") == ["manifest.json", FP32, INT8]
    assert (tmp_path / "r" / INT8).read_bytes() == FILES["onnx-int8"]
    assert {progress.size_bytes for progress in heard} == {7000, 2500}
    assert main([str(tmp_path / "r"), "--key", str(key), "--expect", VERSION]) == 0


async def test_the_asyncio_client_does_the_same(address: str, tmp_path: Path, key: Path) -> None:
    async with AsyncClient(address) as client:
        release = await client.download_release(tmp_path / "r", VERSION, formats=["onnx-int8"], keys=[key])
    assert [check.file.format for check in release.files] == ["onnx-int8"]
    assert names(tmp_path / "r") == ["manifest.json", INT8]


def test_without_keys_the_registrys_own_are_believed(
    registry: Registry, address: str, tmp_path: Path
) -> None:
    registry.keys = [PrivateKey.generate(), KEY]
    with Client(address) as client:
        assert client.download_release(tmp_path / "r", VERSION).key == KEY.public
        registry.keys = [PrivateKey.generate()]
        with pytest.raises(DataLossError, match="no trusted key"):
            client.download_release(tmp_path / "other", VERSION)
        registry.keys = []
        with pytest.raises(DataLossError, match="trusted are none"):
            client.download_release(tmp_path / "other", VERSION)
    assert names(tmp_path / "other") == []


def test_what_is_there_is_not_fetched_again(registry: Registry, address: str, tmp_path: Path) -> None:
    with Client(address) as client:
        client.download_release(tmp_path / "r", VERSION)
        (tmp_path / "r" / FP32).write_bytes(b"damaged")
        registry.asked.clear()
        client.download_release(tmp_path / "r", VERSION)
    assert registry.asked == [artifact(registry.envelope).sha256, artifact(FILES["onnx-fp32"]).sha256]
    assert (tmp_path / "r" / FP32).read_bytes() == FILES["onnx-fp32"]


def test_nothing_is_called_a_release_that_is_none(
    registry: Registry, address: str, tmp_path: Path, key: Path
) -> None:
    genuine = registry.envelope
    folder = tmp_path / "r"
    with Client(address) as client:
        registry.envelope = PrivateKey.generate().sign(manifest()).to_json()
        with pytest.raises(DataLossError, match="no trusted key"):
            client.download_release(folder, VERSION, keys=[key])
        registry.envelope = KEY.sign(manifest(version=2)).to_json()
        with pytest.raises(InvalidArgumentError, match="is of models/m/versions/2"):
            client.download_release(folder, VERSION, keys=[key])
        registry.envelope = b"{}"
        with pytest.raises(InvalidArgumentError):
            client.download_release(folder, VERSION, keys=[key])
        registry.envelope = genuine
        with pytest.raises(NotFoundError, match="has no onnx-fp16"):
            client.download_release(folder, VERSION, keys=[key], formats=["onnx-fp16"])
        registry.signed = False
        with pytest.raises(NotFoundError, match="no signed manifest"):
            client.download_release(folder, VERSION, keys=[key])
        assert names(folder) == []
        registry.signed = True
        registry.spoilt = {artifact(FILES["onnx-int8"]).sha256: b"x" * 2500}
        with pytest.raises(DataLossError, match="damaged"):
            client.download_release(folder, VERSION, keys=[key])
    assert "manifest.json" not in names(folder)
    assert INT8 not in names(folder)


def test_bad_keys_are_named(address: str, tmp_path: Path) -> None:
    (tmp_path / "private.pem").write_bytes(KEY.to_pem())
    with Client(address) as client:
        for path, message in (("private.pem", "private key"), ("none.pem", "No such file")):
            with pytest.raises(InvalidArgumentError, match=message) as caught:
                client.download_release(tmp_path / "r", VERSION, keys=[tmp_path / path])
            assert caught.value.field == "keys"
            assert path in caught.value.message


async def test_both_clients_export_for_mlflow(registry: Registry, address: str, tmp_path: Path) -> None:
    registry.network = graphs.root_of(1.0)
    with Client(address) as client:
        assert client.export_mlflow(tmp_path / "sync", "models/m/versions/latest").name == VERSION
        with pytest.raises(InvalidArgumentError, match="no flavor"):
            client.export_mlflow(tmp_path / "none", VERSION, format="executorch-xnnpack")
    async with AsyncClient(address) as aio:
        await aio.export_mlflow(tmp_path / "async", "models/m/versions/latest")
    files = ["MLmodel", "conda.yaml", "model.onnx", "python_env.yaml", "requirements.txt"]
    assert names(tmp_path / "sync") == names(tmp_path / "async") == files
    model = yaml.safe_load((tmp_path / "async" / "MLmodel").read_text())
    assert model["metadata"]["sha256"] == artifact(registry.network).sha256
    assert not (tmp_path / "none").exists()

"""The registry as a process: its keys, and versions whose files are fetched and checked."""

from __future__ import annotations

import base64
import json
import stat
from collections.abc import Iterator
from pathlib import Path

import grpc
import pytest
from autoisp.common.v1 import common_pb2
from autoisp.events.v1 import events_pb2
from autoisp.registry.v1 import registry_pb2, registry_pb2_grpc
from autoisp_client import AsyncClient, Client
from autoisp_core.errors import DataLossError, NotFoundError
from autoisp_core.ids import derived_id
from autoisp_core.release import MANIFEST_NAME
from autoisp_core.release.command import main
from autoisp_core.release.ed25519 import PrivateKey, PublicKey
from autoisp_runtime.artifacts import ArtifactStore
from autoisp_runtime.jetstream import Event, NatsConnection
from autoisp_testing.graphs import root_of
from autoisp_testing.nats import NatsServer
from autoisp_testing.processes import ServiceProcess
from evaluation_calls import publish, put_bytes, refused, store_in, until

EARLIER = PrivateKey.generate()


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("registry")


@pytest.fixture(scope="module")
def nats(folder: Path) -> Iterator[NatsServer]:
    with NatsServer(folder / "nats") as server:
        yield server


@pytest.fixture(scope="module")
def service(folder: Path, nats: NatsServer) -> Iterator[ServiceProcess]:
    (folder / "earlier.pem").write_text(EARLIER.public.pem)
    settings = {"nats_url": nats.url, "trusted_keys": folder / "earlier.pem"}
    with ServiceProcess("autoisp_registry", folder, **settings) as process:
        yield process


@pytest.fixture(scope="module")
def store(folder: Path) -> ArtifactStore:
    return store_in(folder)


@pytest.fixture
def client(service: ServiceProcess) -> Iterator[Client]:
    with Client(service.address) as opened:
        yield opened


def keys(service: ServiceProcess) -> list[registry_pb2.SigningKey]:
    with grpc.insecure_channel(service.address) as channel:
        stub = registry_pb2_grpc.RegistryServiceStub(channel)
        return list(stub.ListSigningKeys(registry_pb2.ListSigningKeysRequest(), timeout=30).keys)


def test_the_key_is_made_at_the_first_start_and_kept(service: ServiceProcess, folder: Path) -> None:
    path = folder / "registry-signing-key.pem"
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    active, earlier = keys(service)
    assert (active.active, earlier.active) == (True, False)
    public = PrivateKey.from_pem(path.read_bytes()).public
    assert (active.key_id, PublicKey.from_pem(active.public_key.encode())) == (public.key_id, public)
    assert (earlier.key_id, earlier.public_key) == (EARLIER.public.key_id, EARLIER.public.pem)
    service.stop()
    service.start()
    assert keys(service)[0] == active
    assert path.read_text().splitlines()[1] not in service.log


@pytest.mark.parametrize("kind", ["open", "trusted"])
def test_a_bad_key_ends_the_start_with_code_2(tmp_path: Path, nats: NatsServer, kind: str) -> None:
    path = tmp_path / "key.pem"
    path.write_bytes(EARLIER.to_pem())
    path.chmod(0o644 if kind == "open" else 0o600)
    setting = "trusted_keys" if kind == "trusted" else "signing_key"
    process = ServiceProcess("autoisp_registry", tmp_path, nats_url=nats.url, **{setting: path})
    process.start(wait=False)
    assert process.wait() == 2
    assert f"error: AUTOISP_{setting.upper()}: " in process.log
    assert str(path) in process.log
    assert EARLIER.to_pem().decode().splitlines()[1] not in process.log


def test_a_registered_version_is_signed_fetched_and_verified(
    client: Client, store: ArtifactStore, folder: Path, tmp_path: Path
) -> None:
    artifact = put_bytes(store, root_of(2.0))
    version = client.register_model_version("models/signed", registry_pb2.ModelVersion(onnx=artifact))
    assert version.HasField("signed_manifest")
    release = client.download_release(tmp_path / "r", "models/signed/versions/latest")
    assert (release.manifest.name, release.genuine) == (version.name, True)
    assert [(file.format, file.sha256) for file in release.manifest.files] == [("onnx-fp32", artifact.sha256)]
    (tmp_path / "registry.pem").write_text(release.key.pem)
    assert main([str(tmp_path / "r"), "--key", str(tmp_path / "registry.pem")]) == 0
    got = client.download(tmp_path / "m.json", model_version=version.name, format="manifest")
    assert got == version.signed_manifest
    assert (tmp_path / "m.json").read_bytes() == (tmp_path / "r" / MANIFEST_NAME).read_bytes()


async def test_formats_that_come_later_are_signed_too(
    service: ServiceProcess, nats: NatsServer, store: ArtifactStore, tmp_path: Path
) -> None:
    data = root_of(5.0)
    artifact, int8 = put_bytes(store, data), put_bytes(store, b"a smaller network")
    failure = common_pb2.Failure(reason="NO_FP16", message="its weights are too large")
    async with AsyncClient(service.address) as client:
        version = await client.register_model_version(
            "models/formats", registry_pb2.ModelVersion(onnx=artifact)
        )
        await client.download_release(tmp_path / "before", version.name)
        event = events_pb2.ModelVersionConverted(
            model_version=version.name,
            conversion_id=derived_id("convert", version.name, "1"),
            formats=events_pb2.ModelVersionConverted.EdgeFormats(
                formats=[
                    registry_pb2.EdgeFormat(format="onnx-int8", artifact=int8),
                    registry_pb2.EdgeFormat(format="onnx-fp16", failure=failure),
                ]
            ),
        )
        connection = await NatsConnection.open(nats.url)
        await publish(connection, Event.MODEL_VERSION_CONVERTED, "formats-1", event)
        await connection.close()

        async def signed_anew() -> bool:
            return (await client.get_model_version(version.name)).signed_manifest != version.signed_manifest

        await until(signed_anew)
        release = await client.download_release(tmp_path / "r", version.name)
        assert [(f.format, f.sha256) for f in release.manifest.files] == [
            ("onnx-fp32", artifact.sha256),
            ("onnx-int8", int8.sha256),
        ]
        assert (tmp_path / "r" / "onnx-fp32.onnx").read_bytes() == data
        await client.download(tmp_path / "int8", model_version=version.name, format="onnx-int8")
        assert (tmp_path / "int8").read_bytes() == b"a smaller network"
        with pytest.raises(NotFoundError, match="its weights are too large"):
            await client.download(tmp_path / "fp16", model_version=version.name, format="onnx-fp16")
    # The earlier manifest stays true for what it lists.
    (tmp_path / "registry.pem").write_text(release.key.pem)
    assert main([str(tmp_path / "before"), "--key", str(tmp_path / "registry.pem")]) == 0


def test_what_was_tampered_with_in_the_store_is_noticed(
    client: Client, store: ArtifactStore, folder: Path, tmp_path: Path
) -> None:
    artifact = put_bytes(store, root_of(3.0))
    version = client.register_model_version("models/tampered", registry_pb2.ModelVersion(onnx=artifact))
    stored = folder / "artifacts" / artifact.uri
    good = stored.read_bytes()
    stored.write_bytes(good[:-1] + bytes([good[-1] ^ 1]))
    with pytest.raises(DataLossError):
        client.download_release(tmp_path / "r", version.name)
    stored.write_bytes(good)
    # Whoever can write to the store can't sign, and the manifest has another digest than the registry says.
    manifest = folder / "artifacts" / version.signed_manifest.uri
    envelope = json.loads(manifest.read_text())
    payload = json.loads(base64.b64decode(envelope["payload"]))
    payload["files"][0]["sha256"] = "0" * 64
    envelope["payload"] = base64.b64encode(json.dumps(payload).encode()).decode()
    manifest.write_text(json.dumps(envelope))
    with pytest.raises(DataLossError):
        client.download_release(tmp_path / "r", version.name)
    assert not (tmp_path / "r" / MANIFEST_NAME).exists()


async def test_bad_media_types_of_uploads(service: ServiceProcess) -> None:
    async with grpc.aio.insecure_channel(service.address) as channel:
        stub = registry_pb2_grpc.RegistryServiceStub(channel)
        for media_type in (
            "",
            "onnx",
            "../x",
            "a/b/c",
            "a/b\n",
            "A/b",
            "a/" + "b" * 100,
            "a b/c",
            "a/b; q=1",
            "é/b",
        ):
            header = registry_pb2.UploadArtifactHeader(media_type=media_type, size_bytes=1, sha256="0" * 64)

            async def upload(header: registry_pb2.UploadArtifactHeader = header):  # type: ignore[no-untyped-def]
                yield registry_pb2.UploadArtifactRequest(header=header)
                yield registry_pb2.UploadArtifactRequest(chunk=b"x")

            error = await refused(stub.UploadArtifact(upload()))
            assert error.metadata["field"] == "header.media_type", media_type

"""The registry as a process, with a real broker."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
from collections.abc import AsyncIterator, Iterator
from itertools import count
from pathlib import Path

import grpc
import pytest
from autoisp.common.v1 import common_pb2
from autoisp.events.v1 import events_pb2
from autoisp.registry.v1 import registry_pb2, registry_pb2_grpc
from autoisp_core.errors import AbortedError, DataLossError, ErrorCode, NotFoundError
from autoisp_runtime.artifacts import ArtifactStore
from autoisp_runtime.jetstream import Event, NatsConnection
from autoisp_testing.graphs import root_of
from autoisp_testing.nats import NatsServer
from autoisp_testing.processes import ServiceProcess
from evaluation_calls import events, put_bytes, refused, store_in, until

CHUNK = 1 << 20
QUOTA = 8 << 20
Stub = registry_pb2_grpc.RegistryServiceStub
NETWORK = root_of(1.0)
Header, Upload = registry_pb2.UploadArtifactHeader, registry_pb2.UploadArtifactRequest


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("registry")


@pytest.fixture(scope="module")
def nats(folder: Path) -> Iterator[NatsServer]:
    with NatsServer(folder / "nats") as server:
        yield server


@pytest.fixture(scope="module")
def service(folder: Path, nats: NatsServer) -> Iterator[ServiceProcess]:
    with ServiceProcess("autoisp_registry", folder, nats_url=nats.url, max_artifact_bytes=QUOTA) as process:
        yield process


@pytest.fixture(scope="module")
def store(folder: Path) -> ArtifactStore:
    return store_in(folder)


@pytest.fixture(scope="module")
def onnx(store: ArtifactStore) -> common_pb2.Artifact:
    return put_bytes(store, NETWORK)


_factors = count(2)


def another(store: ArtifactStore) -> common_pb2.Artifact:
    """A network that no other test has."""
    return put_bytes(store, root_of(next(_factors)))


@pytest.fixture
async def stub(service: ServiceProcess) -> AsyncIterator[Stub]:
    async with grpc.aio.insecure_channel(service.address) as channel:
        yield Stub(channel)


@pytest.fixture
async def connection(nats: NatsServer, service: ServiceProcess) -> AsyncIterator[NatsConnection]:
    opened = await NatsConnection.open(nats.url)
    yield opened
    await opened.close()


def files(folder: Path) -> set[Path]:
    """Every blob and spooled upload."""
    return {p for p in [*folder.rglob("blobs/**/*"), *folder.rglob("spool/**/*")] if p.is_file()}


def damage(path: Path, *, cut: int = 0) -> None:
    """Change a stored file behind everybody's back."""
    data = path.read_bytes()
    path.write_bytes(data[: len(data) - cut] if cut else b"\0" + data[1:])


async def messages(data: bytes, header: Header | None, chunk: int = CHUNK) -> AsyncIterator[Upload]:
    if header is not None:
        yield Upload(header=header)
    for start in range(0, len(data), chunk):
        yield Upload(chunk=data[start : start + chunk])


def header_of(data: bytes, **changes: object) -> Header:
    fields = {
        "media_type": "application/onnx",
        "size_bytes": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
    }
    return Header(**{**fields, **changes})  # type: ignore[arg-type]


async def upload(stub: Stub, data: bytes) -> common_pb2.Artifact:
    return await stub.UploadArtifact(messages(data, header_of(data)), timeout=30)


async def download(stub: Stub, **source: str) -> tuple[common_pb2.Artifact, bytes]:
    responses = [
        response async for response in stub.DownloadArtifact(registry_pb2.DownloadArtifactRequest(**source))
    ]
    assert [response.WhichOneof("payload") for response in responses] == [
        "artifact",
        *["chunk"] * (len(responses) - 1),
    ]
    assert all(len(response.chunk) <= CHUNK for response in responses[1:])
    return responses[0].artifact, b"".join(response.chunk for response in responses[1:])


async def register(
    stub: Stub, model: str, onnx: common_pb2.Artifact, **fields: object
) -> registry_pb2.ModelVersion:
    version = registry_pb2.ModelVersion(onnx=onnx, **fields)  # type: ignore[arg-type]
    return await stub.RegisterModelVersion(
        registry_pb2.RegisterModelVersionRequest(parent=model, model_version=version)
    )


async def registered_somehow(stub: Stub, onnx: common_pb2.Artifact) -> None:
    """There is a version 1 of models/m, whichever test runs first."""
    with contextlib.suppress(grpc.aio.AioRpcError):
        await register(stub, "models/m", onnx)


@pytest.mark.parametrize("size", [1, CHUNK, 3 * CHUNK + 12_345])
async def test_bytes_go_in_and_come_out(stub: Stub, size: int) -> None:
    data = os.urandom(size)
    artifact = await upload(stub, data)
    assert artifact.sha256 == hashlib.sha256(data).hexdigest()
    assert (artifact.size_bytes, artifact.media_type) == (size, "application/onnx")
    assert await upload(stub, data) == artifact
    described, received = await download(stub, sha256=artifact.sha256)
    assert received == data
    assert (described.sha256, described.size_bytes) == (artifact.sha256, size)


DATA = b"some bytes " * 1000


@pytest.mark.parametrize(
    ("header", "data", "code", "field"),
    [
        (None, DATA, ErrorCode.INVALID_ARGUMENT, "header"),
        (None, b"", ErrorCode.INVALID_ARGUMENT, "header"),
        (header_of(DATA, media_type=""), DATA, ErrorCode.INVALID_ARGUMENT, "header.media_type"),
        (header_of(DATA, media_type="onnx"), DATA, ErrorCode.INVALID_ARGUMENT, "header.media_type"),
        (header_of(DATA, size_bytes=0), DATA, ErrorCode.INVALID_ARGUMENT, "header.size_bytes"),
        (header_of(DATA, sha256="x"), DATA, ErrorCode.INVALID_ARGUMENT, "header.sha256"),
        (header_of(DATA), DATA[:-1], ErrorCode.INVALID_ARGUMENT, "header.size_bytes"),
        (header_of(DATA), DATA + b"x", ErrorCode.INVALID_ARGUMENT, "header.size_bytes"),
        (header_of(DATA), DATA[:-1] + b"x", ErrorCode.INVALID_ARGUMENT, "header.sha256"),
        (header_of(DATA, size_bytes=QUOTA + 1), DATA, ErrorCode.RESOURCE_EXHAUSTED, "header.size_bytes"),
    ],
)
async def test_bad_uploads_name_the_field_and_leave_nothing(
    stub: Stub, folder: Path, header: Header | None, data: bytes, code: ErrorCode, field: str
) -> None:
    before = files(folder)
    error = await refused(stub.UploadArtifact(messages(data, header)))
    assert (error.code, error.metadata["field"]) == (code, field)
    assert files(folder) == before


async def test_too_long_chunks_and_second_headers_are_refused(stub: Stub) -> None:
    big = bytes(2 * CHUNK)
    error = await refused(stub.UploadArtifact(messages(big, header_of(big), chunk=2 * CHUNK)))
    assert error.metadata["field"] == "chunk"

    async def twice() -> AsyncIterator[Upload]:
        yield Upload(header=header_of(DATA))
        yield Upload(header=header_of(DATA))

    assert (await refused(stub.UploadArtifact(twice()))).metadata["field"] == "header"


async def test_a_client_that_gives_up_leaves_nothing(stub: Stub, folder: Path) -> None:
    before = files(folder)
    call = stub.UploadArtifact()
    data = os.urandom(3 * CHUNK)
    await call.write(Upload(header=header_of(data)))
    await call.write(Upload(chunk=data[:CHUNK]))

    async def something_is_there() -> bool:
        return files(folder) != before

    async def nothing_is_left() -> bool:
        return files(folder) == before

    await until(something_is_there)
    call.cancel()
    await until(nothing_is_left)


async def test_damaged_and_missing_bytes_are_told_from_good_ones(
    stub: Stub, folder: Path, store: ArtifactStore
) -> None:
    ask = registry_pb2.DownloadArtifactRequest
    flipped, cut, gone = (another(store) for _ in range(3))
    for number, artifact in enumerate((flipped, cut, gone)):
        await register(stub, f"models/damaged-{number}", artifact)
    damage(folder / "artifacts" / flipped.uri)
    damage(folder / "artifacts" / cut.uri, cut=5)
    (folder / "artifacts" / gone.uri).unlink()
    for number, kind in enumerate((DataLossError, DataLossError, NotFoundError)):
        version = ask(model_version=f"models/damaged-{number}/versions/1")
        assert isinstance(await refused(stub.DownloadArtifact(version)), kind)
    for artifact, kind in ((flipped, DataLossError), (cut, DataLossError), (gone, NotFoundError)):
        assert isinstance(await refused(stub.DownloadArtifact(ask(sha256=artifact.sha256))), kind)


async def test_bad_downloads_name_the_field(stub: Stub) -> None:
    ask = registry_pb2.DownloadArtifactRequest
    for bad, field in (
        (ask(), "source"),
        (ask(sha256="x"), "sha256"),
        (ask(model_version="models/m"), "model_version"),
    ):
        error = await refused(stub.DownloadArtifact(bad))
        assert (error.code, error.metadata["field"]) == (ErrorCode.INVALID_ARGUMENT, field)
    for missing in (ask(sha256="0" * 64), ask(model_version="models/none/versions/1")):
        assert isinstance(await refused(stub.DownloadArtifact(missing)), NotFoundError)


async def test_versions_and_aliases(
    stub: Stub, connection: NatsConnection, onnx: common_pb2.Artifact, store: ArtifactStore
) -> None:
    first = await register(stub, "models/m", onnx, metrics={"psnr_model": 30.5})
    second = await register(stub, "models/m", another(store))
    assert [first.name, second.name] == ["models/m/versions/1", "models/m/versions/2"]
    assert first.metrics == {"psnr_model": 30.5}
    model = await stub.GetModel(registry_pb2.GetModelRequest(name="models/m"))
    assert (model.latest_version, dict(model.aliases)) == (2, {})
    set_alias = registry_pb2.SetAliasRequest
    after = await stub.SetAlias(set_alias(model="models/m", alias="phone", version=1, etag=model.etag))
    assert dict(after.aliases) == {"phone": 1}
    stale = await refused(
        stub.SetAlias(set_alias(model="models/m", alias="phone", version=2, etag=model.etag))
    )
    assert isinstance(stale, AbortedError)
    get = registry_pb2.GetModelVersionRequest
    for asked, version in (("1", first), ("latest", second), ("phone", first)):
        found = await stub.GetModelVersion(get(name=f"models/m/versions/{asked}"))
        assert (found.name, found.onnx) == (version.name, version.onnx)
    artifact, data = await download(stub, model_version="models/m/versions/phone")
    assert (artifact, data) == (onnx, NETWORK)
    (promoted,) = await events(connection, Event.MODEL_VERSION_PROMOTED, "m-1", at_least=1)
    assert events_pb2.ModelVersionPromoted.FromString(promoted).alias == "phone"
    assert len(await events(connection, Event.MODEL_VERSION_REGISTERED, "m-2", at_least=1)) == 1


async def test_registrations_at_once_get_distinct_numbers(stub: Stub, store: ArtifactStore) -> None:
    files = [another(store) for _ in range(4)]
    made = await asyncio.gather(*(register(stub, "models/busy", file) for file in files))
    assert sorted(version.name for version in made) == [f"models/busy/versions/{n}" for n in range(1, 5)]


async def test_pages(stub: Stub, store: ArtifactStore) -> None:
    for _ in range(3):
        await register(stub, "models/long", another(store))
    ask = registry_pb2.ListModelVersionsRequest
    first = await stub.ListModelVersions(ask(parent="models/long", page_size=2))
    rest = await stub.ListModelVersions(
        ask(parent="models/long", page_size=2, page_token=first.next_page_token)
    )
    names = [version.name for version in (*first.model_versions, *rest.model_versions)]
    assert names == [f"models/long/versions/{n}" for n in (1, 2, 3)]
    assert rest.next_page_token == ""
    other = ask(parent="models/busy", page_token=first.next_page_token)
    assert (await refused(stub.ListModelVersions(other))).metadata["field"] == "page_token"
    models = await stub.ListModels(registry_pb2.ListModelsRequest(page_size=1))
    assert len(models.models) == 1
    assert models.next_page_token


def _register(parent: str = "models/m", request_id: str = "", **fields: object) -> object:
    def call(stub: Stub, onnx: common_pb2.Artifact) -> object:
        version = registry_pb2.ModelVersion(**{"onnx": onnx, **fields})  # type: ignore[arg-type]
        return stub.RegisterModelVersion(
            registry_pb2.RegisterModelVersionRequest(
                parent=parent, model_version=version, request_id=request_id
            )
        )

    return call


def _alias(**fields: object) -> object:
    good = {"model": "models/m", "alias": "a", "version": 1}
    return lambda stub, _: stub.SetAlias(registry_pb2.SetAliasRequest(**{**good, **fields}))  # type: ignore[arg-type]


def _versions(**fields: object) -> object:
    return lambda stub, _: stub.ListModelVersions(registry_pb2.ListModelVersionsRequest(**fields))  # type: ignore[arg-type]


def _models(**fields: object) -> object:
    return lambda stub, _: stub.ListModels(registry_pb2.ListModelsRequest(**fields))  # type: ignore[arg-type]


ABSENT = common_pb2.Artifact(sha256="0" * 64, size_bytes=5)
INVALID, NOT_FOUND = ErrorCode.INVALID_ARGUMENT, ErrorCode.NOT_FOUND


@pytest.mark.parametrize(
    ("call", "code", "field"),
    [
        (_register(parent="m"), INVALID, "parent"),
        (_register(request_id="\t"), INVALID, "request_id"),
        (_register(onnx=None), INVALID, "model_version.onnx"),
        (_register(onnx=common_pb2.Artifact(sha256="0")), INVALID, "model_version.onnx.sha256"),
        (_register(onnx=ABSENT), NOT_FOUND, "model_version.onnx"),
        (_register(metrics={"a b": 1}), INVALID, "model_version.metrics"),
        (_register(metrics={"a": float("inf")}), INVALID, "model_version.metrics.a"),
        (_register(spec="{}"), INVALID, "model_version.spec"),
        (
            _register(lineage=registry_pb2.Lineage(search="s")),
            INVALID,
            "model_version.lineage.search",
        ),
        (_alias(model="m"), INVALID, "model"),
        (_alias(model="models/none"), NOT_FOUND, "model"),
        (_alias(alias="latest"), INVALID, "alias"),
        (_alias(version=99), NOT_FOUND, "version"),
        (_versions(parent="m"), INVALID, "parent"),
        (_versions(parent="models/m", page_size=-1), INVALID, "page_size"),
        (_versions(parent="models/m", page_token="?"), INVALID, "page_token"),
        (_models(page_size=-1), INVALID, "page_size"),
        (_models(page_token="?"), INVALID, "page_token"),
    ],
)
async def test_bad_requests_name_the_field(
    stub: Stub, onnx: common_pb2.Artifact, call: object, code: ErrorCode, field: str
) -> None:
    await registered_somehow(stub, onnx)
    error = await refused(call(stub, onnx))  # type: ignore[operator]
    assert (error.code, error.metadata["field"]) == (code, field)


async def test_reads_of_what_is_not_there(stub: Stub, onnx: common_pb2.Artifact) -> None:
    await registered_somehow(stub, onnx)
    get_model, get_version = registry_pb2.GetModelRequest, registry_pb2.GetModelVersionRequest
    for call, code in (
        (stub.GetModel(get_model(name="m")), INVALID),
        (stub.GetModel(get_model(name="models/none")), NOT_FOUND),
        (stub.GetModelVersion(get_version(name="models/m")), INVALID),
        (stub.GetModelVersion(get_version(name="models/m/versions/none")), NOT_FOUND),
        (stub.GetModelVersion(get_version(name="models/none/versions/1")), NOT_FOUND),
        (
            stub.ListModelVersions(registry_pb2.ListModelVersionsRequest(parent="models/none")),
            NOT_FOUND,
        ),
    ):
        assert (await refused(call)).code is code

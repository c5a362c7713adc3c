"""Both clients against a real gRPC server with hand-written services."""

import contextlib
import hashlib
import inspect
import socket
import threading
from concurrent import futures

import grpc
import pytest
from autoisp.common.v1 import common_pb2
from autoisp.ingest.v1 import ingest_pb2, ingest_pb2_grpc
from autoisp.registry.v1 import registry_pb2, registry_pb2_grpc
from autoisp.search.v1 import search_pb2, search_pb2_grpc
from autoisp_client import AsyncClient, Client, access
from autoisp_client.faults import CHANNEL_OPTIONS
from autoisp_core.errors import DataLossError, InvalidArgumentError, UnavailableError
from autoisp_runtime import grpc_server

BLOB = b"network" * 100_000
DIGEST = hashlib.sha256(BLOB).hexdigest()


class Ingest(ingest_pb2_grpc.IngestServiceServicer):
    """Counts what it gets; is away for the first calls."""

    def __init__(self):
        self.away = 0
        self.request_ids = []

    def UploadClip(self, request_iterator, context):  # noqa: N802 - gRPC calls it so
        header = next(request_iterator).header
        data = b"".join(request.chunk for request in request_iterator)
        assert hashlib.sha256(data).hexdigest() == header.sha256
        return ingest_pb2.Clip(name="clips/c1", display_name=header.display_name, source_size_bytes=len(data))

    def CreateDataset(self, request, context):  # noqa: N802 - gRPC calls it so
        self.request_ids.append(request.request_id)
        if self.away:
            self.away -= 1
            context.abort(grpc.StatusCode.UNAVAILABLE, "restarting")
        return ingest_pb2.Dataset(name="datasets/d")

    def ListClips(self, request, context):  # noqa: N802 - gRPC calls it so
        start = int(request.page_token or 0)
        more = str(start + 2) if start < 4 else ""
        clips = [ingest_pb2.Clip(name=f"clips/{index}") for index in (start, start + 1)]
        return ingest_pb2.ListClipsResponse(clips=clips, next_page_token=more)


class Search(search_pb2_grpc.SearchServiceServicer):
    """A watch that breaks once in the middle."""

    def __init__(self):
        self.watches = 0
        self.end = threading.Event()

    def WatchSearch(self, request, context):  # noqa: N802 - gRPC calls it so
        self.watches += 1
        running = search_pb2.Search(name=request.name, state=search_pb2.SEARCH_STATE_RUNNING)
        yield search_pb2.SearchUpdate(search=running)
        if request.name == "searches/silent":
            self.end.wait(60)
        if self.watches == 1:
            context.abort(grpc.StatusCode.UNAVAILABLE, "going down")
        running.state = search_pb2.SEARCH_STATE_SUCCEEDED
        yield search_pb2.SearchUpdate(search=running)


class Registry(registry_pb2_grpc.RegistryServiceServicer):
    """Sends a blob, or a damaged one."""

    def DownloadArtifact(self, request, context):  # noqa: N802 - gRPC calls it so
        artifact = common_pb2.Artifact(sha256=DIGEST, size_bytes=len(BLOB))
        yield registry_pb2.DownloadArtifactResponse(artifact=artifact)
        data = BLOB if request.model_version else BLOB[:-1] + b"?"
        for start in range(0, len(data), 300_000):
            yield registry_pb2.DownloadArtifactResponse(chunk=data[start : start + 300_000])


@pytest.fixture
def services():
    server = grpc.server(futures.ThreadPoolExecutor(4))
    ingest, search = Ingest(), Search()
    ingest_pb2_grpc.add_IngestServiceServicer_to_server(ingest, server)
    search_pb2_grpc.add_SearchServiceServicer_to_server(search, server)
    registry_pb2_grpc.add_RegistryServiceServicer_to_server(Registry(), server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}", ingest, search
    search.end.set()
    server.stop(0).wait()


def test_both_clients_offer_the_same():
    def methods(cls):
        found = inspect.getmembers(cls, inspect.isfunction)
        return {
            name: list(inspect.signature(member).parameters)
            for name, member in found
            if not name.startswith("_")
        }

    assert methods(Client) == methods(AsyncClient)


def test_uploads_lists_and_watches(services, tmp_path):
    address, _, search = services
    path = tmp_path / "bikes.mp4"
    path.write_bytes(bytes(1_300_000))
    with Client(address) as client:
        clip = client.upload_clip(path)
        assert (clip.display_name, clip.source_size_bytes) == ("bikes", 1_300_000)
        assert [clip.name for clip in client.list_clips()] == [f"clips/{i}" for i in range(6)]
        states = [update.search.state for update in client.watch_search("searches/s")]
    assert states[-1] == search_pb2.SEARCH_STATE_SUCCEEDED
    assert search.watches == 2


async def test_uploads_lists_and_watches_in_asyncio(services, tmp_path):
    address, _, search = services
    path = tmp_path / "bikes.mp4"
    path.write_bytes(bytes(1_300_000))
    async with AsyncClient(address) as client:
        clip = await client.upload_clip(path)
        assert (clip.display_name, clip.source_size_bytes) == ("bikes", 1_300_000)
        assert [clip.name async for clip in client.list_clips()] == [f"clips/{i}" for i in range(6)]
        states = [update.search.state async for update in client.watch_search("searches/s")]
        artifact = await client.download(tmp_path / "m.onnx", model_version="models/m/versions/1")
    assert states[-1] == search_pb2.SEARCH_STATE_SUCCEEDED
    assert search.watches == 2
    assert (artifact.sha256, (tmp_path / "m.onnx").read_bytes()) == (DIGEST, BLOB)


def test_a_create_is_repeated_with_the_same_request_id(services):
    address, ingest, _ = services
    ingest.away = 2
    with Client(address) as client:
        assert client.create_dataset([]).name == "datasets/d"
    assert len(ingest.request_ids) == 3
    assert len(set(ingest.request_ids)) == 1
    assert ingest.request_ids[0]


def test_patience_ends(services):
    address, ingest, _ = services
    ingest.away = 10**6
    with Client(address, patience=0.3) as client, pytest.raises(UnavailableError):
        client.create_dataset([])
    assert len(ingest.request_ids) > 1


def test_a_download_is_whole_or_not_there(services, tmp_path):
    address, _, _ = services
    with Client(address) as client:
        client.download(tmp_path / "good" / "m.onnx", model_version="models/m/versions/1")
        with pytest.raises(DataLossError, match="damaged"):
            client.download(tmp_path / "bad.onnx", sha256=DIGEST)
        with pytest.raises(InvalidArgumentError, match="either"):
            client.download(tmp_path / "none.onnx")
    assert (tmp_path / "good" / "m.onnx").read_bytes() == BLOB
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["good", "m.onnx"]


def test_nobody_there_names_the_address_and_the_fix():
    with Client("127.0.0.1:9", patience=0.0) as client:
        with pytest.raises(UnavailableError, match=r"127\.0\.0\.1:9 .*search.*autoisp up") as caught:
            client.get_search("searches/s")
        assert caught.value.metadata["field"] == "server"
        with pytest.raises(UnavailableError, match="search"):
            next(client.watch_search("searches/s"))


def test_the_disk_is_full(services):
    address, _, _ = services
    with Client(address) as client, pytest.raises(Exception, match=r"/dev/full|can't write"):
        client.download("/dev/full/m.onnx", model_version="models/m/versions/1")


@pytest.fixture
def line(services):
    """The address of a way to the services, and what cuts it: nothing arrives then, nothing is closed."""
    cut = threading.Event()

    def pump(source, sink):
        with contextlib.suppress(OSError):
            while data := source.recv(65536):
                if not cut.is_set():
                    sink.sendall(data)

    def accept():
        with contextlib.suppress(OSError):
            while True:
                near = listener.accept()[0]
                far = socket.create_connection(services[0].split(":"))
                sockets.extend((near, far))
                for ends in ((near, far), (far, near)):
                    threading.Thread(target=pump, args=ends, daemon=True).start()

    sockets = []
    with socket.create_server(("127.0.0.1", 0)) as listener:
        threading.Thread(target=accept, daemon=True).start()
        yield f"127.0.0.1:{listener.getsockname()[1]}", cut
    for end in sockets:
        end.close()


@pytest.fixture
def quick_pings(monkeypatch):
    quick = ("grpc.keepalive_time_ms", "grpc.keepalive_timeout_ms", "grpc.http2.ping_timeout_ms")
    options = [(name, 500 if name in quick else value) for name, value in CHANNEL_OPTIONS]
    monkeypatch.setattr(access, "CHANNEL_OPTIONS", options)


@pytest.mark.timeout(30)
def test_a_watch_of_a_server_that_vanished_ends(line, quick_pings):
    address, cut = line
    with Client(address, patience=0.0) as client:
        updates = client.watch_search("searches/silent")
        next(updates)
        cut.set()
        with pytest.raises(UnavailableError):
            next(updates)


@pytest.mark.timeout(30)
async def test_a_watch_of_a_server_that_vanished_ends_in_asyncio(line, quick_pings):
    address, cut = line
    async with AsyncClient(address, patience=0.0) as client:
        updates = client.watch_search("searches/silent")
        await anext(updates)
        cut.set()
        with pytest.raises(UnavailableError):
            await anext(updates)


def test_servers_allow_the_pings_of_clients():
    allowed = dict(grpc_server._OPTIONS)["grpc.http2.min_ping_interval_without_data_ms"]
    assert dict(CHANNEL_OPTIONS)["grpc.keepalive_time_ms"] >= 2 * allowed

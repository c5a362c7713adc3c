"""What the evaluation service and the registry live among: datasets, files, a worker that judges by rote."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import grpc
import pytest
from autoisp.common.v1 import common_pb2
from autoisp.evaluation.v1 import evaluation_pb2
from autoisp.events.v1 import commands_pb2, events_pb2
from autoisp.ingest.v1 import ingest_pb2
from autoisp.prototype.v1 import prototype_pb2
from autoisp.search.v1 import search_pb2
from autoisp_client.errors import from_rpc_error
from autoisp_core.artifact import Artifact
from autoisp_core.errors import AutoISPError
from autoisp_core.ids import new_id
from autoisp_core.names import id_of
from autoisp_runtime.artifacts import ArtifactStore
from autoisp_runtime.jetstream import (
    Consumer,
    DeliveryPolicy,
    Envelope,
    Event,
    NatsConnection,
    Publisher,
    event_subject,
)
from autoisp_runtime.jetstream.topology import EVENT_STREAM, WORKER_FIRST
from google.protobuf.message import Message

TEST, TRAIN = ingest_pb2.SPLIT_TEST, ingest_pb2.SPLIT_TRAIN
CLASSICAL = prototype_pb2.Prototype(builtin="classical")
ACK_WAIT_S = 1.5


def artifact_message(artifact: Artifact) -> common_pb2.Artifact:
    """The artifact as it travels."""
    return common_pb2.Artifact(
        uri=artifact.uri,
        sha256=artifact.sha256,
        size_bytes=artifact.size_bytes,
        media_type=artifact.media_type,
    )


def put_bytes(store: ArtifactStore, data: bytes) -> common_pb2.Artifact:
    """Store bytes as an ONNX file (nobody here looks inside)."""
    return artifact_message(store.put_bytes(data, "application/onnx"))


def put_dataset(store: ArtifactStore, dataset_id: str, test_clips: int = 3) -> common_pb2.Artifact:
    """A dataset as ingest leaves it: test clips t0, t1, … and one training clip. Returns its manifest."""
    clips = [(f"clips/{dataset_id}-t{number}", TEST) for number in range(test_clips)]
    manifest = ingest_pb2.DatasetManifest(
        dataset=f"datasets/{dataset_id}",
        entries=[
            ingest_pb2.DatasetManifest.Entry(
                clip=ingest_pb2.Clip(name=name, display_name=f"{id_of(name)}.mp4", frames_uri=name),
                split=split,
                first_frame=0,
                end_frame=10,
            )
            for name, split in [*clips, (f"clips/{dataset_id}-train", TRAIN)]
        ],
    )
    stored = artifact_message(store.put_bytes(manifest.SerializeToString(), "application/x-protobuf"))
    dataset = ingest_pb2.Dataset(name=manifest.dataset, manifest=stored)
    store.put_result(f"datasets/{dataset_id}", dataset.SerializeToString())
    return stored


def search_completed(
    store: ArtifactStore, search_id: str, manifest: common_pb2.Artifact
) -> events_pb2.SearchCompleted:
    """A search against an opaque prototype that asked for 1/100 of its time."""
    return events_pb2.SearchCompleted(
        search=search_pb2.Search(
            name=f"searches/{search_id}",
            dataset="datasets/d",
            prototype=CLASSICAL,
            budget=search_pb2.Budget(reduction=100),
            sensor=common_pb2.Sensor(builtin="phone"),
            model=f"models/{search_id}",
            seconds_per_megapixel_limit=0.02,
            test_frames_per_clip=2,
        ),
        best_trial=search_pb2.Trial(
            name=f"searches/{search_id}/trials/r1-0001",
            spec='{"a": "spec"}',
            onnx=put_bytes(store, f"network of {search_id}".encode()),
        ),
        manifest=manifest,
    )


def clip_result(command: commands_pb2.RunEvaluation) -> evaluation_pb2.ClipResult:
    """A worker's answer: the n-th test clip gives the prototype 20 + n dB and the model 5 dB more."""
    number = int(command.entry.clip.name.rpartition("-t")[2])
    results = []
    for subject in command.subjects:
        is_model = subject.WhichOneof("source") == "onnx"
        middle = 20 + number + (5 if is_model else 0)
        results.append(
            evaluation_pb2.SubjectResult(
                label=subject.label,
                cost=common_pb2.Cost(
                    macs_per_pixel=250 if is_model else None,
                    parameters=1000,
                    size_bytes=4000,
                    seconds_per_megapixel=(0.01 if is_model else 2.0) * (1 + number),
                ),
                frames=[
                    evaluation_pb2.FrameResult(
                        frame=frame, quality=common_pb2.Quality(psnr_db=middle + frame - 0.5, ssim=0.9)
                    )
                    for frame in range(2)
                ],
            )
        )
    return evaluation_pb2.ClipResult(
        clip=command.entry.clip.name,
        display_name=command.entry.clip.display_name,
        state=evaluation_pb2.EVALUATION_STATE_SUCCEEDED,
        subjects=results,
    )


def frames_judged(
    evaluation: str, clip: str, frames: Iterable[int], label: str = "model"
) -> events_pb2.EvaluationFramesJudged:
    """A worker's news of one subject's frames."""
    told = [
        evaluation_pb2.FrameResult(frame=frame, quality=common_pb2.Quality(psnr_db=30, ssim=0.9))
        for frame in frames
    ]
    return events_pb2.EvaluationFramesJudged(
        evaluation=evaluation,
        clip=clip,
        subjects=[evaluation_pb2.SubjectResult(label=label, frames=told)],
        frames_done=len(told),
        frames_wanted=4,
    )


@dataclass
class RoteWorker:
    """Takes ``evaluation.run`` as a worker does; answers at once, or when told to.

    Attributes:
        commands: everything taken so far.
        answers: how often each answer is published, each time as another message.
    """

    connection: NatsConnection
    answers: int = 1
    commands: list[commands_pb2.RunEvaluation] = field(default_factory=list)
    allowed: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(1_000_000))

    def allow(self, count: int) -> None:
        """Let so many commands more be judged."""
        for _ in range(count):
            self.allowed.release()

    async def handle(self, envelope: Envelope) -> None:
        """Judge one clip."""
        await self.allowed.acquire()
        command = envelope.decode(commands_pb2.RunEvaluation)
        self.commands.append(command)
        event = events_pb2.EvaluationClipJudged(evaluation=command.evaluation, result=clip_result(command))
        clip = id_of(command.entry.clip.name)
        for _ in range(self.answers):
            await publish(
                self.connection,
                Event.EVALUATION_CLIP_JUDGED,
                f"{id_of(command.evaluation)}-{clip}",
                event,
            )

    @asynccontextmanager
    async def working(self) -> AsyncIterator[RoteWorker]:
        """Work while the block lasts."""
        consumer = Consumer(
            self.connection,
            WORKER_FIRST,
            self.handle,
            policy=DeliveryPolicy(ack_wait_s=ACK_WAIT_S, linger_s=0.2),
        )
        task = asyncio.create_task(consumer.run())
        try:
            yield self
        finally:
            await consumer.stop(0.1)
            await task


async def publish(connection: NatsConnection, event: Event, resource_id: str, message: Message) -> None:
    """Publish an event under a new id: a copy that JetStream does not recognise as one."""
    publisher = Publisher(connection, "autoisp/test")
    await publisher.publish(
        event_subject(event, resource_id), message.SerializeToString(), new_id(), retry_for_s=10
    )


async def events(
    connection: NatsConnection, event: Event, resource_id: str, at_least: int = 0
) -> list[bytes]:
    """Every payload that was published under the subject; waits until there are ``at_least`` so many."""
    subject = event_subject(event, resource_id)
    async with asyncio.timeout(20):
        while True:
            info = await connection.js.stream_info(EVENT_STREAM, subjects_filter=subject)
            count = (info.state.subjects or {}).get(subject, 0)
            if count >= at_least:
                break
            await asyncio.sleep(0.03)
    if count == 0:
        return []
    subscription = await connection.js.pull_subscribe(subject, stream=EVENT_STREAM)
    found = [message.data for message in await subscription.fetch(count, 5)]
    await subscription.unsubscribe()
    return found


async def until(condition: Callable[[], Awaitable[object]], timeout_s: float = 20.0) -> None:
    """Wait until the condition holds."""
    async with asyncio.timeout(timeout_s):
        while not await condition():  # noqa: ASYNC110 - other processes set no events here
            await asyncio.sleep(0.02)


async def refused(call: Any) -> AutoISPError:
    """The error that an asyncio call ends with, as the client library gives it."""

    async def finish() -> None:
        if hasattr(call, "read"):
            while await call.read() is not grpc.aio.EOF:
                pass
        else:
            await call

    with pytest.raises(grpc.RpcError) as caught:
        await finish()
    return from_rpc_error(caught.value)


def store_in(folder: Path) -> ArtifactStore:
    """The store of services whose state folder is ``folder``."""
    return ArtifactStore((folder / "artifacts").as_uri())

"""A worker that answers the search service's commands at once, and the dataset it pretends to train on."""

from __future__ import annotations

import asyncio
import hashlib
from collections import Counter
from datetime import UTC, datetime

from autoisp.common.v1 import common_pb2
from autoisp.events.v1 import commands_pb2, events_pb2
from autoisp.ingest.v1 import ingest_pb2
from autoisp.prototype.v1 import prototype_pb2
from autoisp.search.v1 import search_pb2
from autoisp_core.spec import Spec, cost
from autoisp_runtime.artifacts import ArtifactStore
from autoisp_runtime.jetstream import (
    Command,
    Consumer,
    Envelope,
    Event,
    NatsConnection,
    Publisher,
    event_subject,
)
from autoisp_runtime.jetstream.topology import WORKER_FIRST, WORKER_TRIALS
from google.protobuf.message import Message


def store_dataset(store: ArtifactStore, dataset_id: str = "d", frames: int = 20) -> str:
    """Leaves a dataset of three clips as the ingest service does; returns its name."""
    name = f"datasets/{dataset_id}"
    splits = (ingest_pb2.SPLIT_TRAIN, ingest_pb2.SPLIT_VALIDATION, ingest_pb2.SPLIT_TEST)
    entries = [
        ingest_pb2.DatasetManifest.Entry(
            clip=ingest_pb2.Clip(name=f"clips/c{index}", frame_count=frames), split=split, end_frame=frames
        )
        for index, split in enumerate(splits)
    ]
    manifest = ingest_pb2.DatasetManifest(dataset=name, entries=entries)
    kept = store.put_bytes(manifest.SerializeToString())
    artifact = common_pb2.Artifact(
        uri=kept.uri, sha256=kept.sha256, size_bytes=kept.size_bytes, media_type=kept.media_type
    )
    store.put_result(name, ingest_pb2.Dataset(name=name, manifest=artifact).SerializeToString())
    return name


class ScriptedWorker:
    """Profiles and trains in no time; ``seconds`` is how long it makes each trial last.

    Attributes:
        commands: how often each command came, by its message id.
        garbage: ids of trials whose results are sent as bytes that mean nothing.
    """

    def __init__(self, nats: NatsConnection, seconds: float = 0.0) -> None:
        self._publisher = Publisher(nats, "autoisp/worker")
        self._seconds = seconds
        self.commands: Counter[str] = Counter()
        self.garbage: set[str] = set()
        self.consumer = Consumer(nats, (WORKER_FIRST, WORKER_TRIALS), self._handle)

    async def _handle(self, envelope: Envelope) -> None:
        self.commands[envelope.event_id] += 1
        if envelope.kind == Command.PROTOTYPE_PROFILE:
            command = envelope.decode(commands_pb2.ProfilePrototype)
            profile = prototype_pb2.PrototypeProfile(
                cost=common_pb2.Cost(seconds_per_megapixel=5.0),
                quality=common_pb2.Quality(psnr_db=25.0, ssim=0.7),
                frames=5,
                inputs=["raw", "gains", "noise"],
            )
            done = events_pb2.PrototypeProfiled(search=command.search, profile=profile)
            await self._publish(Event.PROTOTYPE_PROFILED, envelope, done)
        elif envelope.kind == Command.TRIAL_RUN:
            await self._train(envelope, envelope.decode(commands_pb2.RunTrial))

    async def _train(self, envelope: Envelope, command: commands_pb2.RunTrial) -> None:
        report = events_pb2.TrialReported(trial=command.trial, worker="scripted", progress=0.5, steps=5)
        await self._publish(Event.TRIAL_REPORTED, envelope, report)
        await asyncio.sleep(self._seconds)
        spec = Spec.from_json(command.spec)
        luck = int(hashlib.sha256(command.spec.encode()).hexdigest()[:4], 16) / 0xFFFF
        fake = common_pb2.Artifact(uri=f"blobs/{command.trial}", sha256="a" * 64, size_bytes=1)
        trial = search_pb2.Trial(
            name=command.trial,
            state=search_pb2.TRIAL_STATE_SUCCEEDED,
            cost=common_pb2.Cost(
                macs_per_pixel=cost(spec).macs_per_pixel,
                parameters=1,
                size_bytes=1,
                seconds_per_megapixel=0.01,
            ),
            quality=common_pb2.Quality(psnr_db=25 + 5 * luck, ssim=0.8),
            onnx=fake,
            checkpoint=fake,
            steps=10,
            worker="scripted",
        )
        trial.start_time.FromDatetime(datetime.now(UTC))
        trial.end_time.FromDatetime(datetime.now(UTC))
        if command.trial.rsplit("/", 1)[-1] in self.garbage:
            subject = event_subject(Event.TRIAL_COMPLETED, envelope.resource_id)
            await self._publisher.publish(subject, b"\xff\xff\xff", f"garbage.{envelope.event_id}")
            return
        completed = events_pb2.TrialCompleted(trial=trial)
        await self._publish(Event.TRIAL_COMPLETED, envelope, completed)
        # As after a lost acknowledgement: the same again, under an id that JetStream can't know.
        await self._publish(Event.TRIAL_COMPLETED, envelope, completed, again=True)

    async def _publish(
        self, event: Event, envelope: Envelope, message: Message, *, again: bool = False
    ) -> None:
        event_id = f"{event.value}.{envelope.event_id}{'.again' if again else ''}"
        await self._publisher.publish(
            event_subject(event, envelope.resource_id),
            message.SerializeToString(),
            event_id,
            retry_for_s=20,
        )

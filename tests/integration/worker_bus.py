"""The other side of a worker's bus, and the worker as a process, for its tests."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from pathlib import Path

import nats.errors
from autoisp.evaluation.v1 import evaluation_pb2
from autoisp.events.v1 import commands_pb2, events_pb2
from autoisp.search.v1 import search_pb2
from autoisp_core import names
from autoisp_runtime.jetstream import (
    Command,
    Event,
    NatsConnection,
    Publisher,
    command_subject,
    ensure_topology,
    event_subject,
)
from autoisp_runtime.jetstream.topology import COMMAND_STREAM, EVENT_STREAM
from autoisp_testing.nats import NatsServer
from autoisp_testing.processes import ServiceProcess

ACK_WAIT_S = 2.0
COMPLETED = "autoisp.v1.evt.trial.completed."
CLIP_JUDGED = "autoisp.v1.evt.evaluation.clip_judged."
CONVERTED = "autoisp.v1.evt.model_version.converted."
FRAMES_JUDGED = "autoisp.v1.evt.evaluation.frames_judged."


class Bus:
    """The other side of the bus: sends commands, reads the event stream from its beginning."""

    def __init__(self, connection: NatsConnection) -> None:
        self.connection = connection
        self._publisher = Publisher(connection, "autoisp/testing")

    @classmethod
    @contextlib.asynccontextmanager
    async def of(cls, server: NatsServer) -> AsyncIterator[Bus]:
        """Connected, with all streams there."""
        connection = await NatsConnection.open(server.url)
        await ensure_topology(connection.js, ack_wait_s=ACK_WAIT_S)
        yield cls(connection)
        await connection.close()

    async def send(self, command: commands_pb2.RunTrial, event_id: str = "") -> None:
        resource = command.trial.removeprefix("searches/").replace("/trials/", "-")
        subject = command_subject(Command.TRIAL_RUN, resource)
        await self._publisher.publish(subject, command.SerializeToString(), event_id or subject)

    async def evaluate(self, command: commands_pb2.RunEvaluation) -> None:
        (evaluation,), (clip,) = (
            names.EVALUATION.parse(command.evaluation),
            names.CLIP.parse(command.entry.clip.name),
        )
        subject = command_subject(Command.EVALUATION_RUN, f"{evaluation}-{clip}")
        await self._publisher.publish(subject, command.SerializeToString(), subject)

    async def convert(self, command: commands_pb2.ConvertModelVersion) -> None:
        resource = "-".join(names.MODEL_VERSION.parse(command.model_version))
        subject = command_subject(Command.MODEL_VERSION_CONVERT, f"{resource}-1")
        await self._publisher.publish(subject, command.SerializeToString(), subject)

    async def converted(
        self, count: int = 1, timeout_s: float = 90.0
    ) -> list[events_pb2.ModelVersionConverted]:
        """The converted versions, once there are so many and nothing is left to do."""
        found = await self._settled(CONVERTED, count, timeout_s)
        return [events_pb2.ModelVersionConverted.FromString(payload) for payload in found]

    async def cancel(self, search_id: str) -> None:
        event = events_pb2.SearchCancelled(search=f"searches/{search_id}")
        subject = event_subject(Event.SEARCH_CANCELLED, search_id)
        await self._publisher.publish(subject, event.SerializeToString(), subject)

    async def cancel_evaluation(self, evaluation_id: str) -> None:
        event = events_pb2.EvaluationCancelled(evaluation=f"evaluations/{evaluation_id}")
        subject = event_subject(Event.EVALUATION_CANCELLED, evaluation_id)
        await self._publisher.publish(subject, event.SerializeToString(), subject)

    async def judged(self, count: int = 1, timeout_s: float = 90.0) -> list[evaluation_pb2.ClipResult]:
        """The judged clips, once there are so many and nothing is left to do."""
        found = await self._settled(CLIP_JUDGED, count, timeout_s)
        return [events_pb2.EvaluationClipJudged.FromString(payload).result for payload in found]

    async def events(self, subject: str = COMPLETED) -> list[bytes]:
        """Payloads of all events so far whose subject begins with this."""
        js = self.connection.js
        info = await js.stream_info(EVENT_STREAM)
        messages = [
            await js.get_msg(EVENT_STREAM, sequence)
            for sequence in range(max(1, info.state.first_seq), info.state.last_seq + 1)
        ]
        return [message.data or b"" for message in messages if (message.subject or "").startswith(subject)]

    async def completed(self, count: int = 1, timeout_s: float = 90.0) -> list[search_pb2.Trial]:
        """The completed trials, once there are so many and nothing is left to do."""
        found = await self._settled(COMPLETED, count, timeout_s)
        return [events_pb2.TrialCompleted.FromString(payload).trial for payload in found]

    async def queued(self, stream: str = COMMAND_STREAM) -> int:
        return (await self.connection.js.stream_info(stream)).state.messages

    async def _settled(self, subject: str, count: int, timeout_s: float) -> list[bytes]:
        deadline = time.monotonic() + timeout_s
        while True:
            found: list[bytes] = []
            with contextlib.suppress(nats.errors.TimeoutError):  # a broker that has just started again
                found = await self.events(subject)
                if len(found) >= count and await self.queued() == 0:
                    return found
            assert time.monotonic() < deadline, f"{len(found)} of {count} results after {timeout_s} s"
            await asyncio.sleep(0.1)


def worker_process(nats_server: NatsServer, folder: Path, **settings: object) -> ServiceProcess:
    defaults = {
        "nats_url": nats_server.url,
        "ack_wait_seconds": ACK_WAIT_S,
        "checkpoint_seconds": 0.2,
        "worker_id": "tester",
    }
    return ServiceProcess("autoisp_worker", folder, **(defaults | settings))

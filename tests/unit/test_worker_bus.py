"""Commands in, events out, with the arithmetic replaced by hand."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from autoisp.events.v1 import commands_pb2, events_pb2
from autoisp.ingest.v1 import ingest_pb2
from autoisp.search.v1 import search_pb2
from autoisp_core.errors import AutoISPError, InternalError, InvalidArgumentError, UnavailableError
from autoisp_runtime.artifacts import ArtifactStore
from autoisp_runtime.jetstream import Command, Envelope, command_subject
from autoisp_worker.bus import CommandBus
from autoisp_worker.compute import ComputeThread, StopRequest
from autoisp_worker.domain import (
    ClipResult,
    EvaluationJob,
    Failure,
    ProfileJob,
    PrototypeProfile,
    TrialJob,
    TrialResult,
    TrialState,
)
from autoisp_worker.results import Checkpoints, Results
from autoisp_worker.usecases import OnProgress, Settlement

MAX_DELIVER = 3
TRIAL = "searches/s/trials/r0-0000"
SHA = "0" * 64


class FakeJobs:
    """Answers with failures, which need no pixels; or raises what it is told to."""

    def __init__(self) -> None:
        self.calls = 0
        self.error: AutoISPError | None = None

    def profile(self, job: ProfileJob, stop: StopRequest) -> PrototypeProfile | Failure:
        self._call()
        return Failure("BAD_PROTOTYPE", "no such thing")

    def trial(self, job: TrialJob, stop: StopRequest, on_progress: OnProgress) -> TrialResult:
        self._call()
        now = datetime.now(UTC)
        return TrialResult(job.trial, TrialState.SUCCEEDED, "w", now, now, steps=20)

    def judge(self, job: EvaluationJob, stop: StopRequest) -> ClipResult:
        self._call()
        return ClipResult(job.clip.clip, job.clip.display_name, failure=Failure("BAD_CLIP", "unreadable"))

    def _call(self) -> None:
        self.calls += 1
        if self.error is not None:
            raise self.error


class FakeAnnouncements:
    def __init__(self) -> None:
        self.said: list[tuple[str, str, bytes]] = []

    async def announce(self, subject: str, event_id: str, payload: bytes) -> None:
        self.said.append((subject, event_id, payload))

    def trial(self) -> search_pb2.Trial:
        return events_pb2.TrialCompleted.FromString(self.said[-1][2]).trial


class NoWatch:
    @asynccontextmanager
    async def over(self, trial: str, stop: StopRequest) -> AsyncIterator[OnProgress]:
        yield lambda progress: None


class Bench:
    def __init__(self, folder: Path) -> None:
        store = ArtifactStore(str(folder))
        self.jobs = FakeJobs()
        self.announcements = FakeAnnouncements()
        self.checkpoints = Checkpoints(store)
        self.bus = CommandBus(
            Settlement(Results(store), self.announcements),
            self.jobs,
            ComputeThread(),
            self.checkpoints,
            NoWatch(),
            "w",
            MAX_DELIVER,
        )


@pytest.fixture
def bench(tmp_path: Path) -> Bench:
    return Bench(tmp_path)


def trial_envelope(deliveries: int = 1, **changes: object) -> Envelope:
    command = commands_pb2.RunTrial(trial=TRIAL, spec="{}", fidelity=search_pb2.Rung(steps=20))
    command.manifest.sha256 = SHA
    for field, value in changes.items():
        setattr(command, field, value)
    subject = command_subject(Command.TRIAL_RUN, "s-r0-0000")
    return Envelope(subject, command.SerializeToString(), "id", {}, deliveries)


def profile_envelope() -> Envelope:
    command = commands_pb2.ProfilePrototype(search="searches/s")
    command.prototype.builtin = "classical"
    command.manifest.sha256 = SHA
    return Envelope(command_subject(Command.PROTOTYPE_PROFILE, "s"), command.SerializeToString(), "id")


def evaluation_envelope() -> Envelope:
    clip = ingest_pb2.Clip(name="clips/c", display_name="c.mp4", frame_count=3)
    command = commands_pb2.RunEvaluation(
        evaluation="evaluations/e", entry=ingest_pb2.DatasetManifest.Entry(clip=clip)
    )
    return Envelope(command_subject(Command.EVALUATION_RUN, "e-c"), command.SerializeToString(), "id")


async def test_a_trial_is_announced_and_its_checkpoint_forgotten(bench: Bench) -> None:
    bench.checkpoints.save(TRIAL, b"half way")

    await bench.bus.handle(trial_envelope())

    ((subject, event_id, _),) = bench.announcements.said
    assert subject == "autoisp.v1.evt.trial.completed.s-r0-0000"
    assert event_id == "trial.completed.s-r0-0000"
    trial = bench.announcements.trial()
    assert (trial.name, trial.state, trial.steps) == (TRIAL, search_pb2.TRIAL_STATE_SUCCEEDED, 20)
    assert bench.checkpoints.load(TRIAL) is None


async def test_a_redelivered_trial_is_not_worked_again(bench: Bench) -> None:
    await bench.bus.handle(trial_envelope())
    await bench.bus.handle(trial_envelope(deliveries=2))

    assert bench.jobs.calls == 1
    assert bench.announcements.said[0] == bench.announcements.said[1]


async def test_a_profile_answers_on_the_searchs_subject(bench: Bench) -> None:
    await bench.bus.handle(profile_envelope())

    ((subject, _, payload),) = bench.announcements.said
    assert subject == "autoisp.v1.evt.prototype.profiled.s"
    event = events_pb2.PrototypeProfiled.FromString(payload)
    assert (event.search, event.failure.reason) == ("searches/s", "BAD_PROTOTYPE")


async def test_a_clip_answers_on_the_evaluations_subject(bench: Bench) -> None:
    await bench.bus.handle(evaluation_envelope())

    ((subject, _, payload),) = bench.announcements.said
    assert subject == "autoisp.v1.evt.evaluation.clip_judged.e-c"
    event = events_pb2.EvaluationClipJudged.FromString(payload)
    assert (event.evaluation, event.result.clip) == ("evaluations/e", "clips/c")
    assert event.result.failure.reason == "BAD_CLIP"


async def test_an_error_of_the_surroundings_leaves_the_trial_to_the_next_delivery(bench: Bench) -> None:
    bench.jobs.error = UnavailableError("the store is away")
    with pytest.raises(UnavailableError):
        await bench.bus.handle(trial_envelope())
    assert not bench.announcements.said

    bench.jobs.error = None
    await bench.bus.handle(trial_envelope(deliveries=2))
    assert bench.announcements.trial().state == search_pb2.TRIAL_STATE_SUCCEEDED


async def test_a_job_that_killed_its_workers_is_recorded_as_crashed(bench: Bench) -> None:
    await bench.bus.bury(trial_envelope(deliveries=MAX_DELIVER + 1), InternalError("exhausted"))

    trial = bench.announcements.trial()
    assert (trial.state, trial.failure.reason) == (search_pb2.TRIAL_STATE_FAILED, "WORKER_CRASHED")
    assert f"{MAX_DELIVER} times" in trial.failure.message


async def test_a_command_that_is_wrong_is_recorded_with_its_error(bench: Bench) -> None:
    envelope = trial_envelope()
    wrong = commands_pb2.RunTrial.FromString(envelope.payload)
    wrong.sensor.builtin = "no-such-sensor"
    envelope = replace(envelope, payload=wrong.SerializeToString())
    with pytest.raises(InvalidArgumentError) as caught:
        await bench.bus.handle(envelope)

    await bench.bus.bury(envelope, caught.value)

    failure = bench.announcements.trial().failure
    assert failure.reason == "INVALID_ARGUMENT"
    assert "no-such-sensor" in failure.message


@pytest.mark.parametrize(
    "envelope", [profile_envelope(), evaluation_envelope()], ids=["profile", "evaluation"]
)
async def test_every_kind_of_command_can_be_buried(bench: Bench, envelope: Envelope) -> None:
    await bench.bus.bury(envelope, InternalError("it broke", reason="BROKEN"))

    assert b"BROKEN" in bench.announcements.said[0][2]


async def test_burying_what_is_recorded_announces_the_record(bench: Bench) -> None:
    await bench.bus.handle(trial_envelope())

    await bench.bus.bury(trial_envelope(deliveries=MAX_DELIVER + 1), InternalError("exhausted"))

    assert bench.announcements.trial().state == search_pb2.TRIAL_STATE_SUCCEEDED


async def test_burying_garbage_says_nothing(bench: Bench) -> None:
    subject = command_subject(Command.TRIAL_RUN, "x")

    await bench.bus.bury(Envelope(subject, b"\xff\xff", "id"), InternalError("undecodable"))

    assert not bench.announcements.said


async def test_cancelling_the_handler_asks_the_arithmetic_to_stop_and_waits_for_it() -> None:
    stop, compute, ended = StopRequest(), ComputeThread(), []

    def work() -> None:
        while not stop:
            pass
        ended.append(stop.reason)

    task = asyncio.create_task(compute.run(work, stop))
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert [reason.name for reason in ended] == ["SHUTDOWN"]

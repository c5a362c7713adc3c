"""Commands in, events out, with the arithmetic replaced by hand."""

import asyncio
import threading
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from autoisp.evaluation.v1 import evaluation_pb2
from autoisp.events.v1 import commands_pb2, events_pb2
from autoisp.ingest.v1 import ingest_pb2
from autoisp.prototype.v1 import prototype_pb2
from autoisp.search.v1 import search_pb2
from autoisp_core.errors import (
    FailedPreconditionError,
    InternalError,
    InvalidArgumentError,
    ResourceExhaustedError,
    UnavailableError,
)
from autoisp_core.quality.results import Latency
from autoisp_runtime.artifacts import ArtifactStore
from autoisp_runtime.jetstream import Command, Envelope, command_subject
from autoisp_runtime.jetstream.publisher import MAX_PAYLOAD_BYTES
from autoisp_worker.attempts import Attempts
from autoisp_worker.bus import CommandBus
from autoisp_worker.compute import ComputeThread, StopRequest
from autoisp_worker.domain import (
    Cost,
    Failure,
    ProfileJob,
    PrototypeProfile,
    Quality,
    TrialJob,
    TrialResult,
    TrialState,
)
from autoisp_worker.domain_conversion import Conversion, ConversionJob, EdgeFormat
from autoisp_worker.domain_evaluation import (
    ClipResult,
    EvaluationJob,
    FrameValues,
    SubjectResult,
)
from autoisp_worker.results import Checkpoints, Results
from autoisp_worker.tickets import trial_ticket
from autoisp_worker.usecases import OnFrames, OnProgress, Settlement
from autoisp_worker.watch import Watches

LIMIT = 3
TRIAL = "searches/s/trials/r0-0000"
SHA = "0" * 64


class FakeJobs:
    """Answers with failures, which need no pixels; or raises what it is told to."""

    def __init__(self) -> None:
        self.calls = 0
        self.error: BaseException | None = None

    def profile(self, job: ProfileJob, stop: StopRequest) -> PrototypeProfile | Failure:
        self._call()
        return Failure("BAD_PROTOTYPE", "no such thing")

    def trial(self, job: TrialJob, stop: StopRequest, on_progress: OnProgress) -> TrialResult:
        self._call()
        now = datetime.now(UTC)
        return TrialResult(job.trial, TrialState.SUCCEEDED, "w", now, now, steps=20)

    def judge(self, job: EvaluationJob, stop: StopRequest, on_frames: OnFrames) -> ClipResult:
        self._call()
        return ClipResult(job.clip.clip, job.clip.display_name, failure=Failure("BAD_CLIP", "unreadable"))

    def convert(self, job: ConversionJob, stop: StopRequest) -> Conversion:
        self._call()
        return Conversion(job.model_version, job.conversion_id, (EdgeFormat("onnx-fp32", note="as it is"),))

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


class NoClipWatch:
    @asynccontextmanager
    async def over(self, evaluation: str, clip: str, stop: StopRequest) -> AsyncIterator[OnFrames]:
        yield lambda take: None


class NoConversionWatch:
    @asynccontextmanager
    async def over(self, model_version: str, stop: StopRequest) -> AsyncIterator[None]:
        yield


class Bench:
    def __init__(self, folder: Path) -> None:
        store = ArtifactStore(str(folder))
        self.store = store
        self.jobs = FakeJobs()
        self.announcements = FakeAnnouncements()
        self.checkpoints = Checkpoints(store)
        self.bus = CommandBus(
            Settlement(Results(store), self.announcements),
            self.jobs,
            ComputeThread(),
            self.checkpoints,
            Watches(NoWatch(), NoClipWatch(), NoConversionWatch()),
            "w",
            Attempts(store, LIMIT),
        )

    def kill_workers(self, count: int) -> None:
        self.store.put_result(f"attempts/{trial_ticket(TRIAL).key}", b"%d" % count, overwrite=True)

    def open_attempts(self) -> bytes | None:
        return self.store.get_result(f"attempts/{trial_ticket(TRIAL).key}")


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
    classical = prototype_pb2.Prototype(builtin="classical")
    command = commands_pb2.RunEvaluation(
        evaluation="evaluations/e",
        entry=ingest_pb2.DatasetManifest.Entry(clip=clip),
        subjects=[evaluation_pb2.Subject(label="prototype", prototype=classical)],
    )
    return Envelope(command_subject(Command.EVALUATION_RUN, "e-c"), command.SerializeToString(), "id")


def conversion_envelope(conversion_id: str = "c1", **changes: object) -> Envelope:
    command = commands_pb2.ConvertModelVersion(
        model_version="models/m/versions/2", conversion_id=conversion_id
    )
    command.onnx.sha256 = SHA
    command.MergeFrom(commands_pb2.ConvertModelVersion(**changes))  # type: ignore[arg-type]
    return Envelope(
        command_subject(Command.MODEL_VERSION_CONVERT, "m-2-1"), command.SerializeToString(), "id"
    )


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


async def test_a_conversion_answers_on_the_versions_subject_once_for_each_request(bench: Bench) -> None:
    for conversion_id in ("c1", "c1", "c2"):
        await bench.bus.handle(conversion_envelope(conversion_id))

    assert bench.jobs.calls == 2
    first, again, other = bench.announcements.said
    assert first == again
    assert first[:2] == (
        "autoisp.v1.evt.model_version.converted.m-2",
        "model_version.converted.m-2.c1",
    )
    assert other[1] == "model_version.converted.m-2.c2"
    event = events_pb2.ModelVersionConverted.FromString(first[2])
    assert (event.model_version, event.conversion_id) == ("models/m/versions/2", "c1")
    assert event.formats.formats[0].format == "onnx-fp32"


async def test_a_conversion_whose_id_is_no_path_answers_nothing(bench: Bench) -> None:
    envelope = conversion_envelope("../../trials/s")
    with pytest.raises(InvalidArgumentError) as caught:
        await bench.bus.handle(envelope)

    await bench.bus.bury(envelope, caught.value)

    assert not bench.announcements.said


async def test_a_result_that_no_message_holds_fails_its_clip_rather_than_never_arriving(bench: Bench) -> None:
    def judge(job: EvaluationJob, stop: StopRequest, on_frames: OnFrames) -> ClipResult:
        frames = tuple(FrameValues(index, {"psnr": 30.0, "ssim": 0.9}) for index in range(30_000))
        judged = SubjectResult(
            "prototype",
            Quality(30.0, 0.9),
            Cost(None, 0, 0, 1.0),
            frames,
            ("psnr", "ssim"),
            Latency(1.0, 1.0, 1.0, len(frames), 1),
        )
        return ClipResult(job.clip.clip, job.clip.display_name, (judged,))

    bench.jobs.judge = judge  # type: ignore[method-assign]

    await bench.bus.handle(evaluation_envelope())

    ((_, _, payload),) = bench.announcements.said
    assert len(payload) < MAX_PAYLOAD_BYTES
    result = events_pb2.EvaluationClipJudged.FromString(payload).result
    assert (result.clip, result.state) == ("clips/c", evaluation_pb2.EVALUATION_STATE_FAILED)
    assert result.failure.reason == "RESULT_TOO_LARGE"
    assert "fewer frames" in result.failure.message


async def test_an_error_of_the_surroundings_leaves_the_trial_to_the_next_delivery(bench: Bench) -> None:
    bench.jobs.error = UnavailableError("the store is away")
    with pytest.raises(UnavailableError):
        await bench.bus.handle(trial_envelope())
    assert not bench.announcements.said

    bench.jobs.error = None
    await bench.bus.handle(trial_envelope(deliveries=2))
    assert bench.announcements.trial().state == search_pb2.TRIAL_STATE_SUCCEEDED


async def test_a_job_that_killed_its_workers_is_given_up_as_crashed(bench: Bench) -> None:
    bench.kill_workers(LIMIT)
    with pytest.raises(FailedPreconditionError) as caught:
        await bench.bus.handle(trial_envelope())
    assert bench.jobs.calls == 0

    await bench.bus.bury(trial_envelope(), caught.value)

    trial = bench.announcements.trial()
    assert (trial.state, trial.failure.reason) == (search_pb2.TRIAL_STATE_FAILED, "WORKER_CRASHED")
    assert f"{LIMIT} times" in trial.failure.message
    assert bench.open_attempts() is None


async def test_a_running_job_counts_as_an_attempt_until_it_ends(bench: Bench) -> None:
    counts: list[bytes | None] = []
    work = bench.jobs.trial

    def trial(job: TrialJob, stop: StopRequest, on_progress: OnProgress) -> TrialResult:
        counts.append(bench.open_attempts())
        return work(job, stop, on_progress)

    bench.jobs.trial = trial  # type: ignore[method-assign]
    bench.kill_workers(LIMIT - 1)

    await bench.bus.handle(trial_envelope(deliveries=100))

    assert counts == [b"%d" % LIMIT]
    assert bench.open_attempts() is None
    assert bench.announcements.trial().state == search_pb2.TRIAL_STATE_SUCCEEDED


@pytest.mark.parametrize(
    "error",
    [UnavailableError("the store is away"), ResourceExhaustedError("the store is full"), ValueError("a bug")],
)
@pytest.mark.parametrize("killed", [0, 1])
async def test_failures_use_up_no_attempts(bench: Bench, error: Exception, killed: int) -> None:
    bench.kill_workers(killed)
    bench.jobs.error = error
    for deliveries in range(1, 3 * LIMIT):
        with pytest.raises(type(error)):
            await bench.bus.handle(trial_envelope(deliveries))
        assert int(bench.open_attempts() or 0) == killed

    bench.jobs.error = None
    await bench.bus.handle(trial_envelope(3 * LIMIT))
    assert bench.announcements.trial().state == search_pb2.TRIAL_STATE_SUCCEEDED


async def test_hand_backs_use_up_no_attempts(bench: Bench) -> None:
    started = threading.Event()

    def until_stopped(job: TrialJob, stop: StopRequest, on_progress: OnProgress) -> TrialResult:
        started.set()
        while not stop:
            time.sleep(0.001)
        raise UnavailableError("stopped")

    bench.jobs.trial = until_stopped  # type: ignore[method-assign]
    for _ in range(2 * LIMIT):
        started.clear()
        handling = asyncio.create_task(bench.bus.handle(trial_envelope()))
        await asyncio.to_thread(started.wait, 10)
        handling.cancel()
        with pytest.raises(asyncio.CancelledError):
            await handling
        assert bench.open_attempts() is None


async def test_lack_of_memory_is_tried_a_limited_number_of_times(bench: Bench) -> None:
    bench.jobs.error = ResourceExhaustedError("not enough memory", reason="OUT_OF_MEMORY")
    for _ in range(LIMIT - 1):
        with pytest.raises(ResourceExhaustedError):
            await bench.bus.handle(trial_envelope())
    with pytest.raises(FailedPreconditionError) as caught:
        await bench.bus.handle(trial_envelope())

    await bench.bus.bury(trial_envelope(), caught.value)

    assert bench.jobs.calls == LIMIT
    failure = bench.announcements.trial().failure
    assert (failure.reason, failure.message) == ("OUT_OF_MEMORY", "not enough memory")


async def test_a_store_that_takes_nothing_costs_no_work(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(key: str, data: bytes, *, overwrite: bool = False) -> bool:
        raise ResourceExhaustedError("the disk is full")

    monkeypatch.setattr(bench.store, "put_result", full)

    with pytest.raises(ResourceExhaustedError):
        await bench.bus.handle(trial_envelope())

    assert bench.jobs.calls == 0


async def test_attempts_that_cannot_be_ended_do_not_hide_the_result(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(key: str) -> None:
        raise UnavailableError("the store is away")

    monkeypatch.setattr(bench.store, "delete_result", away)

    await bench.bus.handle(trial_envelope())

    assert bench.announcements.trial().state == search_pb2.TRIAL_STATE_SUCCEEDED


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
    "envelope",
    [profile_envelope(), evaluation_envelope(), conversion_envelope()],
    ids=["profile", "evaluation", "conversion"],
)
async def test_every_kind_of_command_can_be_buried(bench: Bench, envelope: Envelope) -> None:
    await bench.bus.bury(envelope, InternalError("it broke", reason="BROKEN"))

    assert b"BROKEN" in bench.announcements.said[0][2]


async def test_burying_what_is_recorded_announces_the_record(bench: Bench) -> None:
    await bench.bus.handle(trial_envelope())

    await bench.bus.bury(trial_envelope(), InternalError("exhausted"))

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

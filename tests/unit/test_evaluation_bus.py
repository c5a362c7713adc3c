"""What the evaluation service says and understands on the bus and on the wire."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest
from autoisp.common.v1 import common_pb2
from autoisp.evaluation.v1 import evaluation_pb2
from autoisp.events.v1 import commands_pb2, events_pb2
from autoisp.ingest.v1 import ingest_pb2
from autoisp.prototype.v1 import prototype_pb2
from autoisp.search.v1 import search_pb2
from autoisp_core.errors import InternalError, InvalidArgumentError, NotFoundError
from autoisp_core.noise import Noise
from autoisp_evaluation import wire
from autoisp_evaluation.bus import EvaluationBus, completed_search, encode
from autoisp_evaluation.domain import (
    ClipResult,
    Entry,
    Failure,
    ModelVersion,
    Picture,
    Prototype,
    Registration,
    Sensor,
    State,
    Subject,
)
from autoisp_evaluation.usecases.ports import EvaluationCancelled, EvaluationEnded, JudgeClip
from autoisp_runtime.jetstream import Envelope
from evaluation_fakes import MANIFEST, NOW, World, artifact, draft, evaluation, result

GOOD = {"prototype": [20.0, 21.0], "model": [30.0, 31.0]}


def search_completed() -> events_pb2.SearchCompleted:
    return events_pb2.SearchCompleted(
        search=search_pb2.Search(
            name="searches/s",
            dataset="datasets/d",
            prototype=prototype_pb2.Prototype(builtin="classical"),
            budget=search_pb2.Budget(reduction=100),
            sensor=common_pb2.Sensor(builtin="phone", test_noise=common_pb2.Noise(shot=0.01, read=0.0005)),
            seed=7,
            model="models/m",
            gate="a gate",
            seconds_per_megapixel_limit=0.05,
        ),
        best_trial=search_pb2.Trial(
            name="searches/s/trials/t", spec="{}", onnx=wire.artifact_to(artifact(1))
        ),
        manifest=wire.artifact_to(MANIFEST),
    )


def test_a_command_carries_all_that_a_worker_needs() -> None:
    manifest_entry = ingest_pb2.DatasetManifest.Entry(
        clip=ingest_pb2.Clip(name="clips/c1", frames_uri="clips/c1"), first_frame=2, end_frame=9
    )
    entry = Entry("clips/c1", "one", 7, manifest_entry.SerializeToString())
    sent = encode(JudgeClip(evaluation(), entry))
    assert sent.subject == "autoisp.v1.cmd.evaluation.run.e-c1"
    command = commands_pb2.RunEvaluation.FromString(sent.payload)
    assert command.evaluation == "evaluations/e"
    assert command.entry == manifest_entry
    assert [subject.label for subject in command.subjects] == ["prototype", "model"]
    assert command.subjects[1].onnx == wire.artifact_to(artifact(1))
    assert (command.sensor.builtin, command.seed, command.frames_per_clip) == ("phone", 3, 2)


def test_a_command_names_files_and_the_metrics_beside_quality() -> None:
    subject = Subject("model", ModelVersion("models/m/versions/3", artifact(1)))
    told = evaluation(subjects=(subject,), metrics=("psnr", "ssim", "tof"))
    command = commands_pb2.RunEvaluation.FromString(
        encode(JudgeClip(told, Entry("clips/c1", "", 7, b""))).payload
    )
    assert command.metrics == ["tof"]
    assert command.subjects[0].onnx == wire.artifact_to(artifact(1))
    # The evaluation itself names the version.
    kept = wire.evaluation_to(told).subjects[0]
    assert kept.model_version == "models/m/versions/3"
    assert wire.subject_from(kept, "subject") == subject


def test_a_cancellation_goes_to_the_workers() -> None:
    sent = encode(EvaluationCancelled(evaluation()))
    assert sent.subject == "autoisp.v1.evt.evaluation.cancelled.e"
    assert events_pb2.EvaluationCancelled.FromString(sent.payload).evaluation == "evaluations/e"


async def test_news_of_frames_that_cannot_be_read_are_none() -> None:
    world = World()
    bus = EvaluationBus(world.evaluations, world.live)
    await bus.on_frames_judged(b"\xff\xff")
    await bus.on_frames_judged(b"")
    await world.evaluations.create(draft(), "mine")
    news = events_pb2.EvaluationFramesJudged(
        evaluation="evaluations/mine", clip="clips/c1", frames_done=7, frames_wanted=20
    )
    await bus.on_frames_judged(news.SerializeToString())
    assert [clip.frames_done for clip in (await world.evaluations.get("evaluations/mine")).clips] == [7, 0]


def test_ids_tell_messages_apart_and_repeat_themselves() -> None:
    entries = [Entry(f"clips/c{i}", "", 1, b"") for i in (1, 2)]
    messages = [*(JudgeClip(evaluation(), entry) for entry in entries), EvaluationEnded(evaluation())]
    ids = [encode(message).event_id for message in messages]
    assert len(set(ids)) == 3
    assert ids == [encode(message).event_id for message in messages]


def test_the_end_carries_totals_and_gate_but_no_frames() -> None:
    running = evaluation(registration=Registration("models/m", "{}", None, 100.0), manifest=MANIFEST)
    for clip in ("clips/c1", "clips/c2"):
        after = running.judged(result(clip, GOOD), NOW)
        assert after is not None
        running = after
    sent = encode(EvaluationEnded(running, artifact(9)))
    assert sent.subject == "autoisp.v1.evt.evaluation.completed.e"
    event = events_pb2.EvaluationCompleted.FromString(sent.payload)
    assert event.evaluation.state == evaluation_pb2.EVALUATION_STATE_SUCCEEDED
    assert [total.quality.psnr_db for total in event.evaluation.totals] == [20.5, 30.5]
    assert not any(subject.frames for clip in event.evaluation.clips for subject in clip.subjects)
    assert (event.model, event.spec, event.latency_ratio_goal) == ("models/m", "{}", 100.0)
    assert not event.HasField("macs_per_pixel_limit")
    assert event.manifest == wire.artifact_to(MANIFEST)
    assert event.record == wire.artifact_to(artifact(9))


def test_a_completed_search_is_read() -> None:
    read = completed_search(search_completed())
    assert read.prototype == Prototype("classical")
    assert read.onnx == artifact(1)
    assert read.sensor == Sensor("phone", test_noise=Noise(0.01, 0.0005))
    assert (read.manifest, read.seed, read.frames_per_clip) == (MANIFEST, 7, 24)
    assert read.gate == "a gate"
    assert read.registration == Registration("models/m", "{}", None, 100.0)


def _counted(event: events_pb2.SearchCompleted) -> None:
    event.search.ClearField("seconds_per_megapixel_limit")
    event.search.macs_per_pixel_limit = 700


def _absolute(event: events_pb2.SearchCompleted) -> None:
    event.search.budget.macs_per_pixel = 500
    event.search.macs_per_pixel_limit = 500


def _nameless(event: events_pb2.SearchCompleted) -> None:
    event.search.ClearField("model")


@pytest.mark.parametrize(
    ("change", "expected"),
    [
        (_counted, Registration("models/m", "{}", 700, None)),
        (_absolute, Registration("models/m", "{}", 500, None)),
        (_nameless, Registration("models/s", "{}", None, 100)),
    ],
)
def test_what_the_gate_will_check(
    change: Callable[[events_pb2.SearchCompleted], None], expected: Registration
) -> None:
    event = search_completed()
    change(event)
    assert completed_search(event).registration == expected


def test_all_frames_can_be_asked_for() -> None:
    event = search_completed()
    event.search.test_frames_per_clip = 0
    assert completed_search(event).frames_per_clip == 0


async def test_a_result_that_cannot_be_read_fails_its_clip() -> None:
    world = World()
    world.store.rows["evaluations/e"] = evaluation()
    bus = EvaluationBus(world.evaluations, world.live)
    event = events_pb2.EvaluationClipJudged(
        evaluation="evaluations/e",
        result=evaluation_pb2.ClipResult(
            clip="clips/c1",
            state=evaluation_pb2.EVALUATION_STATE_SUCCEEDED,
            pictures=[evaluation_pb2.Picture(kind="noisy", png=common_pb2.Artifact(sha256="short"))],
        ),
    )
    envelope = Envelope("autoisp.v1.evt.evaluation.clip_judged.e-c1", event.SerializeToString(), "id")
    with pytest.raises(InvalidArgumentError) as caught:
        await bus.on_clip_judged(envelope)
    await bus.on_unusable_result(envelope, caught.value)
    assert world.store.rows["evaluations/e"].clips[0].state is State.FAILED


async def test_an_evaluation_that_cannot_be_ended_fails_as_a_whole(monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    world.store.rows["evaluations/e"] = evaluation()
    await world.evaluations.record("evaluations/e", result("clips/c1", GOOD))
    bus = EvaluationBus(world.evaluations, world.live)
    last = evaluation_pb2.ClipResult(clip="clips/c2", state=evaluation_pb2.EVALUATION_STATE_SUCCEEDED)
    event = events_pb2.EvaluationClipJudged(evaluation="evaluations/e", result=last)
    envelope = Envelope("autoisp.v1.evt.evaluation.clip_judged.e-c2", event.SerializeToString(), "id")

    def broken(*_: object) -> None:
        raise ZeroDivisionError("a bug")

    monkeypatch.setattr("autoisp_evaluation.domain.evaluation.comparisons", broken)
    with pytest.raises(ZeroDivisionError):
        await bus.on_clip_judged(envelope)
    await bus.on_unusable_result(envelope, InternalError("a bug", reason="DELIVERIES_EXHAUSTED"))
    ended = world.store.rows["evaluations/e"]
    assert ended.state is State.FAILED
    assert ended.failure is not None
    assert ended.failure.reason == "DELIVERIES_EXHAUSTED"
    assert [clip.state for clip in ended.clips] == [State.SUCCEEDED, State.FAILED]
    assert isinstance(world.store.sent[-1], EvaluationEnded)
    await world.evaluations.give_up("evaluations/e", Failure("LATER", "it has ended"))
    assert world.store.rows["evaluations/e"] == ended


def test_a_long_cause_is_cut() -> None:
    cause = common_pb2.Failure(reason="CRASHED", message="x" * 100_000)
    read = wire.clip_result_from(evaluation_pb2.ClipResult(clip="clips/c1", failure=cause))
    assert read.failure == Failure("CRASHED", "x" * 1_000)


async def test_a_result_of_nobody_is_left_alone() -> None:
    world = World()
    envelope = Envelope("autoisp.v1.evt.evaluation.clip_judged.e-c1", b"\xff", "id")
    with pytest.raises(InvalidArgumentError) as caught:
        await EvaluationBus(world.evaluations, world.live).on_clip_judged(envelope)
    await EvaluationBus(world.evaluations, world.live).on_unusable_result(envelope, caught.value)
    await EvaluationBus(world.evaluations, world.live).on_unusable_result(
        envelope, NotFoundError("evaluations/e")
    )


def test_an_evaluation_survives_the_wire() -> None:
    full = evaluation(
        subjects=(Subject("p", Prototype(onnx=artifact(3))), Subject("m", artifact(1))),
        sensor=Sensor(toml='name = "mine"', test_noise=Noise(0.01, 0.0005), identity_ccm=True),
        search="searches/s",
        trial="searches/s/trials/t",
        clips=(
            replace(result("clips/c1", GOOD), pictures=(Picture("noisy", 3, artifact(4, "image/png")),)),
            ClipResult("clips/c2", "two", State.FAILED, failure=Failure("X", "why")),
        ),
        totals=result("", GOOD, macs=None).subjects,
        end_time=NOW,
        failure=Failure("Y", "because"),
    )
    assert wire.evaluation_from(wire.evaluation_to(full)) == full


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"sha256": "A" * 64}, "x.sha256"),
        ({"sha256": ""}, "x.sha256"),
        ({"size_bytes": 0}, "x.size_bytes"),
        ({"uri": "../../etc/passwd"}, "x.uri"),
    ],
)
def test_malformed_references_name_the_part(changes: dict[str, object], field: str) -> None:
    good = wire.artifact_to(artifact(1))
    fields = {"uri": good.uri, "sha256": good.sha256, "size_bytes": good.size_bytes, **changes}
    with pytest.raises(InvalidArgumentError) as caught:
        wire.artifact_from(common_pb2.Artifact(**fields), "x")  # type: ignore[arg-type]
    assert caught.value.field == field


def test_a_reference_needs_no_uri() -> None:
    good = wire.artifact_to(artifact(1))
    good.uri = ""
    assert wire.artifact_from(good, "x") == artifact(1)


def test_a_subject_without_source_and_a_noise_without_sense_are_refused() -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        wire.subject_from(evaluation_pb2.Subject(label="x"), "evaluation.subjects[0]")
    assert caught.value.field == "evaluation.subjects[0]"
    sensor = common_pb2.Sensor(test_noise=common_pb2.Noise(shot=-1, read=0))
    with pytest.raises(InvalidArgumentError) as caught:
        wire.sensor_from(sensor, "evaluation.sensor")
    assert caught.value.field == "evaluation.sensor.test_noise.shot"

"""Commands as the worker reads them, and what it refuses to read."""

from datetime import UTC, datetime

import pytest
from autoisp.common.v1 import common_pb2
from autoisp.evaluation.v1 import evaluation_pb2
from autoisp.events.v1 import commands_pb2, events_pb2
from autoisp.ingest.v1 import ingest_pb2
from autoisp.prototype.v1 import prototype_pb2
from autoisp.search.v1 import search_pb2
from autoisp_core.artifact import Artifact
from autoisp_core.errors import InvalidArgumentError
from autoisp_core.quality.results import Latency
from autoisp_core.sensor import IDENTITY_CCM, Noise
from autoisp_runtime.jetstream.publisher import MAX_PAYLOAD_BYTES
from autoisp_worker import wire, wire_conversion, wire_evaluation
from autoisp_worker.domain import Cost, Failure, Fidelity, Quality, Split, TrialResult, TrialState
from autoisp_worker.domain_evaluation import (
    ClipResult,
    FrameValues,
    Picture,
    SubjectResult,
    WorstFrame,
)

MANIFEST = common_pb2.Artifact(uri="blobs/00/0", sha256="0" * 64, size_bytes=1)


def run_trial(**fields: object) -> commands_pb2.RunTrial:
    command = commands_pb2.RunTrial(
        trial="searches/s/trials/t", spec="{}", manifest=MANIFEST, fidelity=search_pb2.Rung(steps=20)
    )
    command.MergeFrom(commands_pb2.RunTrial(**fields))  # type: ignore[arg-type]
    return command


def test_what_is_not_set_does_not_bind() -> None:
    job = wire.trial_job(run_trial())

    assert (job.macs_per_pixel_limit, job.seconds_per_megapixel_limit) == (None, None)
    assert job.initial_checkpoint is None
    assert job.fidelity == Fidelity(steps=20)
    assert wire.trial_job(run_trial(macs_per_pixel_limit=0.5)).macs_per_pixel_limit == 0.5


def test_seconds_replace_steps() -> None:
    assert wire.trial_job(run_trial(fidelity=search_pb2.Rung(seconds=2.5))).fidelity == Fidelity(seconds=2.5)


@pytest.mark.parametrize("rung", [search_pb2.Rung(trials=1), search_pb2.Rung(steps=-1)])
def test_a_trial_without_training_is_refused(rung: search_pb2.Rung) -> None:
    command = run_trial()
    command.fidelity.CopyFrom(rung)

    with pytest.raises(InvalidArgumentError, match="steps or seconds"):
        wire.trial_job(command)


def test_a_sensor_is_built_from_its_parts() -> None:
    sensor = common_pb2.Sensor(builtin="phone", test_noise=common_pb2.Noise(shot=0.01, read=0.0005))

    assert wire.trial_job(run_trial(sensor=sensor)).sensor.test_noise == Noise(0.01, 0.0005)
    assert wire.trial_job(run_trial(sensor=sensor)).sensor.ccm != IDENTITY_CCM
    sensor.identity_ccm = True
    assert wire.trial_job(run_trial(sensor=sensor)).sensor.ccm == IDENTITY_CCM
    toml = common_pb2.Sensor(toml='name = "mine"\n[gains]\nred = 1.5')
    assert wire.trial_job(run_trial(sensor=toml)).sensor.gains[0] == 1.5


@pytest.mark.parametrize(
    ("command", "field"),
    [
        (run_trial(sensor=common_pb2.Sensor(builtin="nonesuch")), "sensor"),
        (run_trial(sensor=common_pb2.Sensor(toml="name =")), "sensor"),
        (run_trial(manifest=common_pb2.Artifact(sha256="x")), "manifest"),
    ],
)
def test_nonsense_names_its_field(command: commands_pb2.RunTrial, field: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        wire.trial_job(command)

    assert caught.value.field == field


def test_a_prototype_must_come_from_somewhere() -> None:
    with pytest.raises(InvalidArgumentError, match="set builtin or onnx"):
        wire.profile_job(commands_pb2.ProfilePrototype(search="searches/s", manifest=MANIFEST))


def test_a_manifest_is_its_clips() -> None:
    clip = ingest_pb2.Clip(name="clips/a", frame_count=9, source_sha256="ab", frames_uri="clips/a/frames")
    entry = ingest_pb2.DatasetManifest.Entry(clip=clip, split=ingest_pb2.SPLIT_VALIDATION, first_frame=3)

    (read,) = wire.manifest(ingest_pb2.DatasetManifest(entries=[entry]).SerializeToString())

    assert (read.clip, read.split, read.first_frame, read.end_frame) == ("clips/a", Split.VALIDATION, 3, 9)
    assert read.frame_count == 6
    with pytest.raises(InvalidArgumentError, match="create the dataset again"):
        wire.manifest(b"\xff\xff")


def test_an_opaque_cost_has_no_macs_on_the_wire() -> None:
    now = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
    result = TrialResult(
        "searches/s/trials/t",
        TrialState.SUCCEEDED,
        "w",
        start_time=now,
        end_time=now,
        cost=Cost(None, 1, 2, 0.5),
        quality=Quality(30.0, 0.9),
    )

    trial = events_pb2.TrialCompleted.FromString(wire.trial_completed(result)).trial

    assert not trial.cost.HasField("macs_per_pixel")
    assert trial.quality.psnr_db == 30.0
    assert trial.end_time.ToDatetime(tzinfo=UTC) == now
    assert not trial.HasField("failure")


def test_an_evaluation_has_psnr_and_ssim_whatever_it_asks_for() -> None:
    command = commands_pb2.RunEvaluation(
        evaluation="evaluations/e",
        subjects=[evaluation_pb2.Subject(label="model", prototype=prototype_pb2.Prototype(builtin="b"))],
        metrics=["vif", "delta_e2000", "vif"],
    )

    assert wire.evaluation_job(command).metrics == ("psnr", "ssim", "vif", "delta_e2000")
    command.metrics[:] = ["beauty"]
    with pytest.raises(InvalidArgumentError, match="beauty") as caught:
        wire.evaluation_job(command)
    assert caught.value.field == "metrics"


@pytest.mark.parametrize(
    ("subjects", "field", "text"),
    [
        ([], "subjects", "at least one"),
        ([evaluation_pb2.Subject(label="a"), evaluation_pb2.Subject(label="a")], "subjects", "its own label"),
        ([evaluation_pb2.Subject(label="a")], "subjects.prototype", "set builtin or onnx"),
        (
            [evaluation_pb2.Subject(label="a", model_version="models/m/versions/1")],
            "subjects.model_version",
            "send its onnx",
        ),
    ],
    ids=["none", "twice", "empty", "version"],
)
def test_subjects_that_can_t_be_judged_are_refused(
    subjects: list[evaluation_pb2.Subject], field: str, text: str
) -> None:
    command = commands_pb2.RunEvaluation(evaluation="evaluations/e", subjects=subjects)

    with pytest.raises(InvalidArgumentError, match=text) as caught:
        wire.evaluation_job(command)

    assert caught.value.field == field


def clip_result(frames: int, worst: int, pictures: int = 3) -> ClipResult:
    picture = Picture("truth", 1, Artifact("blobs/00/" + "0" * 64, "0" * 64, 1, "image/png"))
    values = {"psnr": 30.0, "ssim": 0.9}
    subject = SubjectResult(
        "model",
        Quality(30.0, 0.9),
        Cost(None, 1, 2, 0.5),
        tuple(FrameValues(1000 + index, values) for index in range(frames)),
        ("psnr", "ssim"),
        Latency(0.1, 0.2, 0.3, frames, 1),
    )
    crops = tuple(WorstFrame("model", "psnr", 1, 20.0, (picture,) * 10) for _ in range(worst))
    return ClipResult("clips/c", "C", (subject,), (picture,) * pictures, worst=crops)


@pytest.mark.parametrize(
    ("result", "worst", "pictures", "frames"),
    [
        (clip_result(10, 3), 3, 3, 10),
        (clip_result(10, 1_000), 0, 3, 10),
        (clip_result(10, 1_000, 6_000), 0, 0, 10),
    ],
)
def test_a_result_fits_into_its_message(result: ClipResult, worst: int, pictures: int, frames: int) -> None:
    payload = wire_evaluation.clip_judged("evaluations/e", result)
    assert len(payload) <= MAX_PAYLOAD_BYTES
    told = events_pb2.EvaluationClipJudged.FromString(payload).result
    assert told.state == evaluation_pb2.EVALUATION_STATE_SUCCEEDED
    assert (len(told.worst), len(told.pictures), len(told.subjects[0].frames)) == (worst, pictures, frames)


@pytest.mark.parametrize(
    "result", [clip_result(30_000, 0), ClipResult("clips/c", "C", failure=Failure("CRASHED", "x" * 10**6))]
)
def test_a_result_that_fits_into_no_message_is_a_failure(result: ClipResult) -> None:
    payload = wire_evaluation.clip_judged("evaluations/e", result)
    assert len(payload) < 1_000
    told = events_pb2.EvaluationClipJudged.FromString(payload).result
    assert (told.clip, told.state) == ("clips/c", evaluation_pb2.EVALUATION_STATE_FAILED)
    assert told.failure.reason == "RESULT_TOO_LARGE"
    assert "judge fewer frames" in told.failure.message


def convert_version(**fields: object) -> commands_pb2.ConvertModelVersion:
    command = commands_pb2.ConvertModelVersion(
        model_version="models/m/versions/1", conversion_id="c1", onnx=MANIFEST
    )
    command.MergeFrom(commands_pb2.ConvertModelVersion(**fields))  # type: ignore[arg-type]
    return command


def test_a_conversion_without_formats_is_of_all_and_without_a_manifest_of_no_footage() -> None:
    job = wire_conversion.conversion_job(convert_version())

    assert job.formats == wire_conversion.FORMATS
    assert job.manifest is None
    assert job.sensor.name == "phone"


def test_formats_come_in_the_order_of_reports() -> None:
    command = convert_version(formats=["onnx-int8", "onnx-fp32"], manifest=MANIFEST, frames_per_clip=8)

    job = wire_conversion.conversion_job(command)

    assert job.formats == ("onnx-fp32", "onnx-int8")
    assert job.manifest is not None
    assert job.frames_per_clip == 8


@pytest.mark.parametrize(
    ("fields", "named"),
    [
        ({"model_version": "models/m"}, "model_version"),
        ({"conversion_id": "a/b"}, "conversion_id"),
        ({"conversion_id": "x" * 129}, "conversion_id"),
        ({"formats": ["tflite"]}, "tflite"),
        ({"frames_per_clip": -1}, "frames_per_clip"),
        ({"sensor": common_pb2.Sensor(builtin="no-such")}, "no-such"),
        ({"onnx": common_pb2.Artifact(sha256="zz")}, "onnx"),
    ],
)
def test_a_conversion_that_makes_no_sense_is_refused(fields: dict[str, object], named: str) -> None:
    with pytest.raises(InvalidArgumentError, match=named):
        wire_conversion.conversion_job(convert_version(**fields))

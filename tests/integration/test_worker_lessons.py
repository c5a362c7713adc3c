"""Lessons and inherited weights as the worker handles them: real clips, real training, no bus."""

import itertools
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
import torch
from autoisp.events.v1 import commands_pb2
from autoisp.ingest.v1 import ingest_pb2
from autoisp.prototype.v1 import prototype_pb2
from autoisp.search.v1 import search_pb2
from autoisp_core.artifact import Artifact
from autoisp_core.errors import DataLossError
from autoisp_core.frames import FrameFormat, FrameKind
from autoisp_core.sensor import CFA_TILES, Noise, SensorProfile
from autoisp_core.spec import Spec
from autoisp_isp.checkpoint import load_weights, save_weights
from autoisp_isp.clean_patches import CleanPatches, CleanPatchSource
from autoisp_isp.export import export_onnx
from autoisp_isp.lessons import Lessons, load_lessons
from autoisp_isp.network import build
from autoisp_isp.raw import mosaic_of, unpack
from autoisp_isp.training_set import MIXED
from autoisp_runtime.clip_frames import ClipFrames, ClipWriter
from autoisp_testing.scenes import moving_scene
from autoisp_worker import wire
from autoisp_worker.compute import StopReason, StopRequest
from autoisp_worker.config import WorkerConfig
from autoisp_worker.domain import Failure, PrototypeProfile, Split, TrialResult, TrialState
from autoisp_worker.jobs import LocalJobs
from autoisp_worker.jobs.faults import StoppedError
from autoisp_worker.jobs.real_raw import RealRaw
from autoisp_worker.readable import FootageUnreadableError
from autoisp_worker.tools import Tools
from worker_jobs import CLASSICAL, SENSOR, SPEC, Footage, artifact, reference

SIDE = 160
CAMERA = SensorProfile("cam", black_level=64.0, white_level=1023.0, gains=(1.8, 1.0, 1.6))
NOISY = CAMERA.with_test_noise(Noise(0.004, 0.0002))


@pytest.fixture
def footage(tmp_path: Path) -> Footage:
    return Footage.make(tmp_path, height=SIDE, width=SIDE)


def with_raw(
    footage: Footage, cfa: str = "RGGB", sensor: SensorProfile = NOISY, noise: float = 0.0
) -> Footage:
    """The same, and a training clip of real raw beside it: a mosaic with that tile, as a sensor codes it."""
    uri = f"clips/raw-{cfa}/frames"
    scene = torch.from_numpy(moving_scene(6, SIDE + 2, SIDE + 2, seed=9)).movedim(-1, 1).float() / 255.0
    rggb = unpack(mosaic_of(scene)).numpy()
    # Beginning elsewhere in an RGGB mosaic gives each of the other tiles.
    top, left = divmod(cfa.index("R"), 2)
    mosaic = rggb[:, top : top + SIDE, left : left + SIDE]
    grain = noise * np.random.default_rng(0).standard_normal(mosaic.shape)
    codes = np.rint(64 + (mosaic + grain).clip(0, 1) * (1023 - 64)).astype(np.uint16)
    frame_format = FrameFormat(FrameKind.BAYER, 10, SIDE, SIDE, cfa=cfa)
    with ClipWriter(footage.store, uri, frame_format, sensor) as writer:
        for frame in codes:
            writer.append((frame,), 0)
    clip = ingest_pb2.Clip(
        name="clips/raw",
        width=SIDE,
        height=SIDE,
        frame_count=6,
        source_sha256="f" * 64,
        frames_uri=uri,
    )
    entry = ingest_pb2.DatasetManifest.Entry(
        clip=clip, split=ingest_pb2.SPLIT_TRAIN, first_frame=1, end_frame=6
    )
    manifest = ingest_pb2.DatasetManifest(dataset="datasets/d", entries=[*footage.entries.values(), entry])
    stored = footage.store.put_bytes(manifest.SerializeToString())
    return replace(footage, manifest=reference(stored))


def profile(
    footage: Footage,
    training: search_pb2.Training,
    prototype: prototype_pb2.Prototype = CLASSICAL,
    stop: StopRequest | None = None,
) -> PrototypeProfile | Failure:
    command = footage.profile(prototype)
    command.training.CopyFrom(training)
    command.lesson_frames, command.lesson_seconds = 3, 0.01
    jobs = LocalJobs(Tools.of(WorkerConfig(profile_seconds=0.1), footage.store))
    return jobs.profile(wire.profile_job(command), stop or StopRequest())


def lessons(footage: Footage, training: search_pb2.Training, **options: prototype_pb2.Prototype) -> Lessons:
    measured = profile(footage, training, **options)
    assert isinstance(measured, PrototypeProfile), measured
    assert measured.lessons is not None
    found = load_lessons(footage.store.get_bytes(measured.lessons.file))
    assert (measured.lessons.count, measured.lessons.real) == (len(found), int(found.real.sum()))
    assert measured.lessons.seconds > 0
    return found


def trial(footage: Footage, **changes: object) -> TrialResult:
    jobs = LocalJobs(Tools.of(WorkerConfig(), footage.store))
    return jobs.trial(wire.trial_job(footage.trial(**changes)), StopRequest(), lambda progress: None)


def network(footage: Footage, spec: Spec = SPEC) -> prototype_pb2.Prototype:
    torch.manual_seed(3)
    return prototype_pb2.Prototype(onnx=reference(footage.store.put_bytes(export_onnx(build(spec)))))


def weights(footage: Footage, result: TrialResult) -> dict[str, torch.Tensor]:
    assert result.state is TrialState.SUCCEEDED, result.failure
    assert result.checkpoint is not None
    return load_weights(footage.store.get_bytes(result.checkpoint))


def test_real_raw_is_taught_unless_nothing_is_to_be(footage: Footage) -> None:
    measured = profile(footage, search_pb2.Training())
    assert isinstance(measured, PrototypeProfile)
    assert measured.lessons is None  # all of the footage has truth
    found = lessons(with_raw(footage), search_pb2.Training())
    assert found.real.all()
    assert not found.truth.any()
    untaught = profile(with_raw(footage), search_pb2.Training(distillation=0.0))
    assert isinstance(untaught, PrototypeProfile)
    assert untaught.lessons is None


def test_footage_with_truth_is_taught_if_that_is_asked_for(footage: Footage) -> None:
    found = lessons(with_raw(footage), search_pb2.Training(distillation=0.5), prototype=network(footage))
    assert found.real.any()
    assert not found.real.all()
    assert found.truth[~found.real].any()


def test_each_clean_patch_is_asked_about_once(footage: Footage, monkeypatch: pytest.MonkeyPatch) -> None:
    draws = []
    draw = CleanPatchSource.draw

    def counted(source: CleanPatchSource, word: int, **options: Any) -> CleanPatches:
        draws.append(word)
        return draw(source, word, **options)

    monkeypatch.setattr(CleanPatchSource, "draw", counted)
    found = lessons(footage, search_pb2.Training(distillation=0.5), prototype=network(footage))
    # The last question may find the time over.
    assert len(draws) <= len(found) // MIXED + 1
    assert len({picture.sum().item() for picture in found.truth}) == len(found) >= 4


def test_features_of_an_onnx_prototype_are_kept_and_learned(footage: Footage) -> None:
    prototype = network(footage, replace(SPEC, width=12))
    nodes = onnx.load_from_string(footage.store.get_bytes(artifact(prototype.onnx))).graph.node
    tensor = next(node.input[0] for node in reversed(nodes) if node.op_type == "Conv")
    training = search_pb2.Training(
        distillation=0.5,
        feature_distillation=search_pb2.FeatureDistillation(tensor=tensor, weight=0.5),
    )
    measured = profile(footage, training, prototype)
    assert isinstance(measured, PrototypeProfile), measured
    assert measured.lessons is not None
    assert load_lessons(footage.store.get_bytes(measured.lessons.file)).channels == 12
    file = reference(measured.lessons.file)
    with_features = weights(footage, trial(footage, lessons=file, training=training))
    training.ClearField("feature_distillation")
    without = weights(footage, trial(footage, lessons=file, training=training))
    assert not all(torch.equal(with_features[name], without[name]) for name in without)


def test_features_that_are_not_there_fail_the_search_with_those_that_are(footage: Footage) -> None:
    features = search_pb2.FeatureDistillation(tensor="nothing", weight=0.1)
    failure = profile(footage, search_pb2.Training(feature_distillation=features), network(footage))
    assert isinstance(failure, Failure)
    assert failure.reason == "NO_FEATURES"
    assert "no tensor 'nothing'" in failure.message


@pytest.mark.parametrize("cfa", CFA_TILES)
def test_raw_of_any_tile_comes_as_rggb_with_the_clips_own_facts(footage: Footage, cfa: str) -> None:
    stored = with_raw(footage, cfa)
    job = wire.profile_job(stored.profile())
    clips = list(wire.manifest(stored.store.get_bytes(job.manifest)))
    real = RealRaw(stored.store, clips, job.sensor, edge=16, frames=3, seed=1)
    assert len(real) == 1
    question = real(5)
    assert question.raw.shape == (3, 4, 16, 16)
    assert question.truth is None
    assert question.gains.tolist() == pytest.approx([1.8, 1.0, 1.6])
    assert question.noise.tolist() == pytest.approx([0.004, 0.0002])
    # Wherever it was cut, each plane is its own colour of the scene.
    scene = torch.from_numpy(moving_scene(6, SIDE + 2, SIDE + 2, seed=9)).movedim(-1, 1).float() / 255.0
    planes = mosaic_of(scene)
    assert any(
        bool(torch.allclose(planes[time, :, top : top + 16, left : left + 16], question.raw[-1], atol=2e-3))
        for time in range(1, 6)
        for top in range(planes.shape[-2] - 15)
        for left in range(planes.shape[-1] - 15)
        if abs(float(planes[time, 0, top, left] - question.raw[-1, 0, 0, 0])) < 2e-3
    )
    assert torch.equal(real(5).raw, question.raw)
    assert not torch.equal(real(6).raw, question.raw)


@pytest.mark.parametrize("frames", [2, 5, 9])
def test_no_frame_comes_twice_in_a_row(footage: Footage, frames: int) -> None:
    stored = with_raw(footage, noise=0.05)
    job = wire.profile_job(stored.profile())
    clips = list(wire.manifest(stored.store.get_bytes(job.manifest)))
    real = RealRaw(stored.store, clips, job.sensor, edge=16, frames=frames, seed=1)
    for number in range(12):
        raw = real(number).raw
        assert len(raw) == frames
        assert all(not torch.equal(*pair) for pair in itertools.pairwise(raw))
        if frames <= 5:  # as many as the clip has
            assert len({frame.sum().item() for frame in raw}) == frames


def test_a_few_damaged_frames_of_real_raw_are_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    stored = with_raw(Footage.make(tmp_path, frames=16, height=SIDE, width=SIDE), noise=0.05)
    damaged, read_well = {3}, []
    whole = ClipFrames.stored

    def read(source: ClipFrames, first: int, end: int, *rest: Any) -> Any:
        if source.format.kind is FrameKind.BAYER:
            if damaged & set(range(first, end)):
                raise DataLossError("no pixels")
            read_well.append((first, end))
        return whole(source, first, end, *rest)

    monkeypatch.setattr(ClipFrames, "stored", read)
    job = wire.profile_job(stored.profile())
    clips = list(wire.manifest(stored.store.get_bytes(job.manifest)))
    training = [clip for clip in clips if clip.split is Split.TRAIN]

    def real_raw() -> RealRaw:
        return RealRaw(stored.store, training, job.sensor, edge=16, frames=2, seed=1)

    questions, again = ([real(number) for number in range(12)] for real in (real_raw(), real_raw()))
    # Of frames 1 to 5, those on both sides of the damaged one.
    assert {(1, 3), (4, 6)} <= set(read_well)
    assert all(question.raw.shape == (2, 4, 16, 16) for question in questions)
    assert all(not torch.equal(*question.raw) for question in questions)
    assert all(torch.equal(one.raw, two.raw) for one, two in zip(questions, again, strict=True))
    damaged.update({1, 2, 4, 5})
    with pytest.raises(FootageUnreadableError, match="5 of 21 training frames"):
        real_raw()(0)


def test_unknown_noise_is_what_the_search_expects_and_small_clips_are_left_out(footage: Footage) -> None:
    stored = with_raw(footage, sensor=CAMERA)
    job = wire.profile_job(stored.profile())
    clips = list(wire.manifest(stored.store.get_bytes(job.manifest)))
    question = RealRaw(stored.store, clips, job.sensor, edge=16, frames=1, seed=1)(0)
    assert question.noise.tolist() == pytest.approx([SENSOR.test_noise.shot, SENSOR.test_noise.read])
    assert len(RealRaw(stored.store, clips, job.sensor, edge=SIDE // 2, frames=1, seed=1)) == 1
    assert len(RealRaw(stored.store, clips, job.sensor, edge=SIDE // 2 + 1, frames=1, seed=1)) == 0


def test_a_trial_learns_from_lessons(footage: Footage) -> None:
    taught = with_raw(footage)
    measured = profile(taught, search_pb2.Training())
    assert isinstance(measured, PrototypeProfile)
    assert measured.lessons is not None
    plain = weights(taught, trial(taught))
    file = reference(measured.lessons.file)
    one, two = (weights(taught, trial(taught, lessons=file)) for _ in range(2))
    assert all(torch.equal(one[name], two[name]) for name in one)
    assert not all(torch.equal(one[name], plain[name]) for name in one)


def test_lessons_that_are_gone_or_damaged_are_no_verdict_on_the_spec(footage: Footage) -> None:
    damaged = footage.store.put_bytes(b"no lessons")
    result = trial(footage, lessons=reference(damaged))
    assert result.state is TrialState.FAILED
    assert result.failure is not None
    assert result.failure.reason == "DATA_LOSS"


def test_making_lessons_ends_when_the_worker_stops(footage: Footage) -> None:
    stop = StopRequest()
    stop.request(StopReason.SHUTDOWN)
    with pytest.raises(StoppedError):
        profile(with_raw(footage), search_pb2.Training(), stop=stop)


def heir_command(footage: Footage, donor: Spec, checkpoint: Artifact) -> commands_pb2.Inheritance:
    return commands_pb2.Inheritance(spec=donor.to_json(), checkpoint=reference(checkpoint))


def test_a_trial_starts_from_the_weights_of_its_donor(footage: Footage) -> None:
    donor = weights(footage, trial(footage, fidelity=search_pb2.Rung(steps=60)))
    stored = footage.store.put_bytes(save_weights(donor))
    heir = replace(SPEC, width=12)
    step = search_pb2.Rung(steps=1)
    fresh = weights(footage, trial(footage, spec=heir.to_json(), fidelity=step))
    warm = weights(
        footage,
        trial(footage, spec=heir.to_json(), fidelity=step, inheritance=heir_command(footage, SPEC, stored)),
    )
    name = "blocks.0.layer1.weight"
    # After one step of a rate near zero both are about where they began.
    assert float((warm[name][:8, :8] - donor[name]).abs().mean()) < 0.1 * float(donor[name].abs().mean())
    assert float((fresh[name][:8, :8] - donor[name]).abs().mean()) > 0.5 * float(donor[name].abs().mean())


def test_an_inheritance_that_is_none_fails_the_trial_with_its_field(footage: Footage) -> None:
    wrong = footage.store.put_bytes(save_weights({"x": torch.zeros(1)}))
    result = trial(footage, inheritance=heir_command(footage, replace(SPEC, width=12), wrong))
    assert result.state is TrialState.FAILED
    assert result.failure is not None
    assert "not those of the spec" in result.failure.message

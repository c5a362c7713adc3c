"""Training: batches, determinism, resuming to the bit, stopping, divergence, checkpoints."""

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
from autoisp_core.errors import DataLossError, InvalidArgumentError
from autoisp_core.sensor import Noise, SensorProfile, builtin
from autoisp_core.spec import Spec
from autoisp_isp.checkpoint import (
    Checkpoint,
    load_checkpoint,
    load_weights,
    save_checkpoint,
    save_weights,
)
from autoisp_isp.colour import process, unprocess
from autoisp_isp.design import Design
from autoisp_isp.evaluation import evaluate
from autoisp_isp.export import export_onnx
from autoisp_isp.network import build
from autoisp_isp.patches import NUMBERS, PatchSampler
from autoisp_isp.prototype import load_prototype
from autoisp_isp.raw import mosaic_of
from autoisp_isp.recipe import Recipe, TrainBudget
from autoisp_isp.training import TrainingDivergedError, TrainProgress, TrainResult, train
from autoisp_isp.training_set import Batch, TrainingSet
from autoisp_testing.scenes import moving_scene

_SPEC = Spec(Spec.code((1, 1, 3, 0, 0), (2, 7, 0, 0, 0)), width=8)
_RECIPE = Recipe(batch=2, patch=16)
_PHONE = builtin("phone").with_test_noise(Noise(0.01, 0.0005))


@pytest.fixture(scope="module")
def training_set() -> TrainingSet:
    clips = [("a", moving_scene(6, 64, 96)), ("b", moving_scene(8, 80, 64, seed=1))]
    return TrainingSet(clips, _PHONE)


def _train(training_set: TrainingSet, steps: int, **options: Any) -> TrainResult:
    return train(_SPEC, training_set, TrainBudget(steps=steps), 3, recipe=_RECIPE, **options)


def _same(first: dict[str, torch.Tensor], second: dict[str, torch.Tensor]) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


def test_batch_has_the_contract_shapes_and_repeats(training_set: TrainingSet) -> None:
    batch = training_set.batch(5, seed=1, size=4, patch=16, frames=3)
    assert batch.raw.shape == (4, 3, 4, 16, 16)
    assert batch.truth.shape == (4, 3, 32, 32)
    assert batch.gains.shape == (4, 3)
    assert batch.ccm.shape == (4, 3, 3)
    assert batch.noise.shape == (4, 2)
    assert torch.allclose(batch.ccm.sum(-1), torch.ones(4, 3), atol=1e-5)
    again = training_set.batch(5, seed=1, size=4, patch=16, frames=3)
    assert torch.equal(again.raw, batch.raw)
    assert torch.equal(again.truth, batch.truth)
    assert not torch.equal(training_set.batch(6, seed=1, size=4, patch=16, frames=3).raw, batch.raw)


@pytest.mark.parametrize("sensor", [builtin("phone"), builtin("phone").with_identity_ccm()])
def test_batch_agrees_with_the_reference_maths(sensor: SensorProfile) -> None:
    quiet = sensor.with_test_noise(Noise(0.0, 0.0))
    clips = [("a", moving_scene(1, 32, 32))]
    batch = TrainingSet(clips, quiet).batch(0, seed=0, size=6, patch=16, frames=1)
    # Augmentation is undone by nobody: the truth itself must lead to the raw through the reference maths.
    for raw, gains, ccm, truth in zip(batch.raw, batch.gains, batch.ccm, batch.truth, strict=True):
        camera = unprocess(truth, gains, ccm)
        assert torch.allclose(process(camera, gains, ccm), truth, atol=2e-3)
        assert torch.allclose(mosaic_of(camera), raw[0], atol=4e-3)


def test_small_and_odd_clips_are_padded_and_bad_ones_refused() -> None:
    odd = TrainingSet([("odd", moving_scene(2, 33, 47))], _PHONE)
    assert odd.batch(0, seed=0, size=3, patch=32, frames=5).raw.shape == (3, 5, 4, 32, 32)
    with pytest.raises(InvalidArgumentError):
        TrainingSet([], _PHONE)
    with pytest.raises(InvalidArgumentError):
        TrainingSet([("tiny", moving_scene(2, 8, 64))], _PHONE)
    with pytest.raises(InvalidArgumentError):
        TrainingSet([("float", np.zeros((2, 32, 32, 3), np.float32))], _PHONE)  # type: ignore[list-item]


@pytest.mark.parametrize("sensor", [_PHONE, _PHONE.with_identity_ccm()])
def test_deep_footage_gives_the_same_batch_as_its_8_bits(sensor: SensorProfile) -> None:
    # Too small to be made smaller, which would round to each clip's own bits.
    scene = moving_scene(6, 48, 60)
    wide = scene.astype(np.uint16) * np.uint16(257)
    shallow, deep = (
        TrainingSet([("a", clip)], sensor).batch(3, seed=1, size=8, patch=16, frames=3)
        for clip in (scene, wide)
    )
    torch.testing.assert_close(deep.raw, shallow.raw, atol=1e-5, rtol=0)
    torch.testing.assert_close(deep.truth, shallow.truth, atol=1e-4, rtol=0)


def test_clips_of_8_and_16_bits_train_together() -> None:
    white = np.full((3, 48, 48, 3), 255, np.uint8)
    deep = np.full((3, 48, 48, 3), 65535, np.uint16)
    sampler = PatchSampler([("a", white), ("b", deep)])
    patches = sampler.cut(np.random.default_rng(0).random((16, NUMBERS)), 16, 2)
    assert patches.dtype == np.uint16
    assert (patches == 65535).all()


def test_training_lowers_the_loss_and_repeats_to_the_bit(training_set: TrainingSet) -> None:
    result = _train(training_set, 40)
    assert result.steps == 40
    assert not result.stopped
    assert _same(result.state_dict, _train(training_set, 40).state_dict)
    assert result.loss < _train(training_set, 1).loss


def test_resumed_training_gives_the_same_bits(training_set: TrainingSet) -> None:
    kept: list[bytes] = []
    whole = _train(
        training_set,
        12,
        on_checkpoint=lambda checkpoint: kept.append(save_checkpoint(checkpoint)),
        checkpoint_seconds=0.0,
    )
    assert len(kept) == 12
    for data in (kept[4], kept[10]):
        resumed = _train(training_set, 12, resume_from=load_checkpoint(data))
        assert _same(resumed.state_dict, whole.state_dict)
        assert resumed.loss == whole.loss
        assert resumed.seconds >= load_checkpoint(data).seconds


def test_progress_is_told_and_stop_is_obeyed(training_set: TrainingSet) -> None:
    told: list[TrainProgress] = []
    result = _train(training_set, 1000, on_progress=told.append, should_stop=lambda: True)
    assert result.stopped
    assert result.steps == 1
    assert told[-1].step == 1
    assert told[-1].share == pytest.approx(0.001)


def test_seconds_end_a_training(training_set: TrainingSet) -> None:
    result = train(_SPEC, training_set, TrainBudget(seconds=0.3), 0, recipe=_RECIPE)
    assert 0.3 <= result.seconds < 3.0
    assert result.steps > 0


def test_weights_of_a_shorter_training_are_taken_up(training_set: TrainingSet) -> None:
    short = _train(training_set, 8)
    still = train(
        _SPEC,
        training_set,
        TrainBudget(steps=1),
        9,
        recipe=replace(_RECIPE, learning_rate=0.0),
        init_from=load_weights(save_weights(short.state_dict)),
    )
    assert all(torch.allclose(still.state_dict[name], value) for name, value in short.state_dict.items())
    other = build(Spec(Spec.code((1, 1, 5, 0, 0), (2, 7, 0, 0, 0)), width=8)).state_dict()
    with pytest.raises(InvalidArgumentError, match="another spec"):
        _train(training_set, 1, init_from=other)


def test_one_frame_specs_train_too(training_set: TrainingSet) -> None:
    single = train(replace(_SPEC, frames=1), training_set, TrainBudget(steps=2), 0, recipe=_RECIPE)
    assert single.steps == 2


def test_divergence_says_step_and_seed(training_set: TrainingSet) -> None:
    broken = {name: torch.full_like(value, torch.nan) for name, value in build(_SPEC).state_dict().items()}
    with pytest.raises(TrainingDivergedError) as caught:
        _train(training_set, 5, init_from=broken)
    assert caught.value.metadata["step"] == "0"
    assert caught.value.metadata["seed"] == "3"


def test_a_checkpoint_of_another_spec_or_seed_is_refused(training_set: TrainingSet) -> None:
    kept: list[Checkpoint] = []
    _train(training_set, 1, on_checkpoint=kept.append, checkpoint_seconds=0.0)
    with pytest.raises(InvalidArgumentError):
        _train(training_set, 2, resume_from=replace(kept[0], seed=4))
    with pytest.raises(InvalidArgumentError):
        _train(training_set, 2, resume_from=replace(kept[0], spec_json="{}"))


@pytest.mark.parametrize("data", [b"", b"12345678", b"\xff" * 64, save_weights({"a": torch.zeros(1)})])
def test_damaged_checkpoints_are_data_loss(data: bytes) -> None:
    with pytest.raises(DataLossError):
        load_checkpoint(data)


def test_an_empty_budget_is_refused() -> None:
    with pytest.raises(InvalidArgumentError):
        TrainBudget()
    with pytest.raises(InvalidArgumentError):
        TrainBudget(steps=0)


_RECURRENT = replace(_SPEC, frames=1, recurrent=1)


def test_a_recurrent_network_is_trained_over_as_many_frames_as_the_recipe_says(
    training_set: TrainingSet,
) -> None:
    shapes = []

    class Watched(TrainingSet):
        def batch(self, step: int, *, seed: int, size: int, patch: int, frames: int, **options: Any) -> Batch:
            batch = training_set.batch(step, seed=seed, size=size, patch=patch, frames=frames, **options)
            shapes.append(tuple(batch.raw.shape))
            return batch

    watched = Watched([("a", moving_scene(1, 32, 32))], _PHONE)
    recipe = replace(_RECIPE, unroll=5)
    for spec in (_RECURRENT, replace(_RECURRENT, frames=3), _SPEC):
        train(spec, watched, TrainBudget(steps=1), 0, recipe=recipe)
    assert shapes == [(2, 5, 4, 16, 16), (2, 7, 4, 16, 16), (2, 3, 4, 16, 16)]


def test_a_recurrent_training_learns_its_gate_resumes_to_the_bit_and_takes_short_clips() -> None:
    short = TrainingSet([("short", moving_scene(2, 48, 64))], _PHONE)
    kept: list[Checkpoint] = []

    def trained(**options: Any) -> TrainResult:
        return train(_RECURRENT, short, TrainBudget(steps=6), 3, recipe=_RECIPE, **options)

    whole = trained(on_checkpoint=kept.append, checkpoint_seconds=0.0)
    start = Design.of(_RECURRENT).build().state_dict()
    gates = [name for name in start if name.startswith("fusion.")]
    assert gates
    assert not any(torch.equal(whole.state_dict[name], start[name]) for name in gates)
    assert _same(trained(resume_from=kept[2]).state_dict, whole.state_dict)


def test_on_a_still_clip_a_little_training_makes_the_past_worth_decibels() -> None:
    still = moving_scene(1, 64, 96).repeat(16, axis=0)
    sensor = _PHONE.with_identity_ccm()
    psnr = {}
    for spec in (_RECURRENT, replace(_RECURRENT, recurrent=0)):
        footage = TrainingSet([("still", still)], sensor)
        trained = train(spec, footage, TrainBudget(steps=60), 0, recipe=_RECIPE)
        network = build(spec)
        network.load_state_dict(trained.state_dict)
        developer = load_prototype("onnx:trained.onnx", export_onnx(network))
        results = evaluate(developer, still, sensor, Noise(0.01, 0.0005), 0, [12, 15])
        psnr[spec.recurrent] = np.mean([result.psnr for result in results])
    assert psnr[1] > psnr[0] + 1.0


def test_any_module_of_the_contract_can_be_trained(training_set: TrainingSet) -> None:
    module = Design("by hand", lambda: build(_SPEC), frames=3)
    by_hand = train(module, training_set, TrainBudget(steps=3), 3, recipe=_RECIPE)
    assert _same(by_hand.state_dict, _train(training_set, 3).state_dict)

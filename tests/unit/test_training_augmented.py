"""Trainings with augmentation: all modes, resuming to the bit, and checkpoints of other modes."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
import safetensors.torch
import torch
from autoisp_core.errors import InvalidArgumentError
from autoisp_core.sensor import Noise, builtin
from autoisp_core.spec import Spec
from autoisp_isp.augment.settings import Augmentation, Mode
from autoisp_isp.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from autoisp_isp.recipe import Recipe, TrainBudget
from autoisp_isp.training import TrainProgress, TrainResult, train
from autoisp_isp.training_set import TrainingSet
from autoisp_testing.scenes import moving_scene

_SPEC = Spec(Spec.code((1, 1, 3, 0, 0), (2, 7, 0, 0, 0)), width=8)


def _train(mode: Mode, steps: int = 12, **options: Any) -> TrainResult:
    footage = TrainingSet(
        [("a", moving_scene(6, 64, 96))], builtin("phone").with_test_noise(Noise(0.01, 0.0005))
    )
    recipe = Recipe(batch=4, patch=16, augmentation=Augmentation(mode, every=4, policies=4))
    return train(_SPEC, footage, TrainBudget(steps=steps), 3, recipe=recipe, **options)


def _same(first: TrainResult, second: TrainResult) -> bool:
    return all(torch.equal(value, second.state_dict[name]) for name, value in first.state_dict.items())


@pytest.mark.parametrize("mode", [Mode.RANDOM, Mode.ADVERSARIAL])
def test_a_training_repeats_and_resumes_to_the_bit(mode: Mode) -> None:
    kept: list[bytes] = []
    whole = _train(
        mode,
        on_checkpoint=lambda checkpoint: kept.append(save_checkpoint(checkpoint)),
        checkpoint_seconds=0.0,
    )
    assert _same(whole, _train(mode))
    assert not _same(whole, _train(Mode.OFF))
    for data in (kept[3], kept[5]):  # at the end of a round, and within one
        resumed = _train(mode, resume_from=load_checkpoint(data))
        assert _same(resumed, whole)
        assert resumed.policy == whole.policy


def test_the_policy_is_reported() -> None:
    told: list[TrainProgress] = []
    result = _train(Mode.ADVERSARIAL, on_progress=told.append)
    assert result.policy is not None
    assert result.policy.step == 11
    assert 0.9 < result.policy.entropy <= 1.0
    assert 0.3 < result.policy.ratio < 4.0
    assert told[-1].policy == result.policy
    assert _train(Mode.RANDOM).policy is None


def test_checkpoints_of_another_mode_are_refused() -> None:
    kept: dict[Mode, Checkpoint] = {}
    for mode in Mode:
        _train(
            mode,
            2,
            on_checkpoint=lambda checkpoint, mode=mode: kept.update({mode: checkpoint}),
            checkpoint_seconds=0.0,
        )
    for mode, other in (
        (Mode.OFF, Mode.ADVERSARIAL),
        (Mode.RANDOM, Mode.ADVERSARIAL),
        (Mode.ADVERSARIAL, Mode.OFF),
    ):
        with pytest.raises(InvalidArgumentError, match="another augmentation") as caught:
            _train(mode, resume_from=kept[other])
        assert caught.value.field == "resume_from"


def test_checkpoints_from_before_there_were_policies_still_load() -> None:
    kept: list[Checkpoint] = []
    whole = _train(Mode.OFF, on_checkpoint=kept.append, checkpoint_seconds=0.0)
    data = save_checkpoint(kept[4])
    assert not any(name.startswith("augmenter") for name in safetensors.torch.load(data))
    assert _same(_train(Mode.OFF, resume_from=replace(load_checkpoint(data))), whole)

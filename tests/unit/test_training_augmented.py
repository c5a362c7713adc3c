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
from autoisp_core.training import Augmentation
from autoisp_isp.augment.adversary import Adversary
from autoisp_isp.augment.augmenter import RandomAugmenter
from autoisp_isp.augment.settings import AugmentationSettings
from autoisp_isp.checkpoint import Checkpoint, load_checkpoint, save_checkpoint
from autoisp_isp.distillation import FeatureTask
from autoisp_isp.execution import Execution
from autoisp_isp.lessons import Lesson, Lessons
from autoisp_isp.recipe import Recipe, TrainBudget
from autoisp_isp.taught_set import Batches, TaughtSet
from autoisp_isp.training import TrainingDivergedError, TrainProgress, TrainResult, train
from autoisp_isp.training_set import Batch, TrainingSet
from autoisp_testing.scenes import moving_scene

_SPEC = Spec(Spec.code((1, 1, 3, 0, 0), (2, 7, 0, 0, 0)), width=8)


class _Broken(TrainingSet):
    """Raw is no number from one step on."""

    first = 10

    def batch(self, step: int, **options: Any) -> Batch:
        batch = super().batch(step, **options)
        return replace(batch, raw=batch.raw * torch.nan) if step >= self.first else batch


def _footage(kind: type[TrainingSet] = TrainingSet) -> TrainingSet:
    return kind([("a", moving_scene(6, 64, 96))], builtin("phone").with_test_noise(Noise(0.01, 0.0005)))


def _train(
    mode: Augmentation, steps: int = 12, *, footage: Batches | None = None, every: int = 4, **options: Any
) -> TrainResult:
    recipe = Recipe(batch=4, patch=16, augmentation=AugmentationSettings(mode, every=every, policies=4))
    return train(_SPEC, footage or _footage(), TrainBudget(steps=steps), 3, recipe=recipe, **options)


def _same(first: TrainResult, second: TrainResult) -> bool:
    return all(torch.equal(value, second.state_dict[name]) for name, value in first.state_dict.items())


@pytest.mark.parametrize("mode", [Augmentation.RANDOM, Augmentation.ADVERSARIAL])
def test_a_training_repeats_and_resumes_to_the_bit(mode: Augmentation) -> None:
    kept: list[bytes] = []
    whole = _train(
        mode,
        on_checkpoint=lambda checkpoint: kept.append(save_checkpoint(checkpoint)),
        checkpoint_seconds=0.0,
    )
    assert _same(whole, _train(mode))
    assert not _same(whole, _train(Augmentation.OFF))
    for data in (kept[3], kept[5]):  # at the end of a round, and within one
        resumed = _train(mode, resume_from=load_checkpoint(data))
        assert _same(resumed, whole)
        assert resumed.policy == whole.policy


def test_the_policy_is_reported() -> None:
    told: list[TrainProgress] = []
    result = _train(Augmentation.ADVERSARIAL, on_progress=told.append)
    assert result.policy is not None
    assert result.policy.step == 11
    assert 0.9 < result.policy.entropy <= 1.0
    assert 0.3 < result.policy.ratio < 4.0
    assert told[-1].policy == result.policy
    # A resumed training knows it before there is a newer one.
    kept: list[Checkpoint] = []
    _train(Augmentation.ADVERSARIAL, 9, on_checkpoint=kept.append, checkpoint_seconds=0.0)
    resumed = _train(Augmentation.ADVERSARIAL, 10, resume_from=load_checkpoint(save_checkpoint(kept[8])))
    assert resumed.policy is not None
    assert resumed.policy.step == 7
    assert _train(Augmentation.RANDOM).policy is None


def test_batches_are_made_ahead_no_further_than_the_policies_are_known() -> None:
    ahead = Execution(prefetch=True)
    for every in (1, 3):
        plain = _train(Augmentation.ADVERSARIAL, every=every)
        assert _same(plain, _train(Augmentation.ADVERSARIAL, every=every, execution=ahead))


def test_a_loss_that_is_no_number_ends_the_training_before_the_policy_learns_of_it() -> None:
    kept: list[Checkpoint] = []
    _train(Augmentation.ADVERSARIAL, 7, on_checkpoint=kept.append, checkpoint_seconds=0.0)
    # Begun within a round, so that rounds end before it is time to read the losses again.
    with pytest.raises(TrainingDivergedError, match="step 10"):
        _train(Augmentation.ADVERSARIAL, 40, footage=_footage(_Broken), resume_from=kept[5])


def test_who_learns_nothing_is_told_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    told: list[int] = []
    for kind in (RandomAugmenter, Adversary):
        learn = kind.learn

        def note(self: Any, step: int, *rest: Any, learn: Any = learn) -> Any:
            told.append(step)
            return learn(self, step, *rest)

        monkeypatch.setattr(kind, "learn", note)
    _train(Augmentation.RANDOM, 4)
    assert not told
    _train(Augmentation.ADVERSARIAL, 4)
    assert told == [0, 1, 2, 3]


def _lessons(channels: int) -> Lessons:
    """Of patches as the footage has them, with features that say where they are bright."""
    batch = _footage().batch(0, seed=9, size=6, patch=24, frames=3)
    return Lessons.of(
        [
            Lesson(
                raw=batch.raw[patch],
                gains=batch.gains[patch],
                ccm=batch.ccm[patch],
                noise=batch.noise[patch],
                picture=batch.truth[patch],
                truth=batch.truth[patch],
                features=batch.raw[patch, -1, :channels],
            )
            for patch in range(6)
        ]
    )


@pytest.mark.parametrize("prefetch", [False, True])
def test_policy_lessons_and_features_resume_together_to_the_bit(prefetch: bool) -> None:
    kept: list[bytes] = []
    options: dict[str, Any] = {
        "footage": TaughtSet(_footage(), _lessons(2), 0.5, share=0.4),
        "features": FeatureTask(2, 0.5),
        "execution": Execution(prefetch=prefetch),
    }
    whole = _train(
        Augmentation.ADVERSARIAL,
        on_checkpoint=lambda checkpoint: kept.append(save_checkpoint(checkpoint)),
        checkpoint_seconds=0.0,
        **options,
    )
    for data in (kept[3], kept[5]):
        resumed = _train(Augmentation.ADVERSARIAL, resume_from=load_checkpoint(data), **options)
        assert _same(resumed, whole)
        assert resumed.policy == whole.policy
        assert resumed.loss == whole.loss


def test_checkpoints_of_another_mode_are_refused() -> None:
    kept: dict[Augmentation, Checkpoint] = {}
    for mode in Augmentation:
        _train(
            mode,
            2,
            on_checkpoint=lambda checkpoint, mode=mode: kept.update({mode: checkpoint}),
            checkpoint_seconds=0.0,
        )
    for mode, other in (
        (Augmentation.OFF, Augmentation.ADVERSARIAL),
        (Augmentation.RANDOM, Augmentation.ADVERSARIAL),
        (Augmentation.ADVERSARIAL, Augmentation.OFF),
    ):
        with pytest.raises(InvalidArgumentError, match="another augmentation") as caught:
            _train(mode, resume_from=kept[other])
        assert caught.value.field == "resume_from"


def test_checkpoints_from_before_there_were_policies_still_load() -> None:
    kept: list[Checkpoint] = []
    whole = _train(Augmentation.OFF, on_checkpoint=kept.append, checkpoint_seconds=0.0)
    data = save_checkpoint(kept[4])
    assert not any(name.startswith("augmenter") for name in safetensors.torch.load(data))
    assert _same(_train(Augmentation.OFF, resume_from=replace(load_checkpoint(data))), whole)

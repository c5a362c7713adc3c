"""The adversary over a whole training: what it learns, how it resumes, and what it does when it collapses."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from autoisp_core.errors import InternalError, InvalidArgumentError
from autoisp_core.training import Augmentation
from autoisp_isp.augment.adversary import Adversary
from autoisp_isp.augment.augmenter import PolicyReport, RandomAugmenter
from autoisp_isp.augment.choices import NOBODY, Choices
from autoisp_isp.augment.factory import augmenter_for
from autoisp_isp.augment.images import IMAGE_OPERATIONS, augmented
from autoisp_isp.augment.settings import AugmentationSettings
from torch import Tensor

_NAMES = ("mild", "harsh", "void", "other")
_HARSH = 1


def _settings(**options: float) -> AugmentationSettings:
    return AugmentationSettings(Augmentation.ADVERSARIAL, every=4, **options)  # type: ignore[arg-type]


def _losses(choices: Choices, step: int, harm: float) -> tuple[Tensor, Tensor]:
    """Losses that content rules and one operation raises, and the content."""
    content = torch.randn(len(choices), 2, generator=torch.Generator().manual_seed(step))
    hurt = np.where(choices.operations == _HARSH, choices.severities, 0.0).sum(1)
    return content.sum(1) + harm * torch.from_numpy(hurt).float(), content


def _run(adversary: Adversary, steps: range, harm: float = 0.3) -> list[PolicyReport]:
    reports = []
    for step in steps:
        choices = adversary.choices(step, 8)
        losses, content = _losses(choices, step, harm)
        report = adversary.learn(step, losses, choices, content)
        if report is not None:
            reports.append(report)
    return reports


def test_it_finds_the_operation_that_hurts_and_says_so() -> None:
    adversary = Adversary(_NAMES, _settings(learning_rate=5e-3, least_entropy=0.0), 0)
    reports = _run(adversary, range(320))
    assert [report.step for report in reports] == list(range(3, 320, 4))
    share = np.mean([report.operations["harsh"] for report in reports[-10:]])
    assert share > 0.5
    assert reports[-1].entropy < reports[0].entropy
    assert np.mean([report.ratio for report in reports[-10:]]) > 1.15
    assert sum(reports[-1].operations.values()) == pytest.approx(1.0)
    assert reports[-1].rollbacks == 0


def test_it_goes_on_to_the_bit_from_the_middle_of_a_round() -> None:
    whole = Adversary(_NAMES, _settings(), 3)
    _run(whole, range(18))
    state = whole.state()
    resumed = Adversary(_NAMES, _settings(), 3)
    resumed.restore(state)
    assert _run(resumed, range(18, 40)) == _run(whole, range(18, 40))
    first, second = whole.state(), resumed.state()
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)
    # What was copied has not changed since.
    assert state["round"].tolist() == [4, 0]


def test_choices_are_known_a_round_ahead_and_no_further() -> None:
    adversary = Adversary(_NAMES, _settings(), 0)
    ahead = adversary.choices(7, 8)
    _run(adversary, range(7))
    assert np.array_equal(adversary.choices(7, 8).operations, ahead.operations)
    adversary.choices(11, 8)
    with pytest.raises(InternalError, match="step 12"):
        adversary.choices(12, 8)


def test_a_policy_that_destroys_its_patches_is_set_back_once_and_then_watched_again() -> None:
    settings = _settings(worst_ratio=1.5)
    adversary = Adversary(_NAMES, settings, 0)
    _run(adversary, range(200), harm=0.0)
    before = adversary.state()
    reports = _run(adversary, range(200, 216), harm=3.0)
    # The round after was written by the same policy: it is not held against the one that took its place.
    assert [report.collapsed is not None for report in reports] == [True, False, True, False]
    assert reports[-1].rollbacks == 2
    assert "error" in str(reports[0].collapsed)
    kept = {name: value for name, value in before.items() if name.startswith("learner.kept.")}
    fresh = Adversary(_NAMES, settings, 0)
    fresh.restore(before)
    _run(fresh, range(200, 204), harm=3.0)
    after = fresh.state()
    for name, value in kept.items():
        assert torch.equal(after[name.replace("kept", "policy")], value)


def test_a_policy_that_knows_one_trick_only_is_set_back_and_kept_from_it() -> None:
    adversary = Adversary(_NAMES, _settings(learning_rate=3e-2, least_entropy=0.5), 0)
    reports = _run(adversary, range(800))
    collapsed = [report for report in reports if report.collapsed]
    assert collapsed
    assert "entropy" in str(collapsed[0].collapsed)
    following = reports[reports.index(collapsed[0]) + 2]
    assert following.entropy > collapsed[0].entropy + 0.1
    assert reports[-1].rollbacks == len(collapsed)


def test_states_of_other_augmentations_are_refused() -> None:
    adversary = Adversary(_NAMES, _settings(), 0)
    for state in ({}, Adversary(_NAMES, _settings(policies=4), 0).state()):
        with pytest.raises(InvalidArgumentError, match="another augmentation"):
            adversary.restore(state)
    with pytest.raises(InvalidArgumentError, match="another augmentation"):
        adversary.restore(Adversary(_NAMES[:3], _settings(), 0).state())
    with pytest.raises(InvalidArgumentError, match="another augmentation"):
        RandomAugmenter(_NAMES, _settings(), 0).restore(adversary.state())


def test_chance_takes_all_operations_alike_and_learns_nothing() -> None:
    chance = augmenter_for(AugmentationSettings(Augmentation.RANDOM), _NAMES, 1)
    assert isinstance(chance, RandomAugmenter)
    drawn = [chance.choices(step, 8) for step in range(0, 3200, 4)]
    chosen = np.concatenate([choices.operations[choices.policies != NOBODY] for choices in drawn])
    assert np.allclose(np.bincount(chosen.ravel()) / chosen.size, 0.25, atol=0.03)
    chance.learn(0, torch.zeros(8), drawn[0], torch.zeros(8, 2))
    assert chance.state() == {}
    assert augmenter_for(AugmentationSettings(), _NAMES, 1) is None


def test_on_pictures_it_finds_what_fools_a_classifier() -> None:
    """Bright or dark is all the classifier sees, so turning black into white is what it can't stand."""
    settings = AugmentationSettings(
        Augmentation.ADVERSARIAL, every=4, learning_rate=2e-3, least_entropy=0.0, worst_ratio=1e9
    )
    adversary = augmenter_for(settings, IMAGE_OPERATIONS, 0)
    assert isinstance(adversary, Adversary)
    reports = []
    for step in range(320):
        generator = torch.Generator().manual_seed(step)
        labels = torch.randint(2, (16,), generator=generator).float()
        level = 0.15 + 0.6 * labels[:, None, None, None]
        pictures = level + 0.1 * torch.rand(16, 3, 12, 12, generator=generator)
        choices = adversary.choices(step, 16)
        seen = augmented(pictures, choices).mean((1, 2, 3))
        losses = torch.nn.functional.binary_cross_entropy_with_logits(
            8.0 * (seen - 0.5), labels, reduction="none"
        )
        report = adversary.learn(step, losses, choices, labels[:, None])
        reports += [report] if report else []
    share = np.mean([report.operations["invert"] for report in reports[-10:]])
    assert share > 3 / len(IMAGE_OPERATIONS)

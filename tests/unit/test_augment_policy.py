"""The policy network, what it earns, and how its policies are handed out to patches."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from autoisp_core.errors import InvalidArgumentError
from autoisp_core.training import Augmentation
from autoisp_isp.augment.choices import NOBODY, draw_choices
from autoisp_isp.augment.learner import Learner
from autoisp_isp.augment.policy import Policy
from autoisp_isp.augment.rewards import judge_policies
from autoisp_isp.augment.settings import MAGNITUDES, AugmentationSettings

_OPERATIONS = 6


def _generator(seed: int) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def test_a_new_policy_is_nearly_uniform_and_repeats() -> None:
    policy = Policy(_OPERATIONS, _generator(1))
    decisions = policy.sample(400, _generator(2))
    assert decisions.shape == (400, 5, 2, 2)
    assert torch.equal(decisions, Policy(_OPERATIONS, _generator(1)).sample(400, _generator(2)))
    for kind, count in ((0, _OPERATIONS), (1, MAGNITUDES)):
        shares = torch.bincount(decisions[..., kind].flatten(), minlength=count) / 4000
        assert (shares * count - 1.0).abs().max() < 0.5
    _, entropy = policy.judge(decisions)
    assert entropy.mean() > 0.98 * policy.most_entropy


def test_likelihood_is_that_of_the_way_it_samples() -> None:
    policy = Policy(2, _generator(3))
    with torch.no_grad():
        policy.operation.bias.copy_(torch.tensor([2.0, 0.0]))  # e² : 1
        policy.operation.weight.zero_()
        policy.magnitude.weight.zero_()
        policy.magnitude.bias.zero_()
    decisions = policy.sample(500, _generator(4))
    first = torch.sigmoid(torch.tensor(2.0)).item()
    zeros = (decisions[..., 0] == 0).sum((1, 2))
    assert zeros.float().mean().item() / 10 == pytest.approx(first, abs=0.02)
    expected = zeros * math.log(first) + (10 - zeros) * math.log(1 - first) - 10 * math.log(MAGNITUDES)
    torch.testing.assert_close(policy.judge(decisions)[0], expected)


def test_the_learner_writes_more_of_what_is_rewarded() -> None:
    learner = Learner(_OPERATIONS, AugmentationSettings(Augmentation.ADVERSARIAL, learning_rate=5e-3), 0)
    for step in range(80):
        decisions = learner.sample(8, step)
        earned = (decisions[..., 0] == 2).float().mean((1, 2)) + 0.1 * decisions[..., 1].float().mean((1, 2))
        entropy = learner.update(decisions, (earned - earned.mean()) / (earned.std() + 1e-6))
    late = learner.sample(200, 1000)
    assert (late[..., 0] == 2).float().mean() > 3.0 / _OPERATIONS
    assert late[..., 1].float().mean() > 6.0  # of 0 to 9
    assert 0.0 < entropy < 0.9


def test_rewards_set_content_aside() -> None:
    source = np.random.default_rng(5)
    count, each = 8, 8
    policies = torch.arange(count).repeat_interleave(each)
    content = torch.from_numpy(source.normal(size=(count * each, 3)))
    # What is on the patches counts ten times as much as what the policies did.
    effect = torch.linspace(-0.1, 0.1, count, dtype=torch.float64)
    losses = content @ torch.tensor([1.0, -0.5, 0.3], dtype=torch.float64) + effect[policies]
    verdict = judge_policies(losses.float(), policies, content.float(), count)
    expected = ((effect - effect.mean()) / effect.std()).float()
    torch.testing.assert_close(verdict.rewards, expected, atol=0.05, rtol=0)
    plain = losses.view(count, each).mean(1)
    assert torch.corrcoef(torch.stack([plain, effect]))[0, 1] < 0.9
    assert math.isnan(verdict.excess)  # nobody was left alone


def test_patches_left_alone_are_what_the_excess_is_measured_against() -> None:
    policies = torch.tensor([0, 1, 0, 1, NOBODY, NOBODY])
    losses = torch.tensor([1.0, 2.0, 1.0, 2.0, 0.5, 0.5])
    verdict = judge_policies(losses, policies, torch.zeros(6, 2), 3)
    assert verdict.excess == pytest.approx(1.0)
    torch.testing.assert_close(verdict.rewards, torch.tensor([-0.7071, 0.7071, 0.0]), atol=1e-3, rtol=0)


def test_equal_policies_earn_nothing() -> None:
    verdict = judge_policies(torch.ones(8), torch.arange(8), torch.zeros(8, 2), 8)
    assert torch.equal(verdict.rewards, torch.zeros(8))


def test_choices_repeat_and_serve_all_policies_alike() -> None:
    settings = AugmentationSettings(Augmentation.RANDOM, share=0.5, severity=0.5)
    decisions = torch.full((8, 5, 2, 2), 3)
    decisions[..., 1] = MAGNITUDES - 1
    drawn = [draw_choices(decisions, settings, 7, step, 8) for step in range(16)]
    again = draw_choices(decisions, settings, 7, 5, 8)
    assert np.array_equal(again.policies, drawn[5].policies)
    assert np.array_equal(again.places, drawn[5].places)
    policies = np.concatenate([choices.policies for choices in drawn])
    assert (np.bincount(policies[policies != NOBODY], minlength=8) == 8).all()
    assert (policies == NOBODY).sum() == 64
    alone = again.policies == NOBODY
    assert (again.severities[~alone] == 0.5).all()
    assert (again.severities[alone] == 0.0).all()
    assert len(again.patches(0, 3)) == 4


@pytest.mark.parametrize("share", [0.0, 0.3, 1.0])
def test_the_share_holds_over_the_steps(share: float) -> None:
    settings = AugmentationSettings(Augmentation.RANDOM, share=share)
    decisions = torch.zeros(8, 5, 2, 2, dtype=torch.int64)
    chosen = [draw_choices(decisions, settings, 0, step, 8).policies != NOBODY for step in range(40)]
    assert np.mean(chosen) == pytest.approx(share, abs=0.01)


def test_a_policy_leaves_some_patches_alone_to_be_compared_with() -> None:
    with pytest.raises(InvalidArgumentError, match="left alone") as caught:
        AugmentationSettings(Augmentation.ADVERSARIAL, share=1.0)
    assert caught.value.field == "augmentation.share"


@pytest.mark.parametrize(
    ("field", "value"), [("mode", "cruel"), ("share", 1.5), ("severity", -0.1), ("every", 0), ("policies", 1)]
)
def test_settings_out_of_range_are_named(field: str, value: object) -> None:
    with pytest.raises(InvalidArgumentError, match=field if field != "mode" else "cruel") as caught:
        AugmentationSettings(**{field: value})  # type: ignore[arg-type]
    assert caught.value.field == f"augmentation.{field}"
    assert AugmentationSettings("random").mode is Augmentation.RANDOM  # type: ignore[arg-type]

"""What a policy earned: how much it raised the loss, content set aside."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from autoisp_isp.augment.choices import NOBODY

_RIDGE = 1e-3
"""Keeps the slopes finite where a feature hardly varies."""
_LEAST_SPREAD = 1e-6


@dataclass(frozen=True)
class Verdict:
    """Rewards (M,) with mean 0 and spread 1, 0 for a policy without any patch; and `excess`, the mean loss of
    augmented patches less that of the others, content set aside (NaN where there are none of either)."""

    rewards: Tensor
    excess: float


def judge_policies(losses: Tensor, policies: Tensor, content: Tensor, count: int) -> Verdict:
    """Mean loss of each policy's patches, adjusted for their content and normalised.

    Adversarial AutoAugment (arXiv 1912.11188) shows each picture to all policies, M times the work. Here each
    patch is shown to one policy, and patches differ more by what is on them than by what was done to them. So
    their content serves as a control variate: features of the clean patch, with slopes that are fitted within
    the policies' groups (analysis of covariance), so that what the policies do does not pass for content.

    Args:
        losses: (P,) of all patches of a round.
        policies: (P,) who chose; `NOBODY` for patches left alone, which help to fit the slopes.
        content: (P, F) features that no policy had a hand in.
        count: M.
    """
    losses, content = losses.double(), content.double()
    groups = torch.where(policies == NOBODY, count, policies)
    members = torch.zeros(count + 1, dtype=torch.float64).index_add_(0, groups, torch.ones_like(losses))
    content = content - content.mean(0)
    apart = content - _means(content, groups, members)[groups]
    slopes = torch.linalg.solve(
        apart.T @ apart + _RIDGE * torch.eye(content.shape[1], dtype=torch.float64),
        apart.T @ (losses - _means(losses[:, None], groups, members)[groups, 0]),
    )
    adjusted = losses - content @ slopes
    means = _means(adjusted[:, None], groups, members)[:count, 0]
    present = members[:count] > 0
    rewards = torch.zeros(count, dtype=torch.float64)
    if int(present.sum()) > 1:
        known = means[present]
        rewards[present] = (known - known.mean()) / (known.std() + _LEAST_SPREAD)
    augmented = policies != NOBODY
    excess = adjusted[augmented].mean() - adjusted[~augmented].mean()
    return Verdict(rewards.float(), float(excess))


def _means(values: Tensor, groups: Tensor, members: Tensor) -> Tensor:
    """Mean of (P, F) in each group, (groups, F); 0 for an empty one."""
    sums = values.new_zeros(len(members), values.shape[1]).index_add_(0, groups, values)
    return sums / members.clamp_min(1.0)[:, None]

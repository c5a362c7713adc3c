"""The adversary of a training: a policy that is rewarded for what raises the loss."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import ClassVar

import structlog
import torch
from autoisp_core.errors import InternalError
from torch import Tensor

from autoisp_isp.augment.augmenter import PolicyReport, of_another_augmentation
from autoisp_isp.augment.choices import Choices, draw_choices, word_of
from autoisp_isp.augment.learner import Learner
from autoisp_isp.augment.rewards import judge_policies
from autoisp_isp.augment.settings import AugmentationSettings

_AHEAD = 2
"""Rounds of policies that are known at any time, the present and the next: batches may be made ahead of the
steps that train on them."""
_MOST_EXCESS = 100.0
"""Of a logarithm, so that its exponential stays finite."""

_log = structlog.get_logger(__name__)


class Adversary:
    """Adversarial AutoAugment (arXiv 1912.11188): min over the network, max over the policy, of the loss.

    Steps come in rounds of `settings.every`. A round has M policies, sampled after the round before the last;
    at its end the policy takes one REINFORCE step along what their patches' losses say of them. One that has
    collapsed is set back, and what it has written already teaches nothing.

    Args:
        operations: names of what there is to choose from.
        settings: see there.
        seed: of the training.
    """

    learns: ClassVar[bool] = True

    def __init__(self, operations: Sequence[str], settings: AugmentationSettings, seed: int) -> None:
        self._operations, self._settings, self._seed = tuple(operations), settings, seed
        self._learner = Learner(len(operations), settings, word_of(seed, 0, "weights"))
        self._rounds = {number: self._sampled(number) for number in range(_AHEAD)}
        self._losses: list[Tensor] = []
        self._policies: list[Tensor] = []
        self._content: list[Tensor] = []
        self._stale = 0
        self._report: PolicyReport | None = None

    @property
    def report(self) -> PolicyReport | None:
        """See :class:`~autoisp_isp.augment.augmenter.Augmenter`."""
        return self._report

    def choices(self, step: int, size: int) -> Choices:
        """See :class:`~autoisp_isp.augment.augmenter.Augmenter`."""
        number = step // self._settings.every
        if number not in self._rounds:
            raise InternalError(f"the policies of step {step} are not known yet, or no more")
        return draw_choices(self._rounds[number], self._settings, self._seed, step, size)

    def learn(self, step: int, losses: Tensor, choices: Choices, content: Tensor) -> PolicyReport | None:
        """See :class:`~autoisp_isp.augment.augmenter.Augmenter`."""
        # Fetched from the device at the end of the round only.
        self._losses.append(losses.detach())
        self._policies.append(torch.from_numpy(choices.policies))
        self._content.append(content)
        if (step + 1) % self._settings.every:
            return None
        number = step // self._settings.every
        self._report = self._updated(step, self._rounds.pop(number))
        self._rounds[number + _AHEAD] = self._sampled(number + _AHEAD)
        self._losses, self._policies, self._content = [], [], []
        return self._report

    def state(self) -> dict[str, Tensor]:
        """See :class:`~autoisp_isp.augment.augmenter.Augmenter`."""
        state = {f"learner.{name}": value for name, value in self._learner.state().items()}
        state["round"] = torch.tensor([min(self._rounds), self._stale])
        state["decisions"] = torch.stack([self._rounds[number] for number in sorted(self._rounds)])
        if self._report is not None:
            state["report"] = self._report.to_tensor()
        if self._losses:
            state["losses"] = torch.cat(self._losses).cpu()
            state["policies"] = torch.cat(self._policies)
            state["content"] = torch.cat(self._content)
        return state

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """See :class:`~autoisp_isp.augment.augmenter.Augmenter`."""
        known = torch.stack(list(self._rounds.values()))
        if "decisions" not in state or state["decisions"].shape != known.shape:
            raise of_another_augmentation("it holds no policies, or another number of them")
        prefix = "learner."
        self._learner.restore(
            {name[len(prefix) :]: value for name, value in state.items() if name.startswith(prefix)}
        )
        first, self._stale = state["round"].tolist()
        self._report = PolicyReport.from_tensor(state["report"]) if "report" in state else None
        self._rounds = dict(enumerate(state["decisions"].clone(), first))
        self._losses, self._policies, self._content = (
            [state[name].clone()] if name in state else [] for name in ("losses", "policies", "content")
        )

    def _updated(self, step: int, decisions: Tensor) -> PolicyReport:
        verdict = judge_policies(
            torch.cat([losses.cpu() for losses in self._losses]),
            torch.cat(self._policies),
            torch.cat(self._content),
            self._settings.policies,
        )
        ratio, collapsed = math.exp(min(verdict.excess, _MOST_EXCESS)), None
        rewards = torch.zeros_like(verdict.rewards) if self._stale else verdict.rewards
        entropy = self._learner.update(decisions, rewards)
        if self._stale:
            self._stale -= 1
        else:
            collapsed = self._collapse(entropy, ratio)
            if collapsed is None:
                self._learner.keep()
            else:
                self._learner.roll_back()
                self._stale = _AHEAD - 1
                _log.warning("augmentation policy rolled back", step=step, why=collapsed)
        return PolicyReport(step, entropy, ratio, self._shares(decisions), self._learner.rollbacks, collapsed)

    def _collapse(self, entropy: float, ratio: float) -> str | None:
        settings = self._settings
        if entropy < settings.least_entropy:
            return f"entropy {entropy:.3f} of a uniform choice's is below {settings.least_entropy}"
        if ratio > settings.worst_ratio:
            return (
                f"the error of augmented patches is {ratio:.2f} of the others', over {settings.worst_ratio}"
            )
        return None

    def _sampled(self, number: int) -> Tensor:
        return self._learner.sample(self._settings.policies, word_of(self._seed, number, "policies"))

    def _shares(self, decisions: Tensor) -> dict[str, float]:
        counts = torch.bincount(decisions[..., 0].flatten(), minlength=len(self._operations))
        shares = (counts / counts.sum()).tolist()
        return dict(zip(self._operations, shares, strict=True))

"""The policy's own training: REINFORCE with Adam, and what it is set back to when it collapses."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor

from autoisp_isp.augment.augmenter import of_another_augmentation
from autoisp_isp.augment.policy import Policy
from autoisp_isp.augment.settings import AugmentationSettings
from autoisp_isp.checkpoint import copied
from autoisp_isp.optimizer import Optimizer
from autoisp_isp.recipe import Recipe

_ADAM = Recipe(adam_decays=(0.9, 0.999))
_KEEP_EVERY = 10
"""Healthy updates from one copy to the next. Of two copies the older one counts, 10 to 20 updates back: a
policy that is found collapsed was on its way there before."""
_WEIGHT_AFTER, _WEIGHT_MOST = 0.1, 0.4
"""Entropy weight after the first rollback, doubled at each further one up to the second number: with the same
weight the policy would collapse again. With rewards as operations and noise of a real training give them,
weights up to 0.05 ended below an entropy of 0.2, 0.1 settled at 0.6, 0.2 at 0.9 and 0.4 near chance."""


class Learner:
    """A policy that learns.

    Args:
        operations: how many there are to choose from.
        settings: learning rate and entropy weight.
        seed: of the first weights.

    Attributes:
        rollbacks: how often it was set back.
    """

    def __init__(self, operations: int, settings: AugmentationSettings, seed: int) -> None:
        self._settings = settings
        self._policy = Policy(operations, torch.Generator().manual_seed(seed))
        self._parameters = dict(self._policy.named_parameters())
        self._optimizer = Optimizer(self._parameters, _ADAM)
        self._kept, self._candidate = copied(self._parameters), copied(self._parameters)
        self._steps = self._healthy = self.rollbacks = 0

    def sample(self, count: int, seed: int) -> Tensor:
        """Policies (count, 5, 2, 2): see :meth:`Policy.sample`."""
        return self._policy.sample(count, torch.Generator().manual_seed(seed))

    def update(self, decisions: Tensor, rewards: Tensor) -> float:
        """One step towards the policies (M, 5, 2, 2) that had high rewards (M,).

        Returns:
            The entropy before the step, in [0, 1] of a uniform policy's.
        """
        likelihood, entropy = self._policy.judge(decisions)
        self._policy.zero_grad(set_to_none=True)
        loss = -(rewards * likelihood + self._entropy_weight() * entropy).mean()
        loss.backward()  # type: ignore[no-untyped-call]  # torch's stub
        self._optimizer.step(self._steps, self._settings.learning_rate)
        self._steps += 1
        return float(entropy.detach().mean()) / self._policy.most_entropy

    def keep(self) -> None:
        """Notes that the policy is healthy."""
        self._healthy += 1
        if self._healthy % _KEEP_EVERY == 0:
            self._kept, self._candidate = self._candidate, copied(self._parameters)

    def roll_back(self) -> None:
        """Sets the policy back to the older copy, without the momentum that made it collapse."""
        with torch.no_grad():
            for name, parameter in self._parameters.items():
                parameter.copy_(self._kept[name])
                self._optimizer.first_moment[name].zero_()
                self._optimizer.second_moment[name].zero_()
        self._candidate = copied(self._kept)
        self._steps = self._healthy = 0
        self.rollbacks += 1

    def state(self) -> dict[str, Tensor]:
        """Copies of everything, by name."""
        counts = torch.tensor([self._steps, self._healthy, self.rollbacks])
        state = {"counts": counts}
        for group, tensors in self._groups().items():
            state |= {f"{group}.{name}": value for name, value in copied(tensors).items()}
        return state

    def restore(self, state: Mapping[str, Tensor]) -> None:
        """Goes on from what `state` gave.

        Raises:
            InvalidArgumentError: it is of another policy.
        """
        for group, tensors in self._groups().items():
            for name, value in tensors.items():
                saved = state.get(f"{group}.{name}")
                if saved is None or saved.shape != value.shape:
                    raise of_another_augmentation(f"{group}.{name} is missing or has another shape")
                with torch.no_grad():
                    value.copy_(saved)
        self._steps, self._healthy, self.rollbacks = state["counts"].tolist()

    def _groups(self) -> dict[str, Mapping[str, Tensor]]:
        return {
            "policy": self._parameters,
            "first": self._optimizer.first_moment,
            "second": self._optimizer.second_moment,
            "kept": self._kept,
            "candidate": self._candidate,
        }

    def _entropy_weight(self) -> float:
        if self.rollbacks == 0:
            return self._settings.entropy_weight
        raised = min(_WEIGHT_MOST, _WEIGHT_AFTER * 2.0 ** (self.rollbacks - 1))
        return max(self._settings.entropy_weight, raised)

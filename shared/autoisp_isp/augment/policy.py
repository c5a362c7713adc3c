"""The policy network: an LSTM that writes augmentation policies, one decision after the other."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

from autoisp_isp.augment.settings import MAGNITUDES, SLOTS, SUBPOLICIES

_EMBEDDING, _HIDDEN = 32, 100
_SPREAD = 0.1
"""Weights start uniform within this: all decisions are then about equally likely."""
_KINDS = 2
"""Decisions per operation: which, and how much."""
_DECISIONS = SUBPOLICIES * SLOTS * _KINDS


class Policy(nn.Module):
    """Controller of Adversarial AutoAugment (arXiv 1912.11188).

    A layer of 100 LSTM cells reads an embedding of 32 numbers of the decision before, and one head each gives
    the operation and its magnitude in turns: 5 sub-policies of 2 operations are 20 decisions.

    Args:
        operations: how many there are to choose from.
        generator: of the first weights; a CPU generator.
    """

    def __init__(self, operations: int, generator: torch.Generator) -> None:
        super().__init__()
        self._operations = operations
        # The first is what comes before any decision.
        self.embedding = nn.Embedding(1 + operations + MAGNITUDES, _EMBEDDING)
        self.lstm = nn.LSTM(_EMBEDDING, _HIDDEN, batch_first=True)
        self.operation = nn.Linear(_HIDDEN, operations)
        self.magnitude = nn.Linear(_HIDDEN, MAGNITUDES)
        with torch.no_grad():
            for parameter in self.parameters():
                parameter.uniform_(-_SPREAD, _SPREAD, generator=generator)

    @torch.no_grad()
    def sample(self, count: int, generator: torch.Generator) -> Tensor:
        """Draws policies: (count, 5, 2, 2) int64, operation and magnitude of each slot and sub-policy."""
        word, state = torch.zeros(count, 1, dtype=torch.int64), None
        decisions = []
        for number in range(_DECISIONS):
            features, state = self.lstm(self.embedding(word), state)
            kind = number % _KINDS
            shares = self._head(kind)(features[:, 0]).softmax(-1)
            decisions.append(torch.multinomial(shares, 1, generator=generator))
            word = self._words(decisions[-1], kind)
        return torch.cat(decisions, 1).view(count, SUBPOLICIES, SLOTS, _KINDS)

    def judge(self, decisions: Tensor) -> tuple[Tensor, Tensor]:
        """How likely policies are.

        Args:
            decisions: (M, 5, 2, 2) as `sample` gives them.

        Returns:
            Logarithm of each policy's probability, (M,), and the entropy of its decisions in nats, (M,).
        """
        flat = decisions.view(len(decisions), -1, _KINDS)
        words = torch.stack([self._words(flat[..., kind], kind) for kind in range(_KINDS)], -1).flatten(1)
        before = nn.functional.pad(words[:, :-1], (1, 0))
        features, _ = self.lstm(self.embedding(before))
        likelihood, entropy = [], []
        for kind in range(_KINDS):
            logs = self._head(kind)(features[:, kind::_KINDS]).log_softmax(-1)
            likelihood.append(logs.gather(-1, flat[..., kind, None]).sum((1, 2)))
            entropy.append(-(logs.exp() * logs).sum((1, 2)))
        return likelihood[0] + likelihood[1], entropy[0] + entropy[1]

    @property
    def most_entropy(self) -> float:
        """Entropy in nats of a policy to which all decisions are alike."""
        return SUBPOLICIES * SLOTS * (math.log(self._operations) + math.log(MAGNITUDES))

    def _head(self, kind: int) -> nn.Linear:
        return self.magnitude if kind else self.operation

    def _words(self, decisions: Tensor, kind: int) -> Tensor:
        """Rows of the embedding."""
        return decisions + (1 + self._operations * kind)

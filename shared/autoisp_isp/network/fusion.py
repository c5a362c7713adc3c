"""Recurrent fusion: what earlier frames showed, kept where the new frame shows the same."""

from __future__ import annotations

import torch
from torch import Tensor, nn

_CAUTION = 8.0
"""How fast trust in the past falls with the change, at the start of training. Noise alone changes stabilised
values by about 0.1, motion by several times that."""
_TRUST = 1.0


class Fusion(nn.Module):
    """fresh + γ · (state - fresh) with γ = sigmoid(conv 1 × 1(\\|state - fresh\\|)), channel by channel.

    A motion-adaptive running mean in feature space, after EMVD's fusion stage (arXiv 2103.05407). It starts
    as one that trusts the past where little has changed.

    Args:
        width: channels of the features.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.gate = nn.Conv2d(width, width, 1)
        with torch.no_grad():
            self.gate.weight.copy_(-_CAUTION * torch.eye(width)[:, :, None, None])
            if self.gate.bias is not None:
                self.gate.bias.fill_(_TRUST)

    def forward(self, fresh: Tensor, state: Tensor) -> Tensor:
        """Features of the newest frames and the state before, both (N, width, H, W), to the new state."""
        change = state - fresh
        trust: Tensor = self.gate(change.abs()).sigmoid()
        return fresh + trust * change

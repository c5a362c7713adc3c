"""The coefficient prediction module of DyNet (arXiv 2004.10694), section 3.2."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional

from autoisp_isp.dynamic.convolution import BANK


class Coefficients(nn.Module):
    """η of all dynamic convolutions of a block: sigmoid(FC(mean over the picture of what the block gets)).

    It starts at 1/2 for every picture: what :meth:`DynamicConv2d.start_from` counts on.

    Args:
        channels: of what the block gets.
        outputs: output channels of each of the block's dynamic convolutions.
        bank: kernels that each output channel mixes.
        hidden: channels between two FCs with ReLU, as the paper's residual networks have; None: a single FC.

    Attributes:
        outputs: as given.
        bank: as given.
    """

    def __init__(
        self, channels: int, outputs: Sequence[int], *, bank: int = BANK, hidden: int | None = None
    ) -> None:
        super().__init__()
        self.outputs, self.bank = tuple(outputs), bank
        self.squeeze = None if hidden is None else nn.Linear(channels, hidden)
        self.mix = nn.Linear(channels if hidden is None else hidden, bank * sum(self.outputs))
        nn.init.zeros_(self.mix.weight)
        nn.init.zeros_(self.mix.bias)

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        """What the block gets, (N, channels, H, W), to (N, outputs[j], bank) for convolution j."""
        means = functional.adaptive_avg_pool2d(x, 1).flatten(1)
        if self.squeeze is not None:
            means = self.squeeze(means).relu()
        mixed = self.mix(means).sigmoid().split([self.bank * channels for channels in self.outputs], 1)
        return tuple(
            torch.unflatten(part, 1, (channels, self.bank))
            for part, channels in zip(mixed, self.outputs, strict=True)
        )

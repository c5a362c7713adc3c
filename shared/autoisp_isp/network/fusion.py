"""Recurrent fusion: what earlier frames showed, kept where the new frame shows the same."""

from __future__ import annotations

from torch import Tensor, nn

_KERNEL = 5
_CAUTION = 20.0
"""How fast trust in the past falls with the mean change around, at the start of training. Noise alone changes
stabilised values by about 0.07, motion by several times that."""
_TRUST = 3.0


class Fusion(nn.Module):
    """fresh + γ · (state - fresh), with γ = sigmoid(conv 1 × 1(depthwise conv 5 × 5(\\|state - fresh\\|))).

    A motion-adaptive running mean in feature space, after EMVD's fusion stage (arXiv 2103.05407). One noisy
    pixel can't tell motion from noise, its neighbours together can: without the 5 × 5, short trainings ended
    half a decibel lower or more, and moving scenes below what no state gives. It starts as a mean that trusts
    the past where little has changed around a pixel.

    Args:
        width: channels of the features.
    """

    def __init__(self, width: int) -> None:
        super().__init__()
        self.around = nn.Conv2d(width, width, _KERNEL, padding=_KERNEL // 2, groups=width)
        self.gate = nn.Conv2d(width, width, 1)
        # A sum rather than a mean: weights near one learn at the pace of all others, tiny ones too fast.
        nn.init.ones_(self.around.weight)
        for convolution, bias in ((self.around, 0.0), (self.gate, _TRUST)):
            if convolution.bias is not None:
                nn.init.constant_(convolution.bias, bias)
        self.watch(width)

    def watch(self, channels: int) -> None:
        """Lets the change in the first channels decide for all: those that show the picture, if any do."""
        nn.init.zeros_(self.gate.weight)
        nn.init.constant_(self.gate.weight[:, :channels], -_CAUTION / (channels * _KERNEL**2))

    def forward(self, fresh: Tensor, state: Tensor, valid: Tensor | None = None) -> Tensor:
        """Features of the newest frames and the state before, both (N, width, H, W), to the new state; where
        ``valid`` (N, 1) is 0 there was nothing before."""
        change = state - fresh
        trust: Tensor = self.gate(self.around(change.abs())).sigmoid()
        return fresh + (trust if valid is None else trust * valid[:, :, None, None]) * change

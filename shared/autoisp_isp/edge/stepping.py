"""One frame's step of a network as a module: what the exported graph takes and gives, in its order."""

from __future__ import annotations

from torch import Tensor, nn

from autoisp_isp.network import PixelNetwork


class Step(nn.Module):
    """Takes raw, gains, ccm and noise, and of a recurrent network state and its validity; gives sRGB, and the
    new state and its validity.

    Args:
        network: in evaluation mode.
    """

    def __init__(self, network: PixelNetwork) -> None:
        super().__init__()
        self.network = network

    def forward(self, *inputs: Tensor) -> tuple[Tensor, ...]:
        """One frame of a stream."""
        if self.network.fusion is None:
            return (self.network(*inputs),)
        srgb, state, valid = self.network.step(*inputs)
        return srgb, state, valid

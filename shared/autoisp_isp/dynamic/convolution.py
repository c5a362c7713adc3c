"""The dynamic convolution of DyNet (arXiv 2004.10694), section 3.2."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn
from torch.nn import functional

BANK = 6
"""Kernels that each output channel mixes: the paper's group size g, which it sets to 6 everywhere."""

_RESTING = 0.5
"""A coefficient that its predictor knows nothing of yet: the sigmoid of 0."""

Pair = int | tuple[int, int]
PaddingMode = Literal["zeros", "reflect", "replicate", "circular"]


class DynamicConv2d(nn.Module):
    """A convolution whose kernels are mixed for each picture from a bank of learned ones.

    Output channel t of a picture is convolved with Σ_i η[t, i] · w[t, i] (equation 1). By linearity that is
    Σ_i η[t, i] · (w[t, i] ⊗ x) (equation 2), so there are two ways to the same result: :meth:`fuse_features`
    takes `bank` times the arithmetic, but one convolution serves the whole batch, which is how the paper
    trains; :meth:`fuse_kernels` takes the arithmetic of a plain convolution whatever the bank is, and is for
    inference. The module does the former in training mode and the latter in evaluation mode, unless it is
    asked to train as it infers: gradients are the same.

    Args:
        in_channels, out_channels, kernel_size, stride, padding, dilation, groups, bias, padding_mode: those
            of :class:`torch.nn.Conv2d`; the bias is static.
        bank: kernels that each output channel mixes, at least 1.
        train_by: what is fused in training mode; kernels took half to a third of the time for the few
            channels of pixel-level networks (batches of 8, one core).

    Attributes:
        weight: (out_channels · bank, in_channels / groups, height, width); the bank of an output channel lies
            side by side.
        bias: (out_channels,) or None.

    Example:
        >>> convolution = DynamicConv2d(8, 12, 3, padding=1).eval()
        >>> convolution(torch.rand(2, 8, 5, 7), torch.rand(2, 12, 6)).shape
        torch.Size([2, 12, 5, 7])
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel_size: Pair,
        *,
        stride: Pair = 1,
        padding: Pair | str = 0,
        dilation: Pair = 1,
        groups: int = 1,
        bias: bool = True,
        padding_mode: PaddingMode = "zeros",
        bank: int = BANK,
        train_by: Literal["features", "kernels"] = "features",
    ) -> None:
        super().__init__()
        self.in_channels, self.out_channels = in_channels, out_channels
        self.kernel_size = kernel_size if isinstance(kernel_size, tuple) else (kernel_size, kernel_size)
        self.stride, self.padding, self.dilation, self.groups = stride, padding, dilation, groups
        self.padding_mode, self.bank, self.train_by = padding_mode, bank, train_by
        # torch's own checks of all these arguments, its initial weights, and where its borders lie.
        plain = nn.Conv2d(
            in_channels,
            out_channels,
            self.kernel_size,
            stride=stride,
            padding=padding,
            dilation=dilation,
            groups=groups,
            bias=bias,
            padding_mode=padding_mode,
        )
        self._edges = list(plain._reversed_padding_repeated_twice)
        self.weight = nn.Parameter(torch.empty(out_channels * bank, *plain.weight.shape[1:]))
        self.bias = plain.bias
        self.start_from(plain.weight)

    @torch.no_grad()
    def start_from(self, kernels: Tensor) -> None:
        """Sets the bank so that coefficients that know nothing yet, 1/2 each, mix the given kernels.

        What the kernels of a channel differ by sums to zero: it is there to be learned from, since equal
        kernels would get equal gradients for ever, and doesn't show before the coefficients move.

        Args:
            kernels: (out_channels, in_channels / groups, height, width).
        """
        spread = torch.randn(self.out_channels, self.bank, *kernels.shape[1:])
        # As strong as torch's initial weights are.
        spread = (spread - spread.mean(1, keepdim=True)) / (3 * kernels[0].numel()) ** 0.5
        share = kernels.detach().cpu()[:, None] / (_RESTING * self.bank)
        self.weight.copy_((share + spread).flatten(0, 1))

    def forward(self, x: Tensor, coefficients: Tensor) -> Tensor:
        """Convolves each picture with its own kernels.

        Args:
            x: (N, in_channels, H, W).
            coefficients: η, (N, out_channels, bank), usually from
                :class:`~autoisp_isp.dynamic.coefficients.Coefficients`.
        """
        if self.training and self.train_by == "features":
            return self.fuse_features(x, coefficients)
        return self.fuse_kernels(x, coefficients)

    def fuse_features(self, x: Tensor, coefficients: Tensor) -> Tensor:
        """Equation 2: all kernels of the bank are applied, and their feature maps mixed."""
        features = torch.unflatten(self._convolve(x, self.weight, self.groups), 1, (-1, self.bank))
        return self._biased((features * coefficients[..., None, None]).sum(2))

    def fuse_kernels(self, x: Tensor, coefficients: Tensor) -> Tensor:
        """Equation 1: each picture's kernels are mixed, then applied."""
        kernels, batch = self.kernels(coefficients), x.shape[0]
        if batch == 1:
            return self._biased(self._convolve(x, kernels[0], self.groups))
        # The batch as groups of one picture: each has its own kernels.
        joined = self._convolve(x.flatten(0, 1)[None], kernels.flatten(0, 1), self.groups * batch)
        return self._biased(torch.unflatten(joined, 1, (batch, self.out_channels))[0])

    def kernels(self, coefficients: Tensor) -> Tensor:
        """Coefficients (N, out_channels, bank) to kernels (N, out_channels, in_channels / groups, h, w)."""
        banks = self.weight.reshape(self.out_channels, self.bank, -1).transpose(1, 2)
        mixed = torch.matmul(banks, coefficients[..., None])
        return mixed.reshape(-1, self.out_channels, *self.weight.shape[1:])

    def _convolve(self, x: Tensor, weight: Tensor, groups: int) -> Tensor:
        padding = self.padding
        if self.padding_mode != "zeros":
            x, padding = functional.pad(x, self._edges, mode=self.padding_mode), 0
        return functional.conv2d(x, weight, None, self.stride, padding, self.dilation, groups)

    def _biased(self, features: Tensor) -> Tensor:
        return features if self.bias is None else features + self.bias[:, None, None]

    def extra_repr(self) -> str:
        """What :class:`torch.nn.Conv2d` shows, and the bank."""
        return (
            f"{self.in_channels}, {self.out_channels}, kernel_size={self.kernel_size}, "
            f"stride={self.stride}, groups={self.groups}, bank={self.bank}"
        )

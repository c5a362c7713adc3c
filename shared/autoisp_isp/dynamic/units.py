"""What classification networks are made of, static or dynamic: the same parts in both."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from autoisp_isp.dynamic.coefficients import Coefficients
from autoisp_isp.dynamic.convolution import DynamicConv2d


class Unit(nn.Module):
    """Convolution without bias, batch normalisation, activation.

    Args:
        in_channels, out_channels, kernel, stride, groups: of the convolution, which keeps the size but for
            its stride.
        activation: None: stays linear.
        bank: kernels that each output channel mixes; None: a static convolution.
    """

    def __init__(
        self,
        in_channels: int,
        out_channels: int,
        kernel: int,
        activation: nn.Module | None,
        *,
        stride: int = 1,
        groups: int = 1,
        bank: int | None = None,
    ) -> None:
        super().__init__()
        self.in_channels, self.out_channels = in_channels, out_channels
        self.convolution: nn.Module
        if bank is None:
            self.convolution = nn.Conv2d(
                in_channels, out_channels, kernel, stride, kernel // 2, groups=groups, bias=False
            )
        else:
            self.convolution = DynamicConv2d(
                in_channels,
                out_channels,
                kernel,
                stride=stride,
                padding=kernel // 2,
                groups=groups,
                bias=False,
                bank=bank,
            )
        self.normalisation = nn.BatchNorm2d(out_channels)
        self.activation = activation

    def forward(self, x: Tensor, coefficients: Tensor | None = None) -> Tensor:
        """(N, in_channels, H, W), and (N, out_channels, bank) if dynamic, to (N, out_channels, H', W')."""
        given = (x,) if coefficients is None else (x, coefficients)
        result: Tensor = self.normalisation(self.convolution(*given))
        return result if self.activation is None else self.activation(result)


class Chain(nn.Module):
    """Units one after the other; dynamic ones share coefficients made from what the first gets.

    Args:
        units: all static, or all dynamic.
        bank: that of the units; None: they are static.
        squeeze: channels of the input for each hidden channel of the predictor; None: it has one layer.
    """

    def __init__(self, units: Sequence[Unit], *, bank: int | None = None, squeeze: int | None = None) -> None:
        super().__init__()
        self.units = nn.ModuleList(units)
        self.coefficients: Coefficients | None = None
        if bank is not None:
            channels = units[0].in_channels
            hidden = None if squeeze is None else channels // squeeze
            outputs = [unit.out_channels for unit in units]
            self.coefficients = Coefficients(channels, outputs, bank=bank, hidden=hidden)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) through all units."""
        if self.coefficients is None:
            for unit in self.units:
                x = unit(x)
            return x
        for unit, coefficients in zip(self.units, self.coefficients(x), strict=True):
            x = unit(x, coefficients)
        return x


class Residual(nn.Module):
    """activation(chain(x) + shortcut(x)).

    Args:
        chain: the learned way.
        shortcut: None: the input itself.
        activation: None: stays linear.
    """

    def __init__(
        self, chain: Chain, shortcut: nn.Module | None = None, activation: nn.Module | None = None
    ) -> None:
        super().__init__()
        self.chain, self.shortcut, self.activation = chain, shortcut, activation

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) to what the chain gives."""
        around = x if self.shortcut is None else self.shortcut(x)
        result: Tensor = self.chain(x) + around
        return result if self.activation is None else self.activation(result)


class Classifier(nn.Module):
    """Features, their mean, one fully connected layer.

    Args:
        features: what ends in `channels` channels.
        channels: of the features.
        classes: how many there are to tell.
    """

    def __init__(self, features: nn.Module, channels: int, classes: int) -> None:
        super().__init__()
        self.features = features
        self.classify = nn.Linear(channels, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Pictures (N, 3, H, W) to logits (N, classes)."""
        means = nn.functional.adaptive_avg_pool2d(self.features(x), 1).flatten(1)
        logits: Tensor = self.classify(means)
        return logits

"""The hand-made network that no spec describes, a U-Net, as a module of the model contract."""

from __future__ import annotations

import io

import torch
from autoisp_isp.network.fixed import develop, stabilise, stabiliser
from autoisp_isp.network.initial import start_as_demosaic
from torch import Tensor, nn
from torch.nn import functional

_PLANES, _COLOURS = 4, 3


class Residual(nn.Module):
    """relu(x + conv(relu(conv(x)))): two dense 3×3 convolutions that start as the identity."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.first = nn.Conv2d(width, width, 3, padding=1)
        self.second = nn.Conv2d(width, width, 3, padding=1)
        nn.init.zeros_(self.second.weight)
        nn.init.zeros_(self.second.bias)

    def forward(self, x: Tensor) -> Tensor:
        return (x + self.second(self.first(x).relu())).relu()


class UNet(nn.Module):
    """Encoder and decoder with sums as skips: half, quarter, eighth resolution; `width` channels × 1, 1.5, 2.

    Half of the arithmetic stays at the finest level, where the detail is; each coarser one sees twice as far
    for a fraction of it.
    """

    def __init__(self, width: int, frames: int = 3) -> None:
        super().__init__()
        one, two, three = width, width * 3 // 2, 2 * width
        self.stem = nn.Conv2d(_PLANES * frames, one, 3, padding=1)
        self.down2 = nn.Conv2d(one, two, 3, stride=2, padding=1)
        self.body2 = Residual(two)
        self.down3 = nn.Conv2d(two, three, 3, stride=2, padding=1)
        self.body3 = Residual(three)
        self.up3 = nn.Conv2d(three, 4 * two, 1)
        self.up2 = nn.Conv2d(two, 4 * one, 1)
        self.body1 = Residual(one)
        self.head = nn.Conv2d(one, 4 * _COLOURS, 3, padding=1)
        start_as_demosaic(self.stem, self.head, 2)
        for up in (self.up2, self.up3):
            nn.init.zeros_(up.weight)
            nn.init.zeros_(up.bias)

    def forward(self, raw: Tensor, gains: Tensor, ccm: Tensor, noise: Tensor) -> Tensor:
        scale, offset = stabiliser(noise)
        z = _padded(stabilise(raw.flatten(1, 2), gains, scale, offset), 4)
        fine = self.stem(z).relu()
        middle = self.body2(self.down2(fine).relu())
        coarse = self.body3(self.down3(middle).relu())
        middle = (middle + functional.pixel_shuffle(self.up3(coarse), 2)).relu()
        fine = self.body1((fine + functional.pixel_shuffle(self.up2(middle), 2)).relu())
        return _picture(self.head(fine), raw, ccm, scale, offset)


def _padded(z: Tensor, multiple: int) -> Tensor:
    height, width = z.shape[-2:]
    return functional.pad(z, (0, -width % multiple, 0, -height % multiple), "replicate")


def _picture(cells: Tensor, raw: Tensor, ccm: Tensor, scale: Tensor, offset: Tensor) -> Tensor:
    """Cells (N, 12, h', w') of 2×2 pixels to sRGB of raw's size, by the fixed maths of every network."""
    colours = cells.reshape(cells.shape[0], _COLOURS, -1)
    srgb = develop(colours, ccm, scale, offset).reshape(cells.shape)
    height, width = raw.shape[-2:]
    return functional.pixel_shuffle(srgb, 2)[..., : 2 * height, : 2 * width]


def export(network: UNet) -> bytes:
    """The network as ONNX of the model contract, traced."""
    inputs = {
        "raw": torch.rand(1, network.stem.in_channels // _PLANES, _PLANES, 16, 24),
        "gains": torch.ones(1, 3),
        "ccm": torch.eye(3)[None],
        "noise": torch.full((1, 2), 1e-4),
    }
    axes: dict[str, dict[int, str]] = {name: {0: "N"} for name in inputs}
    axes["raw"] |= {3: "h", 4: "w"}
    buffer = io.BytesIO()
    torch.onnx.export(
        network.eval(),
        tuple(inputs.values()),
        buffer,
        input_names=list(inputs),
        output_names=["srgb"],
        opset_version=18,
        dynamo=False,
        dynamic_axes=axes,
    )
    return buffer.getvalue()

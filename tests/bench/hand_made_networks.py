"""The hand-made networks that no spec describes: a U-Net and a recurrent fusion, of the model contract."""

from __future__ import annotations

import io

import onnx
import torch
from autoisp_isp.network.fixed import develop, stabilise, stabiliser
from autoisp_isp.network.initial import start_as_demosaic
from torch import Tensor, nn
from torch.nn import functional

_PLANES, _COLOURS = 4, 3
# How fast the fusion's trust in the past falls with the mean change around, at the start of training.
_CAUTION, _TRUST = 20.0, 3.0


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


class Fusion(nn.Module):
    """Recurrent fusion after EMVD (arXiv 2103.05407), one level deep.

    A learned 2×2 transform, which starts as Haar's wavelets of the Bayer planes, splits the stabilised frame
    into bands; each is mixed with the state by weights that a small network reads from their difference
    (γ = σ(f(|bands − state|)); the noise's strength is the same everywhere behind the fixed square root).
    Denoising happens on the fused bands, refinement behind the inverse transform at full Bayer resolution,
    both with `width` channels. It starts as a mean over time where the low band is still.
    """

    bands = 4 * _PLANES

    def __init__(self, width: int) -> None:
        super().__init__()
        bands = self.bands
        self.transform = nn.Conv2d(_PLANES, bands, 2, stride=2, bias=False)
        self.inverse = nn.ConvTranspose2d(bands, _PLANES, 2, stride=2, bias=False)
        self.compare = nn.Conv2d(bands, bands, 3, padding=1)
        self.weigh = nn.Conv2d(bands, bands, 1)
        self.enter = nn.Conv2d(3 * bands, width, 3, padding=1)
        self.denoise = Residual(width)
        self.leave = nn.Conv2d(width, bands, 1)
        self.detail = nn.Conv2d(width, 4 * (width - 2 * _PLANES), 1)
        self.refine = nn.Conv2d(width, width, 3, padding=1)
        self.head = nn.Conv2d(width, 4 * _COLOURS, 1)
        self._start()

    def _start(self) -> None:
        haar = torch.tensor([[1, 1, 1, 1], [1, -1, 1, -1], [1, 1, -1, -1], [1, -1, -1, 1]]).float() / 2
        kernels = torch.zeros(self.bands, _PLANES, 2, 2)
        for band, kernel in enumerate(haar):
            for plane in range(_PLANES):
                kernels[_PLANES * band + plane, plane] = kernel.view(2, 2)
        with torch.no_grad():
            self.transform.weight.copy_(kernels)
            self.inverse.weight.copy_(kernels)
            self.compare.weight[0].zero_()[:_PLANES] = 1.0 / (9 * _PLANES)
            self.weigh.weight.zero_()[:, 0] = -_CAUTION
            self.weigh.bias.fill_(_TRUST)
            self.compare.bias.zero_()
            # The fused planes reach the head untouched, as the current ones do in all networks at the start.
            stem = nn.Conv2d(_PLANES, self.refine.out_channels, 3, padding=1)
            start_as_demosaic(stem, self.head, 2)
            self.refine.weight[:_PLANES].zero_()
            for plane in range(_PLANES):
                self.refine.weight[plane, plane, 1, 1] = 1.0
            for module in (self.leave, self.detail):
                nn.init.zeros_(module.weight)
                nn.init.zeros_(module.bias)
            nn.init.zeros_(self.refine.bias)

    def forward(self, raw: Tensor, gains: Tensor, ccm: Tensor, noise: Tensor) -> Tensor:
        scale, offset = stabiliser(noise)
        state = valid = None
        for frame in raw.unbind(1):
            state, gamma, bands, z = self._fused(frame, gains, scale, offset, state, valid)
            valid = torch.ones_like(scale)
        return self._developed(state, gamma, bands, z, raw, ccm, scale, offset)

    def step(
        self, raw: Tensor, gains: Tensor, ccm: Tensor, noise: Tensor, state: Tensor, valid: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """One frame (N, 4, h, w) of a stream, as it is exported."""
        scale, offset = stabiliser(noise)
        fused, gamma, bands, z = self._fused(raw, gains, scale, offset, state, valid)
        picture = self._developed(fused, gamma, bands, z, raw, ccm, scale, offset)
        return picture, fused, torch.exp(valid * 0)

    def _fused(
        self,
        frame: Tensor,
        gains: Tensor,
        scale: Tensor,
        offset: Tensor,
        state: Tensor | None,
        valid: Tensor | None,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        z = _padded(stabilise(frame, gains, scale, offset), 2)
        bands = self.transform(z)
        if state is None or valid is None:
            return bands, torch.zeros_like(bands), bands, z
        difference = (bands - state).abs()
        gamma = self.weigh(self.compare(difference).relu()).sigmoid() * valid[:, :, None, None]
        return bands + gamma * (state - bands), gamma, bands, z

    def _developed(
        self,
        fused: Tensor,
        gamma: Tensor,
        bands: Tensor,
        z: Tensor,
        raw: Tensor,
        ccm: Tensor,
        scale: Tensor,
        offset: Tensor,
    ) -> Tensor:
        features = self.denoise(self.enter(torch.cat((fused, bands, gamma), 1)).relu())
        clean = self.inverse(fused + self.leave(features))
        detail = functional.pixel_shuffle(self.detail(features), 2).relu()
        refined = self.refine(torch.cat((clean, z, detail), 1)).relu()
        return _picture(self.head(refined), raw, ccm, scale, offset)


def _padded(z: Tensor, multiple: int) -> Tensor:
    height, width = z.shape[-2:]
    return functional.pad(z, (0, -width % multiple, 0, -height % multiple), "replicate")


def _picture(cells: Tensor, raw: Tensor, ccm: Tensor, scale: Tensor, offset: Tensor) -> Tensor:
    """Cells (N, 12, h', w') of 2×2 pixels to sRGB of raw's size, by the fixed maths of every network."""
    colours = cells.reshape(cells.shape[0], _COLOURS, -1)
    srgb = develop(colours, ccm, scale, offset).reshape(cells.shape)
    height, width = raw.shape[-2:]
    return functional.pixel_shuffle(srgb, 2)[..., : 2 * height, : 2 * width]


class _Step(nn.Module):
    """One frame of a stream as a module, for the exporter."""

    def __init__(self, network: Fusion) -> None:
        super().__init__()
        self.network = network

    def forward(self, *inputs: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        return self.network.step(*inputs)


def export(network: nn.Module) -> bytes:
    """A hand-made module as ONNX of the model contract, traced."""
    camera = {"gains": torch.ones(1, 3), "ccm": torch.eye(3)[None], "noise": torch.full((1, 2), 1e-4)}
    inputs = {"raw": torch.rand(1, _PLANES, 16, 24), **camera}
    outputs = ["srgb"]
    if isinstance(network, Fusion):
        network = _Step(network)
        inputs |= {"state": torch.zeros(1, Fusion.bands, 8, 12), "state_valid": torch.zeros(1, 1)}
        outputs += ["state_out", "state_valid_out"]
    else:
        inputs["raw"] = inputs["raw"][:, None].repeat(1, 3, 1, 1, 1)
    buffer = io.BytesIO()
    torch.onnx.export(
        network.eval(),
        tuple(inputs.values()),
        buffer,
        input_names=list(inputs),
        output_names=outputs,
        opset_version=18,
        dynamo=False,
        dynamic_axes={name: _free_axes(value.ndim) for name, value in inputs.items()},
    )
    model = onnx.load_model_from_string(buffer.getvalue())
    for value in model.graph.input:
        if value.name == "state":
            for axis, name in ((2, "h/2"), (3, "w/2")):
                value.type.tensor_type.shape.dim[axis].dim_param = name
    return bytes(model.SerializeToString())


def _free_axes(rank: int) -> dict[int, str]:
    """The batch and, of pictures, the size."""
    return {0: "N"} | ({rank - 2: "h", rank - 1: "w"} if rank > 3 else {})

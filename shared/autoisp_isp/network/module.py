"""The network of a spec as a torch module that obeys the model contract."""

from __future__ import annotations

import torch
from autoisp_core.errors import InvalidArgumentError
from autoisp_core.spec import Spec, has_coarse, validate
from torch import Tensor, nn

from autoisp_isp.network.block import Block
from autoisp_isp.network.demosaic import Demosaic
from autoisp_isp.network.fixed import develop, stabilise, stabiliser
from autoisp_isp.network.fusion import Fusion
from autoisp_isp.network.initial import carry_newest, start_as_demosaic
from autoisp_isp.network.picture import TAPS, filtered, start_from_demosaic

_BAYER_PLANES = 4
_COLOURS = 3


class PixelNetwork(nn.Module):
    """Noisy raw of one to five frames in, sRGB of the newest frame out.

    Every weight is learned; the maths around them (:mod:`autoisp_isp.network.fixed`) is fixed and part of the
    graph, so one network serves every gain, colour matrix and noise level of its sensor.

    Args:
        spec: a valid spec.
    """

    def __init__(self, spec: Spec) -> None:
        super().__init__()
        validate(spec)
        self.spec = spec
        stride = spec.packing // 2
        # A kernel of k feature pixels is one of k · stride Bayer pixels: no space-to-depth needed.
        self.stem = nn.Conv2d(
            _BAYER_PLANES * spec.frames,
            spec.width,
            spec.stem_kernel * stride,
            stride=stride,
            padding=spec.stem_kernel // 2 * stride,
        )
        self.blocks = nn.ModuleList(Block(spec) for _ in range(spec.repeats))
        values = TAPS * TAPS if spec.head else _COLOURS
        self.head = nn.Conv2d(
            spec.width, values * spec.packing**2, spec.head_kernel, padding=spec.head_kernel // 2
        )
        self.fusion = Fusion(spec.width) if spec.recurrent else None
        self.demosaic = Demosaic() if spec.residual or spec.head else None
        if self.demosaic is None:
            carried = start_as_demosaic(self.stem, self.head, spec.packing)
        else:
            carried = carry_newest(self.stem, spec.packing)
            start_from_demosaic(
                self.head, spec.packing, kernels=bool(spec.head), residual=bool(spec.residual)
            )
        if self.fusion is not None:
            self.fusion.watch(carried)

    def forward(self, raw: Tensor, gains: Tensor, ccm: Tensor, noise: Tensor) -> Tensor:
        """Develops the newest frame.

        Args:
            raw: (N, T, 4, h, w) packed RGGB, oldest frame first, linear, black 0, white 1, before white
                balance; may be negative. T is the spec's frames, or (N, 4, h, w) where that is one. A
                recurrent spec takes any T from its frames on: their window slides over the frames, and the
                state, empty at first, goes from one place to the next.
            gains: (N, 3) R, G, B.
            ccm: (N, 3, 3) camera to linear sRGB, rows sum to 1.
            noise: (N, 2) shot and read variance of the raw; zeros are fine.

        Returns:
            sRGB (N, 3, 2h, 2w) in [0, 1].

        Raises:
            InvalidArgumentError: a recurrent spec got fewer frames than its window has.
        """
        z, scale, offset = _stabilised(raw, gains, noise)
        features = self._features(z) if self.fusion is None else self._fused(z, self.fusion)
        return self._picture(features, z, ccm, scale, offset)

    def step(
        self, raw: Tensor, gains: Tensor, ccm: Tensor, noise: Tensor, state: Tensor, valid: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        """One frame of a recurrent network as its exported graph has it: see
        :mod:`autoisp_isp.export_state`.

        Args:
            raw, gains, ccm, noise: as `forward`, T being the spec's frames.
            state: (N, width, H, W) that the step before gave.
            valid: (N, 1), 0 for a stream's first frame, else 1.

        Returns:
            sRGB, the new state, and its validity.
        """
        assert self.fusion is not None
        z, scale, offset = _stabilised(raw, gains, noise)
        state = self.fusion(self._stem(z), state, valid)
        srgb = self._picture(self._even(state), z, ccm, scale, offset)
        return srgb, state, torch.ones_like(valid)

    def _picture(self, features: Tensor, z: Tensor, ccm: Tensor, scale: Tensor, offset: Tensor) -> Tensor:
        """Features (N, width, H, W) to sRGB, z being the stabilised planes."""
        batch, _, height, width = z.shape
        for block in self.blocks:
            features = block(features)
        # Under autocast the convolutions give half precision; a picture has more.
        cells = self.head(features).float()
        if self.demosaic is not None:
            spread = nn.functional.pixel_shuffle(cells, self.spec.packing)[..., : 2 * height, : 2 * width]
            cells = self._upon(self.demosaic(z[:, -_BAYER_PLANES:]), spread)
        srgb = develop(cells.reshape(batch, _COLOURS, -1), ccm, scale, offset).reshape(cells.shape)
        if self.demosaic is not None:
            return srgb
        return nn.functional.pixel_shuffle(srgb, self.spec.packing)[..., : 2 * height, : 2 * width]

    def _upon(self, base: Tensor, spread: Tensor) -> Tensor:
        """What the head adds to the demosaic, or which kernels it filters it with, done."""
        picture = filtered(base, spread) if self.spec.head else spread
        return picture + base if self.spec.residual else picture

    def _features(self, z: Tensor) -> Tensor:
        """Stabilised planes (N, 4 · frames, h, w) to features (N, width, H, W)."""
        if has_coarse(self.spec.block):
            return self._stem(_padded(z, self.spec.packing))
        return self._stem(z)

    def _fused(self, z: Tensor, fusion: Fusion) -> Tensor:
        """Stabilised planes (N, 4 · T, h, w) to features of the newest frame that remember the others."""
        window = _BAYER_PLANES * self.spec.frames
        if z.shape[1] < window:
            raise InvalidArgumentError(
                "raw",
                f"the network takes {self.spec.frames} frames or more, not {z.shape[1] // _BAYER_PLANES}",
            )
        state = self._stem(z[:, :window])
        for first in range(_BAYER_PLANES, z.shape[1] - window + 1, _BAYER_PLANES):
            state = fusion(self._stem(z[:, first : first + window]), state)
        return self._even(state)

    def _even(self, state: Tensor) -> Tensor:
        """Behind the fusion: so the state's size depends on nothing but the picture's and the packing."""
        return _padded(state, 2) if has_coarse(self.spec.block) else state

    def _stem(self, z: Tensor) -> Tensor:
        height, width = z.shape[-2:]
        stride = self.spec.packing // 2
        # The exported stem has this padding of its own.
        features: Tensor = self.stem(nn.functional.pad(z, (0, -width % stride, 0, -height % stride)))
        return features.relu()


def _stabilised(raw: Tensor, gains: Tensor, noise: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Planes (N, 4 · T, h, w), and the scale and the offset that they were made with."""
    planes = raw.flatten(1, 2) if raw.dim() == 5 else raw
    scale, offset = stabiliser(noise)
    return stabilise(planes, gains, scale, offset), scale, offset


def _padded(x: Tensor, multiple: int) -> Tensor:
    """Repeats the last row and column until height and width are multiples."""
    height, width = x.shape[-2:]
    return nn.functional.pad(x, (0, -width % multiple, 0, -height % multiple), "replicate")


def build(spec: Spec) -> PixelNetwork:
    """The trainable network of a spec, on the CPU, starting as a plain demosaic of the current frame.

    Random weights come from torch's global generator: seed it for repeatable networks.

    Raises:
        SpecError: the spec breaks a rule.

    Example:
        >>> import torch
        >>> network = build(Spec(Spec.code((1, 1, 3, 0, 0), (2, 7, 0, 0, 0)), width=16))
        >>> camera = torch.ones(1, 3), torch.eye(3)[None], torch.zeros(1, 2)
        >>> network(torch.rand(1, 3, 4, 8, 10), *camera).shape
        torch.Size([1, 3, 16, 20])
    """
    return PixelNetwork(spec)

"""The network of a spec as a torch module that obeys the model contract."""

from __future__ import annotations

from autoisp_core.spec import Spec, has_coarse, validate
from torch import Tensor, nn

from autoisp_isp.network.block import Block
from autoisp_isp.network.fixed import develop, stabilise, stabiliser
from autoisp_isp.network.initial import start_as_demosaic

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
        self.head = nn.Conv2d(
            spec.width, _COLOURS * spec.packing**2, spec.head_kernel, padding=spec.head_kernel // 2
        )
        start_as_demosaic(self.stem, self.head, spec.packing)

    def forward(self, raw: Tensor, gains: Tensor, ccm: Tensor, noise: Tensor) -> Tensor:
        """Develops one frame.

        Args:
            raw: (N, T, 4, h, w) packed RGGB, oldest frame first, linear, black 0, white 1, before white
                balance; may be negative. (N, 4, h, w) where the spec has one frame.
            gains: (N, 3) R, G, B.
            ccm: (N, 3, 3) camera to linear sRGB, rows sum to 1.
            noise: (N, 2) shot and read variance of the raw; zeros are fine.

        Returns:
            sRGB (N, 3, 2h, 2w) in [0, 1].
        """
        planes = raw if self.spec.frames == 1 else raw.flatten(1, 2)
        batch, _, height, width = planes.shape
        scale, offset = stabiliser(noise)
        z = stabilise(planes, gains, scale, offset)
        if has_coarse(self.spec.block):
            multiple = self.spec.packing
            z = nn.functional.pad(z, (0, -width % multiple, 0, -height % multiple), "replicate")
        else:
            # The exported stem has this padding of its own.
            stride = self.spec.packing // 2
            z = nn.functional.pad(z, (0, -width % stride, 0, -height % stride))
        features = self.stem(z).relu()
        for block in self.blocks:
            features = block(features)
        cells = self.head(features)
        srgb = develop(cells.reshape(batch, _COLOURS, -1), ccm, scale, offset).reshape(cells.shape)
        return nn.functional.pixel_shuffle(srgb, self.spec.packing)[..., : 2 * height, : 2 * width]


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

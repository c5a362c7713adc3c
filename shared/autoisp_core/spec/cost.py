"""What a spec costs, from the spec alone; the count from the exported graph gives the same numbers."""

from __future__ import annotations

from dataclasses import dataclass

from autoisp_core.spec.layers import LayerType
from autoisp_core.spec.model import Spec
from autoisp_core.spec.rules import has_coarse, loose_ends

_COLOURS = 3
_BAYER_PLANES = 4
_CCM_MACS = _COLOURS * _COLOURS


@dataclass(frozen=True, slots=True)
class Cost:
    """Cost of one network per output pixel.

    Attributes:
        macs_per_pixel: multiply-accumulates per output pixel (never FLOPs, which would be twice as many).
        parameters: learned weights and biases.
        bytes_per_pixel: float32 bytes of all feature maps that are written per output pixel, those of the
            fixed maths included: the traffic that a memory-bound device pays for.
    """

    macs_per_pixel: float
    parameters: int
    bytes_per_pixel: float


def cost(spec: Spec) -> Cost:
    """Analytic cost of a valid spec.

    Convention: convolutions (transposed too), matrix products and Einsum count, fixed ones like the colour
    matrix (9 MAC per pixel) included; elementwise work, pooling, resizing and padding don't. Borders count as
    if the kernel were whole there. Everything is exact in binary: equal to the ONNX count, not merely close.
    """
    area = spec.packing**2
    width = spec.width
    input_planes = spec.frames * area
    output_planes = _COLOURS * area

    ends = spec.stem_kernel**2 * input_planes * width + spec.head_kernel**2 * width * output_planes
    parameters = ends + width + output_planes
    planes: float = width + output_planes + area * _fixed_planes(spec)

    block = _block(spec)
    macs = ends + spec.repeats * block.macs
    parameters += spec.repeats * block.parameters
    planes += spec.repeats * block.planes
    return Cost(macs / area + _CCM_MACS, parameters, 4 * planes / area)


def _fixed_planes(spec: Spec) -> int:
    """Values per output pixel that the fixed maths writes: 3 steps before, 12 after, padding and crop."""
    pad = spec.frames if has_coarse(spec.block) else 0
    crop = 1 if has_coarse(spec.block) or spec.packing > 2 else 0
    return 3 * spec.frames + pad + _COLOURS * (12 + crop)


@dataclass(slots=True)
class _Count:
    """Counts per feature pixel."""

    macs: float = 0
    parameters: int = 0
    planes: float = 0

    def convolution(self, weights: int, channels: int, cells: int = 1) -> None:
        """Adds a convolution that runs once for every ``cells`` feature pixels."""
        self.macs += weights / cells
        self.parameters += weights + channels
        self.planes += channels / cells


def _block(spec: Spec) -> _Count:
    width, count = spec.width, _Count()
    for layer in spec.block:
        match layer.type:
            case LayerType.CONV:
                count.convolution(layer.kernel**2 * width * width, width)
            case LayerType.DEPTHWISE:
                count.convolution(layer.kernel**2 * width, width)
            case LayerType.COARSE:
                count.convolution(layer.kernel**2 * width * width, width, cells=4)
                count.planes += width / 4 + width  # the mean and the way back
            case LayerType.CONCAT:
                count.planes += 2 * width
                count.convolution(2 * width * width, width)
            case LayerType.GATE:
                count.planes += 2 * width
            case LayerType.ADD | LayerType.MAX_POOL | LayerType.AVG_POOL:
                count.planes += width
            case _:
                pass
    ends = len(loose_ends(spec.block))
    if ends > 1:
        count.planes += ends * width
        count.convolution(ends * width * width, width)
    count.planes += width  # the residual sum
    return count

"""What a spec costs, from the spec alone; the count from the exported graph gives the same numbers."""

from __future__ import annotations

from dataclasses import dataclass

from autoisp_core.spec.layers import BANK, LayerType, groups_of
from autoisp_core.spec.model import Spec
from autoisp_core.spec.rules import has_coarse, loose_ends

FRAME_PIXELS = 2**20
"""Output pixels of the frame that bears what is done once per frame: a megapixel, and exact in binary."""

_COLOURS = 3
_CCM_MACS = _COLOURS * _COLOURS
_TAPS = 9
"""Of the kernel that a kernel-predicting head gives each output pixel."""
_FUSION_TAPS = 25
"""Of the depthwise convolution that a recurrent network judges change with."""
_DEMOSAIC_MACS, _DEMOSAIC_WEIGHTS, _DEMOSAIC_PLANES = 36, 144, 11
"""Planes: the newest frame's colours 1, their borders 1, interpolated 3, side by side 3, spread 3."""


@dataclass(frozen=True, slots=True)
class Cost:
    """Cost of one network per output pixel.

    Attributes:
        macs_per_pixel: multiply-accumulates per output pixel (never FLOPs, which would be twice as many).
        parameters: weights and biases, those of the fixed demosaic included where a spec has it.
        bytes_per_pixel: float32 bytes of all feature maps that are written per output pixel, those of the
            fixed maths included: the traffic that a memory-bound device pays for.
        state_bytes_per_pixel: float32 bytes of recurrent state per output pixel, kept from frame to frame.
        fusible_bytes_per_pixel: those of ``bytes_per_pixel`` that only elementwise operators write; a
            compiler for phones fuses them into the operator before.
    """

    macs_per_pixel: float
    parameters: int
    bytes_per_pixel: float
    state_bytes_per_pixel: float = 0.0
    fusible_bytes_per_pixel: float = 0.0


def cost(spec: Spec) -> Cost:
    """Analytic cost of a valid spec.

    Convention: convolutions (transposed too), matrix products and Einsum count, fixed ones like the colour
    matrix (9 MAC per pixel) included; elementwise work, pooling, resizing and padding don't, but the products
    of predicted kernels do: they are a convolution. What is done once per frame, such as mixing the kernels
    of dynamic convolutions, is shared out over :data:`FRAME_PIXELS`. Borders count as if the kernel were
    whole there, and nothing for what is written of them. Everything is exact in binary: equal to the ONNX
    count, not merely close.
    """
    area = spec.packing**2
    width = spec.width
    input_planes = spec.frames * area
    output_planes = (_TAPS if spec.head else _COLOURS) * area

    ends = spec.stem_kernel**2 * input_planes * width + spec.head_kernel**2 * width * output_planes
    parameters = ends + width + output_planes
    planes: float = width + output_planes + area * _fixed_planes(spec)
    fusible: float = area * _fusible_fixed_planes(spec)

    block = _block(spec)
    fusion = _fusion(spec)
    macs = ends + spec.repeats * block.macs + fusion.macs + area * _picture_macs(spec)
    parameters += spec.repeats * block.parameters + fusion.parameters
    parameters += _DEMOSAIC_WEIGHTS if _has_demosaic(spec) else 0
    planes += spec.repeats * block.planes + fusion.planes
    fusible += spec.repeats * block.fusible + fusion.fusible
    state = width if spec.recurrent else 0
    macs_per_pixel = macs / area + spec.repeats * block.frame_macs / FRAME_PIXELS
    return Cost(macs_per_pixel, parameters, 4 * planes / area, 4 * state / area, 4 * fusible / area)


def _has_demosaic(spec: Spec) -> bool:
    return bool(spec.residual or spec.head)


def _picture_macs(spec: Spec) -> int:
    """Multiply-accumulates per output pixel of what isn't learned, and of applying predicted kernels."""
    kernels = _TAPS * _COLOURS if spec.head else 0
    return _CCM_MACS + kernels + (_DEMOSAIC_MACS if _has_demosaic(spec) else 0)


def _fixed_planes(spec: Spec) -> int:
    """Values per output pixel that the fixed maths writes: 3 steps before, 12 after, padding and crop."""
    pad = spec.frames if _pads_raw(spec) else 0
    crop = 1 if has_coarse(spec.block) or spec.packing > 2 else 0
    planes = 3 * spec.frames + pad + _COLOURS * (11 if spec.head else 12 + crop)
    if spec.head:  # kernels spread, cropped and split; borders, shifts, products, sums
        planes += _TAPS * (2 + crop) + _COLOURS * (3 * _TAPS)
    if spec.residual:
        planes += _COLOURS
    return planes + (_DEMOSAIC_PLANES if _has_demosaic(spec) else 0)


def _fusible_fixed_planes(spec: Spec) -> int:
    """Of these, what elementwise steps write; the first reads the graph's input and fuses with nothing."""
    planes = spec.frames * (3 if _pads_raw(spec) else 2) + 10 * _COLOURS
    if spec.head:
        planes += _COLOURS * (2 * _TAPS - 1)
    return planes + (_COLOURS if spec.residual else 0)


def _pads_raw(spec: Spec) -> bool:
    return has_coarse(spec.block) and not spec.recurrent


@dataclass(slots=True)
class _Count:
    """Counts per feature pixel; ``frame_macs`` is per frame."""

    macs: float = 0
    frame_macs: int = 0
    parameters: int = 0
    planes: float = 0
    fusible: float = 0

    def elementwise(self, planes: float) -> None:
        """Adds sums, products and the like."""
        self.planes += planes
        self.fusible += planes

    def convolution(self, weights: int, channels: int, cells: int = 1) -> None:
        """Adds a convolution that runs once for every ``cells`` feature pixels."""
        self.macs += weights / cells
        self.parameters += weights + channels
        self.planes += channels / cells

    def dynamic_convolution(self, weights: int, channels: int) -> None:
        """Adds a convolution whose kernels are mixed from banks."""
        self.convolution(weights, channels)
        self.parameters += (BANK - 1) * weights
        self.frame_macs += BANK * weights

    def coefficients(self, channels: int, made: int) -> None:
        """Adds their prediction from the mean of a block's input."""
        self.parameters += channels * made + made
        self.frame_macs += channels * made


def _fusion(spec: Spec) -> _Count:
    count = _Count()
    if spec.recurrent:
        count.convolution(_FUSION_TAPS * spec.width, spec.width)
        count.convolution(spec.width**2, spec.width)
        count.elementwise(6 * spec.width)  # change, its size, gate, trust, share of the change, sum
        if has_coarse(spec.block):
            count.planes += spec.width  # an even size
    return count


def _block(spec: Spec) -> _Count:
    width, count = spec.width, _Count()
    for layer in spec.block:
        match layer.type:
            case LayerType.CONV:
                count.convolution(layer.kernel**2 * width * width, width)
            case LayerType.DYNAMIC:
                count.dynamic_convolution(layer.kernel**2 * width * width, width)
            case LayerType.DEPTHWISE:
                count.convolution(layer.kernel**2 * width, width)
            case LayerType.GROUPED:
                count.convolution(layer.kernel**2 * width * width // groups_of(width), width)
            case LayerType.COARSE:
                count.convolution(layer.kernel**2 * width * width, width, cells=4)
                count.planes += width / 4 + width  # the mean and the way back
            case LayerType.CONCAT:
                count.planes += 2 * width
                count.convolution(2 * width * width, width)
            case LayerType.GATE:
                count.elementwise(2 * width)
            case LayerType.ADD:
                count.elementwise(width)
            case LayerType.MAX_POOL | LayerType.AVG_POOL:
                count.planes += width
            case _:
                pass
    dynamic = sum(layer.type == LayerType.DYNAMIC for layer in spec.block)
    count.coefficients(width, dynamic * width * BANK)
    ends = len(loose_ends(spec.block))
    if ends > 1:
        count.planes += ends * width
        count.convolution(ends * width * width, width)
    count.elementwise(width)  # the residual sum
    return count

"""Between camera raw and sRGB: the fixed maths that graphs, prototypes and truth share.

`process` goes from camera RGB to sRGB: gains, clip at white, colour matrix, clip, sRGB curve. `unprocess`
goes back as far as the information does. Tensors are (..., 3, H, W), channels R, G, B; gains (3,) or (...,
3), colour matrix (3, 3) or (..., 3, 3), where the leading dimensions match those of the picture.
"""

import torch
from torch import Tensor

_LINEAR_END, _LINEAR_SLOPE = 0.0031308, 12.92


def srgb_from_linear(linear: Tensor) -> Tensor:
    """The sRGB curve, IEC 61966-2-1; values are clipped to [0, 1] first."""
    linear = linear.clamp(0.0, 1.0)
    curve = 1.055 * linear.clamp_min(_LINEAR_END) ** (1.0 / 2.4) - 0.055
    return torch.where(linear <= _LINEAR_END, linear * _LINEAR_SLOPE, curve)


def linear_from_srgb(srgb: Tensor) -> Tensor:
    """Inverse of the sRGB curve, for values in [0, 1].

    >>> round(float(linear_from_srgb(torch.tensor(0.5))), 4)
    0.214
    """
    curve = ((srgb.clamp_min(0.0) + 0.055) / 1.055) ** 2.4
    return torch.where(srgb <= _LINEAR_END * _LINEAR_SLOPE, srgb / _LINEAR_SLOPE, curve)


def apply_gains(rgb: Tensor, gains: Tensor) -> Tensor:
    """Multiplies each channel of (..., 3, H, W) by its gain."""
    return rgb * gains[..., :, None, None]


def apply_ccm(rgb: Tensor, ccm: Tensor) -> Tensor:
    """Mixes the channels of (..., 3, H, W) with the rows of the matrix."""
    return torch.einsum("...ij,...jhw->...ihw", ccm, rgb)


def process(camera: Tensor, gains: Tensor, ccm: Tensor) -> Tensor:
    """Camera RGB (..., 3, H, W), linear and before white balance, to sRGB in [0, 1]."""
    balanced = apply_gains(camera, gains).clamp(0.0, 1.0)
    return srgb_from_linear(apply_ccm(balanced, ccm))


def unprocess(srgb: Tensor, gains: Tensor, ccm: Tensor) -> Tensor:
    """sRGB in [0, 1] to the clean camera RGB (..., 3, H, W) that a sensor with these gains would have seen.

    Colours outside the camera's gamut are clipped to it, so the truth for the result is `process` of it
    rather than the picture it came from; `process(unprocess(process(unprocess(x))))` adds nothing further.
    """
    balanced = apply_ccm(linear_from_srgb(srgb), torch.linalg.inv(ccm)).clamp(0.0, 1.0)
    return apply_gains(balanced, 1.0 / gains).clamp(0.0, 1.0)

"""The paper's operations on RGB pictures, by kornia."""

from __future__ import annotations

from collections.abc import Callable

import torch
from kornia import enhance
from kornia.geometry import transform
from torch import Tensor

from autoisp_isp.augment.choices import Choices

_SHEAR, _TRANSLATE, _ROTATE = 0.3, 0.45, 30.0  # share of the height, share of the edge, degrees
_FACTOR = 0.9  # contrast, colour, brightness and sharpness between 0.1 and 1.9
_FEWEST_BITS, _BITS = 4, 8
_CUTOUT = 0.2  # of the edge
_GREY = 0.5

# Pictures (n, 3, H, W), amounts (n,) in [-1, 1], places (n, 2) in [0, 1) to pictures.
_Operation = Callable[[Tensor, Tensor, Tensor], Tensor]


def augmented(pictures: Tensor, choices: Choices) -> Tensor:
    """Pictures with their operations done, one slot after the other.

    AutoAugment's operations and ranges (arXiv 1805.09501) but for its pairing of samples, which needs a
    second picture. At magnitude 0 they change nothing, apart from those that have no magnitude:
    `auto_contrast`, `invert` and `equalize`. The same choices give the same geometry again, for a truth that
    is to follow.

    Args:
        pictures: (N, 3, H, W) sRGB in [0, 1].
        choices: of N patches, drawn for `IMAGE_OPERATIONS`.

    Returns:
        (N, 3, H, W) in [0, 1]; what comes in from beyond the border is black.
    """
    result = pictures.clone()
    for slot in range(choices.operations.shape[1]):
        for number, operation in enumerate(_OPERATIONS.values()):
            patches = choices.patches(slot, number)
            if len(patches):
                amounts = choices.severities[patches, slot] * choices.signs[patches, slot]
                given = (amounts, choices.places[patches, slot])
                chosen = torch.from_numpy(patches).to(pictures.device)
                tensors = (torch.from_numpy(values).to(pictures) for values in given)
                result[chosen] = operation(result[chosen], *tensors).clamp(0.0, 1.0)
    return result


def _shear(axis: int) -> _Operation:
    return lambda pictures, amounts, _: transform.shear(pictures, _along(axis, amounts * _SHEAR))


def _translate(axis: int) -> _Operation:
    def translate(pictures: Tensor, amounts: Tensor, _: Tensor) -> Tensor:
        return transform.translate(pictures, _along(axis, amounts * _TRANSLATE * pictures.shape[-1 - axis]))

    return translate


def _along(axis: int, amounts: Tensor) -> Tensor:
    pairs = amounts.new_zeros(len(amounts), 2)
    pairs[:, axis] = amounts
    return pairs


def _cutout(pictures: Tensor, amounts: Tensor, places: Tensor) -> Tensor:
    height, width = pictures.shape[-2:]
    half = amounts.abs() * _CUTOUT * width / 2
    rows, columns = (
        (torch.arange(size, device=pictures.device) + 0.5 - place[:, None] * size).abs() < half[:, None]
        for size, place in ((height, places[:, 0]), (width, places[:, 1]))
    )
    return pictures.masked_fill((rows[:, None, :, None] & columns[:, None, None, :]), _GREY)


def _posterize(pictures: Tensor, amounts: Tensor, _: Tensor) -> Tensor:
    bits = _BITS - (amounts.abs() * (_BITS - _FEWEST_BITS)).round().int()
    few = bits < _BITS
    result = pictures.clone()
    if few.any():
        result[few] = enhance.posterize(pictures[few], bits[few])
    return result


_OPERATIONS: dict[str, _Operation] = {
    "shear_x": _shear(0),
    "shear_y": _shear(1),
    "translate_x": _translate(0),
    "translate_y": _translate(1),
    "rotate": lambda pictures, amounts, _: transform.rotate(pictures, amounts * _ROTATE),
    "auto_contrast": lambda pictures, _a, _p: enhance.normalize_min_max(pictures),
    "invert": lambda pictures, _a, _p: 1.0 - pictures,
    "equalize": lambda pictures, _a, _p: enhance.equalize(pictures),
    "solarize": lambda pictures, amounts, _: torch.where(
        pictures < 1.0 - amounts.abs()[:, None, None, None], pictures, 1.0 - pictures
    ),
    "posterize": _posterize,
    "contrast": lambda pictures, amounts, _: enhance.adjust_contrast_with_mean_subtraction(
        pictures, 1.0 + _FACTOR * amounts
    ),
    "color": lambda pictures, amounts, _: enhance.adjust_saturation_with_gray_subtraction(
        pictures, 1.0 + _FACTOR * amounts
    ),
    "brightness": lambda pictures, amounts, _: pictures * (1.0 + _FACTOR * amounts)[:, None, None, None],
    "sharpness": lambda pictures, amounts, _: enhance.sharpness(pictures, 1.0 + _FACTOR * amounts),
    "cutout": _cutout,
}
IMAGE_OPERATIONS = tuple(_OPERATIONS)
"""Names by number: for whoever chooses."""

"""Bayer raw: colour filter tiles, packing, and flips and crops that keep the filter's phase.

Everywhere behind this module raw is *packed RGGB*: four planes R, G1 (in red rows), G2 (in blue rows), B at
half the size, float32, linear in [0, 1] before white balance. A mosaic of another tile is first cropped to
RGGB phase.
"""

import cv2
import numpy as np
import numpy.typing as npt
import torch
from autoisp_core.errors import InvalidArgumentError
from torch import Tensor

Array = npt.NDArray[np.float32]
Frames = npt.NDArray[np.uint8 | np.uint16]
"""sRGB (…, H, W, 3): uint8, or uint16 over all of its range."""

# OpenCV and kornia name a tile by the second row's second and third pixel: for both, `BG` is RGGB.
KORNIA_CFA = {"RGGB": "BG", "GRBG": "GB", "BGGR": "RG", "GBRG": "GR"}
OPENCV_EDGE_AWARE = {
    "RGGB": cv2.COLOR_BayerBG2BGR_EA,
    "GRBG": cv2.COLOR_BayerGB2BGR_EA,
    "BGGR": cv2.COLOR_BayerRG2BGR_EA,
    "GBRG": cv2.COLOR_BayerGR2BGR_EA,
}


def red_offset(cfa: str) -> tuple[int, int]:
    """Row and column of the red pixel in the 2×2 tile `cfa`, written row by row.

    >>> red_offset("BGGR")
    (1, 1)
    """
    if cfa not in KORNIA_CFA:
        raise InvalidArgumentError(
            "sensor.cfa", f"'{cfa}' is no Bayer tile: use one of {', '.join(KORNIA_CFA)}"
        )
    return divmod(cfa.index("R"), 2)


def to_rggb(mosaic: Tensor, cfa: str) -> Tensor:
    """Crops a mosaic (..., H, W) of tile `cfa` to even size and RGGB phase."""
    row, column = red_offset(cfa)
    height = (mosaic.shape[-2] - row) // 2 * 2
    width = (mosaic.shape[-1] - column) // 2 * 2
    return mosaic[..., row : row + height, column : column + width]


def pack(mosaic: Tensor, cfa: str = "RGGB") -> Tensor:
    """Packs a mosaic (..., H, W) into planes (..., 4, h, w), RGGB.

    >>> pack(torch.arange(4.0).reshape(2, 2)).flatten().tolist()
    [0.0, 1.0, 2.0, 3.0]
    """
    rggb = to_rggb(mosaic, cfa)
    return torch.stack(
        (rggb[..., 0::2, 0::2], rggb[..., 0::2, 1::2], rggb[..., 1::2, 0::2], rggb[..., 1::2, 1::2]), dim=-3
    )


def unpack(raw: Tensor) -> Tensor:
    """Packed RGGB (..., 4, h, w) back to a mosaic (..., 2h, 2w)."""
    *_, planes, height, width = raw.shape
    if planes != 4:
        raise InvalidArgumentError("raw", f"packed raw has 4 planes, not {planes}")
    mosaic = raw.new_empty((*raw.shape[:-3], 2 * height, 2 * width))
    for plane in range(4):
        mosaic[..., plane // 2 :: 2, plane % 2 :: 2] = raw[..., plane, :, :]
    return mosaic


def mosaic_of(rgb: Tensor) -> Tensor:
    """Samples camera RGB (..., 3, 2h, 2w) with the RGGB filter into packed raw (..., 4, h, w)."""
    return torch.stack(
        (
            rgb[..., 0, 0::2, 0::2],
            rgb[..., 1, 0::2, 1::2],
            rgb[..., 1, 1::2, 0::2],
            rgb[..., 2, 1::2, 1::2],
        ),
        dim=-3,
    )


def normalise(codes: npt.NDArray[np.generic], black_level: float, white_level: float) -> Array:
    """Raw codes to linear values: 0 at black, at most 1 at white; noise below black stays negative."""
    linear = (codes.astype(np.float32) - black_level) / (white_level - black_level)
    return np.asarray(np.minimum(linear, 1.0), dtype=np.float32)


def even_crop(frame: Frames) -> Frames:
    """Drops the last row or column of (..., H, W, 3) where the size is odd: a Bayer tile needs both."""
    height, width = frame.shape[-3] // 2 * 2, frame.shape[-2] // 2 * 2
    return frame[..., :height, :width, :]


def bayer_crop(mosaic: Tensor, top: int, left: int, height: int, width: int) -> Tensor:
    """Crops a mosaic (..., H, W); offsets and sizes must be even, so that the phase stays.

    Raises:
        InvalidArgumentError: for an odd number.
    """
    for key, value in (("top", top), ("left", left), ("height", height), ("width", width)):
        if value % 2:
            raise InvalidArgumentError(
                f"crop.{key}", f"{key} is {value}: an odd crop changes the Bayer phase"
            )
    return mosaic[..., top : top + height, left : left + width]


def bayer_flip(mosaic: Tensor, *, vertical: bool = False, horizontal: bool = False) -> Tensor:
    """Flips a mosaic (..., H, W) of even size and keeps its phase.

    A flip alone would turn RGGB into GBRG or GRBG. Moving on by one pixel restores it; the far edge is then
    filled by reflection, which hits a pixel of the right colour.
    """
    for dim, flip in ((-2, vertical), (-1, horizontal)):
        if flip:
            flipped = mosaic.flip(dim)
            size = mosaic.shape[dim]
            mosaic = torch.cat((flipped.narrow(dim, 1, size - 1), flipped.narrow(dim, size - 2, 1)), dim)
    return mosaic

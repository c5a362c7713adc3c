"""FFmpeg's pixel formats: what a clip keeps of each, and a picture's planes without a conversion."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, cast

import av
import numpy as np
from autoisp_core.frames import FrameKind
from av.video.reformatter import ColorRange, Interpolation, VideoReformatter
from numpy.typing import NDArray

Planes = tuple[NDArray[Any], ...]

_PLANAR_YUV = re.compile(r"yuv[aj]?(420|422|440|444)p(\d*)(?:le|be)?")
_SEMIPLANAR_YUV = re.compile(r"nv(12|16|24)|p([024])(10|12|16)le")
_GRAY = re.compile(r"gray(\d*)(?:le|be)?")
_PLANAR_RGB = re.compile(r"gbra?p(\d*)(?:le|be)?")
_STEPS = {"420": (2, 2), "422": (2, 1), "440": (1, 2), "444": (1, 1)}
_SEMIPLANAR = {"12": "420", "16": "422", "24": "444", "0": "420", "2": "422", "4": "444"}
_PACKED_RGB = {"rgb24": 8, "rgb48le": 16, "rgb48be": 16}
# Where Y, U and V begin among the four bytes of two pixels.
_PACKED_YUV = {"yuyv422": (0, 1, 3), "uyvy422": (1, 0, 2), "yvyu422": (0, 3, 1)}
_UNSPECIFIED_MATRIX = 2
_HD_HEIGHT = 720


@dataclass(frozen=True)
class PixelFormat:
    """How pictures of one pixel format are kept.

    Args:
        kind, bit_depth, h_step, v_step: as of ``FrameFormat``.
        read: the planes of a picture; views into its memory where that is possible.
        from_yuv: whether the pictures are YUV, and so have a matrix, whatever is kept of them.
        converted: whether ``read`` converts the values, to full range.
    """

    kind: FrameKind
    bit_depth: int
    read: Callable[[av.VideoFrame], Planes]
    h_step: int = 1
    v_step: int = 1
    from_yuv: bool = False
    converted: bool = False


def pixel_format(name: str) -> PixelFormat:
    """What is kept of the pixel format ``name``: all of its values but alpha.

    Formats that hold values in another way than a clip does (with a palette, in packed bits, with
    chrominance at a quarter) become RGB, of 16 bits if any component has more than 8.
    """
    if found := _PLANAR_YUV.fullmatch(name):
        subsampling, depth = found[1], int(found[2] or 8)
        if not (subsampling == "440" and depth > 12):
            return _yuv(depth, _planar, subsampling)
    if found := _SEMIPLANAR_YUV.fullmatch(name):
        depth = int(found[3] or 8)
        return _yuv(depth, _semiplanar(depth), _SEMIPLANAR[found[1] or found[2]])
    if name in _PACKED_YUV:
        return _yuv(8, _packed_yuv(*_PACKED_YUV[name]), "422")
    if found := _GRAY.fullmatch(name):
        depth = int(found[1] or 8)
        if 8 <= depth <= 16:
            return PixelFormat(FrameKind.GRAY, depth, lambda picture: (_plane(picture, 0),))
    if found := _PLANAR_RGB.fullmatch(name):
        return PixelFormat(FrameKind.RGB, int(found[1] or 8), _planar_rgb)
    if name in _PACKED_RGB:
        return PixelFormat(FrameKind.RGB, _PACKED_RGB[name], lambda picture: (_plane(picture, 0, 3),))
    return _converted(name)


def matrix_number(picture: av.VideoFrame) -> int:
    """By ITU-T H.273; if a picture names none, BT.601 below 720 lines and BT.709 above, as players do."""
    if picture.colorspace != _UNSPECIFIED_MATRIX:
        return int(picture.colorspace)
    return 1 if picture.height >= _HD_HEIGHT else 5


def _yuv(depth: int, read: Callable[[av.VideoFrame], Planes], subsampling: str) -> PixelFormat:
    return PixelFormat(FrameKind.YUV, depth, read, *_STEPS[subsampling], from_yuv=True)


def _converted(name: str) -> PixelFormat:
    source = av.VideoFormat(name)
    deep = any(component.bits > 8 for component in source.components)
    one = sum(not component.is_alpha for component in source.components) == 1
    from_yuv = not (one or source.is_rgb or source.has_palette or name.startswith("xyz"))
    if one and not source.has_palette:
        target = "gray16le" if deep else "gray"
    else:
        # The scaler gets deep YUV wrong on its way to rgb48le, see YuvConverter.
        target = ("gbrp16le" if from_yuv else "rgb48le") if deep else "rgb24"
    kept, reformatter = pixel_format(target), VideoReformatter()

    def read(picture: av.VideoFrame) -> Planes:
        # Neither scaled nor rounded: the accurate path, chrominance in full.
        accurate = Interpolation.BILINEAR | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT
        converted = reformatter.reformat(
            picture,
            format=target,
            # FFmpeg takes what names no matrix for BT.601, whatever its size.
            src_colorspace=matrix_number(picture) if from_yuv else None,
            dst_color_range=ColorRange.JPEG,
            interpolation=accurate,
            threads=1,
        )
        return kept.read(converted)

    return PixelFormat(kept.kind, kept.bit_depth, read, from_yuv=from_yuv, converted=True)


def _plane(picture: av.VideoFrame, index: int, channels: int = 1) -> NDArray[Any]:
    """One plane, a view if its bytes are in order: (height, width) or (height, width, channels)."""
    plane = picture.planes[index]
    big_endian = picture.format.is_big_endian
    dtype = np.dtype((">u2" if big_endian else "<u2") if _bytes_per_value(picture) == 2 else "u1")
    rows = np.frombuffer(cast(Any, plane), dtype).reshape(plane.height, -1)[:, : plane.width * channels]
    rows = rows.astype(dtype.newbyteorder("<"), copy=False)
    return rows if channels == 1 else rows.reshape(plane.height, plane.width, channels)


def _bytes_per_value(picture: av.VideoFrame) -> int:
    return 1 if picture.format.components[0].bits <= 8 else 2


def _planar(picture: av.VideoFrame) -> Planes:
    return tuple(_plane(picture, index) for index in range(3))


def _planar_rgb(picture: av.VideoFrame) -> Planes:
    green, blue, red = _planar(picture)
    return (np.stack((red, green, blue), axis=2),)


def _semiplanar(depth: int) -> Callable[[av.VideoFrame], Planes]:
    def read(picture: av.VideoFrame) -> Planes:
        luminance, both = _plane(picture, 0), _plane(picture, 1, 2)
        if depth == 8:
            return luminance, both[:, :, 0], both[:, :, 1]
        # P010 and its kin have their values in the high bits.
        shift = 16 - depth
        return luminance >> shift, both[:, :, 0] >> shift, both[:, :, 1] >> shift

    return read


def _packed_yuv(y: int, u: int, v: int) -> Callable[[av.VideoFrame], Planes]:
    def read(picture: av.VideoFrame) -> Planes:
        plane = picture.planes[0]
        rows = np.frombuffer(cast(Any, plane), np.uint8).reshape(plane.height, -1)
        half = -(-plane.width // 2)
        return rows[:, y::2][:, : plane.width], rows[:, u::4][:, :half], rows[:, v::4][:, :half]

    return read

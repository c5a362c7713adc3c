"""From a decoded picture of any pixel format to 8-bit RGB of the clip's size."""

from __future__ import annotations

from typing import cast

import av
import numpy as np
from autoisp_core.errors import InvalidArgumentError
from av.video.reformatter import ColorRange, Colorspace, ColorTrc, Interpolation, VideoReformatter

from autoisp_ingest.domain import Frame

_HDR = {int(ColorTrc.SMPTE2084): "HDR10 (PQ)", int(ColorTrc.ARIB_STD_B67): "HLG"}
_UNSPECIFIED_MATRIX = 2
_HD_HEIGHT = 720
# The scaler's fast path is off by some levels, and these frames are the truth that networks learn from.
_ACCURATE = Interpolation.BILINEAR | Interpolation.ACCURATE_RND | Interpolation.FULL_CHR_H_INT


def even(side: int) -> int:
    """``side`` without its last row or column if that is odd: a Bayer tile is 2×2."""
    return side - side % 2


class RgbConverter:
    """Converts the frames of one source, which all have one size.

    Args:
        title: names the source in messages.
        width: of the source's frames, pixels.
        height: of the source's frames, pixels.
    """

    def __init__(self, title: str, width: int, height: int) -> None:
        self._title = title
        self._size = (width, height)
        self._reformatter = VideoReformatter()

    def __call__(self, picture: av.VideoFrame, label: str) -> Frame:
        """The picture as (even height, even width, 3) uint8, full range.

        The picture's own matrix and range are respected; where it names no matrix, BT.601 is assumed below
        720 lines and BT.709 from there on, as players do.

        Args:
            label: names the frame in messages ("frame 12", "'0012.png'").

        Raises:
            InvalidArgumentError: damaged, interlaced, HDR, or of another size than the first.
        """
        self._check(picture, label)
        unnamed_hd = picture.colorspace == _UNSPECIFIED_MATRIX and picture.height >= _HD_HEIGHT
        rgb = self._reformatter.reformat(
            picture,
            format="rgb24",
            src_colorspace=Colorspace.ITU709 if unnamed_hd else None,
            dst_color_range=ColorRange.JPEG,
            interpolation=_ACCURATE,
            threads=1,
        )
        pixels = cast(Frame, rgb.to_ndarray())
        return np.ascontiguousarray(pixels[: even(picture.height), : even(picture.width)])

    def _check(self, picture: av.VideoFrame, label: str) -> None:
        size = (picture.width, picture.height)
        if size != self._size:
            raise InvalidArgumentError(
                "chunk",
                f"{label} of {self._title!r} is {size[0]}x{size[1]} while the first is "
                f"{self._size[0]}x{self._size[1]}; scale all frames to one size",
                reason="FRAME_SIZE_CHANGES",
            )
        if picture.is_corrupt:
            raise InvalidArgumentError(
                "chunk",
                f"{label} of {self._title!r} is damaged or cut off; copy the file again, or re-encode it "
                "with ffmpeg to drop what is broken",
                reason="DAMAGED_FOOTAGE",
            )
        if picture.interlaced_frame:
            raise InvalidArgumentError(
                "chunk",
                f"{self._title!r} is interlaced, so a frame is two moments; deinterlace it first, for "
                "example: ffmpeg -i IN -vf bwdif OUT.mp4",
                reason="INTERLACED",
            )
        hdr = _HDR.get(picture.color_trc)
        if hdr:
            raise InvalidArgumentError(
                "chunk",
                f"{self._title!r} is {hdr} video and clips are sRGB; export it as SDR (BT.709) first",
                reason="HDR_FOOTAGE",
            )

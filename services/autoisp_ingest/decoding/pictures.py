"""From decoded pictures to a clip's frames: all of one format, and none that a clip can't hold."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import av
from autoisp_core.errors import InvalidArgumentError
from autoisp_core.frames import FrameFormat, FrameKind
from av.video.reformatter import ColorTrc

from autoisp_ingest.decoding.chroma import chroma_location
from autoisp_ingest.decoding.pixel_formats import PixelFormat, Planes, matrix_number, pixel_format

_HDR = {int(ColorTrc.SMPTE2084): "HDR10 (PQ)", int(ColorTrc.ARIB_STD_B67): "HLG"}
# By FFmpeg's numbers, which are those of ITU-T H.273; FCC's matrix is BT.601's up to rounding.
_MATRICES = {1: "bt709", 4: "bt601", 5: "bt601", 6: "bt601", 9: "bt2020", 10: "bt2020"}
_VIDEO_RANGE, _FULL_RANGE = 1, 2


class PictureReader:
    """Reads the pictures of one source; the first tells the format.

    Args:
        title: names the source in messages.
        first: its first picture.
        still: the source is a still, which is one moment even where its file is interlaced (PNG).

    Raises:
        InvalidArgumentError: as calling raises it; or a matrix that clips can't name.
    """

    def __init__(self, title: str, first: av.VideoFrame, *, still: bool = False) -> None:
        self._title, self._still = title, still
        self._pixels: PixelFormat = pixel_format(first.format.name)
        self._known = _described(first)
        check_picture(first, title, "frame 1", still=still)
        self.format = self._format(first)
        if self.format.kind is FrameKind.YUV:
            location = chroma_location(first, self.format, self._pixels.read)
            self.format = replace(self.format, chroma_location=location)

    def __call__(self, picture: av.VideoFrame, label: str) -> Planes:
        """The picture's planes; views into its memory where that is possible.

        Args:
            label: names the frame in messages ("frame 12").

        Raises:
            InvalidArgumentError: damaged, interlaced, HDR, or of another size or format than the first.
        """
        self._check_same(picture, label)
        check_picture(picture, self._title, label, still=self._still)
        return self._pixels.read(picture)

    def _format(self, picture: av.VideoFrame) -> FrameFormat:
        yuv = self._pixels.kind is FrameKind.YUV
        # Also of what becomes RGB here: the conversion takes it.
        matrix = self._matrix(picture) if self._pixels.from_yuv else ""
        return FrameFormat(
            self._pixels.kind,
            self._pixels.bit_depth,
            picture.width,
            picture.height,
            self._pixels.h_step,
            self._pixels.v_step,
            matrix=matrix if yuv else "",
            full_range=self._pixels.converted or _is_full_range(picture, yuv=yuv),
            rotation=_rotation(picture),
        )

    def _matrix(self, picture: av.VideoFrame) -> str:
        matrix = _MATRICES.get(matrix_number(picture))
        if matrix is None:
            raise InvalidArgumentError(
                "chunk",
                f"{self._title!r} has the colour matrix number {picture.colorspace} of ITU-T H.273, which "
                "clips can't hold; convert it, for example: "
                "ffmpeg -i IN -vf scale=out_color_matrix=bt709 OUT.mp4",
                reason="UNSUPPORTED_COLOUR",
            )
        return matrix

    def _check_same(self, picture: av.VideoFrame, label: str) -> None:
        found = _described(picture)
        if found == self._known:
            return
        size, known = found[:2], self._known[:2]
        if size != known:
            raise InvalidArgumentError(
                "chunk",
                f"{label} of {self._title!r} is {size[0]}x{size[1]} while the first is "
                f"{known[0]}x{known[1]}; scale all frames to one size",
                reason="FRAME_SIZE_CHANGES",
            )
        raise InvalidArgumentError(
            "chunk",
            f"{label} of {self._title!r} is of another pixel format, matrix, range or rotation than the "
            f"first ({found[2:]} and {self._known[2:]}); cut the video there, or re-encode it: "
            "ffmpeg -i IN OUT.mp4",
            reason="FRAME_FORMAT_CHANGES",
        )


def check_picture(picture: av.VideoFrame, title: str, label: str, *, still: bool) -> None:
    """Check that a clip can hold the picture.

    Args:
        title: names its source in messages.
        label: names the picture in messages.
        still: it is no part of a video: lines that were stored in another order are no second moment.

    Raises:
        InvalidArgumentError: damaged, interlaced or HDR.
    """
    if picture.is_corrupt:
        raise InvalidArgumentError(
            "chunk",
            f"{label} of {title!r} is damaged or cut off; copy the file again, or re-encode it "
            "with ffmpeg to drop what is broken",
            reason="DAMAGED_FOOTAGE",
        )
    if picture.interlaced_frame and not still:
        raise InvalidArgumentError(
            "chunk",
            f"{title!r} is interlaced, so a frame is two moments; deinterlace it first, for "
            "example: ffmpeg -i IN -vf bwdif OUT.mp4",
            reason="INTERLACED",
        )
    hdr = _HDR.get(picture.color_trc)
    if hdr:
        raise InvalidArgumentError(
            "chunk",
            f"{title!r} is {hdr} video and clips are sRGB; export it as SDR (BT.709) first",
            reason="HDR_FOOTAGE",
        )


def _described(picture: av.VideoFrame) -> tuple[Any, ...]:
    return (
        picture.width,
        picture.height,
        picture.format.name,
        int(picture.colorspace),
        int(picture.color_range),
        _rotation(picture),
    )


def _is_full_range(picture: av.VideoFrame, *, yuv: bool) -> bool:
    if picture.color_range == _FULL_RANGE or picture.format.name.startswith("yuvj"):
        return True
    return picture.color_range != _VIDEO_RANGE and not yuv


def _rotation(picture: av.VideoFrame) -> int:
    """Degrees clockwise to be upright; FFmpeg counts counter-clockwise."""
    return round(-picture.rotation / 90) % 4 * 90

"""From stored planes to RGB: the only place where colour is converted."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import numpy as np
from autoisp_core.frames import Box, FrameFormat, FrameKind
from numpy.typing import NDArray

if TYPE_CHECKING:
    import av

_MATRIX_NUMBERS = {"bt601": 5, "bt709": 1, "bt2020": 9}
# Chrominance between two samples is interpolated, so a box needs its neighbours to look as in the whole
# picture.
_MARGIN = 16
_STEPS = {"420": (2, 2), "422": (2, 1), "440": (1, 2), "444": (1, 1)}
_SUBSAMPLINGS = {steps: name for name, steps in _STEPS.items()}


class RgbConverter:
    """Converts pictures that are no mosaic to full-range RGB of 8 bits, or of 16 where there are more than 8.

    Args:
        frame_format: of the stored frames.
    """

    def __init__(self, frame_format: FrameFormat) -> None:
        self._format = frame_format
        self._yuv = YuvConverter(frame_format) if frame_format.kind is FrameKind.YUV else None
        self._levels = None if self._yuv else _levels(frame_format)

    def around(self, box: Box) -> Box:
        """The stored pixels that converting ``box`` takes."""
        if self._yuv is None:
            return box
        width, height = self._format.stored_width, self._format.stored_height
        x, y = (max(0, first - _MARGIN) // 2 * 2 for first in (box.x, box.y))
        right = min(width, -(-(box.x + box.width + _MARGIN) // 2) * 2)
        bottom = min(height, -(-(box.y + box.height + _MARGIN) // 2) * 2)
        return Box(x, y, right - x, bottom - y)

    def __call__(self, planes: dict[str, NDArray[Any]], around: Box, box: Box) -> NDArray[Any]:
        """The pixels of ``box`` as (height, width, 3); ``planes`` has those of ``around``."""
        if self._yuv is not None:
            picture = self._yuv(planes)
            y, x = box.y - around.y, box.x - around.x
            return picture[y : y + box.height, x : x + box.width]
        picture = planes["frames"]
        if self._levels is not None:
            picture = self._levels[picture]
        return picture if picture.ndim == 3 else np.repeat(picture[:, :, None], 3, axis=2)


class YuvConverter:
    """Converts Y, U and V with FFmpeg's scaler, which is exact to a level with these flags.

    Args:
        frame_format: of the stored frames.
    """

    def __init__(self, frame_format: FrameFormat) -> None:
        from av.video.reformatter import ColorRange, Interpolation, VideoReformatter

        depth = frame_format.bit_depth
        subsampling = _SUBSAMPLINGS[frame_format.h_step, frame_format.v_step]
        self._pixel_format, self._shift = _pixel_format(subsampling, depth)
        self._chroma_location = frame_format.chroma_location or "left"
        self._decoder: tuple[tuple[int, int], Any] | None = None
        self._reformatter = VideoReformatter()
        self._matrix = _MATRIX_NUMBERS[frame_format.matrix]
        self._range = 2 if frame_format.full_range else 1
        self._stretch = None if depth == 8 else _stretched_levels(frame_format)
        self._options: dict[str, Any] = {
            # Not rgb48le: where rows share chrominance, the scaler's bilinear path to it gets most colours
            # wrong (FFmpeg 8), from half a percent to all of the range.
            "format": "rgb24" if depth == 8 else "gbrp16le",
            "dst_color_range": ColorRange.JPEG,
            # The scaler's fast path is off by some levels, and from these pictures networks learn the truth.
            "interpolation": Interpolation.BILINEAR
            | Interpolation.ACCURATE_RND
            | Interpolation.FULL_CHR_H_INT,
            "threads": 1,
        }

    def __call__(self, planes: dict[str, NDArray[Any]]) -> NDArray[Any]:
        """(H, W, 3), H and W even or one more, of planes that begin with a whole chrominance pixel."""
        y, u, v = planes["y"], planes["u"], planes["v"]
        # The scaler would stretch chrominance over an odd side.
        if y.shape[0] % 2 or y.shape[1] % 2:
            y = np.pad(y, [(0, side % 2) for side in y.shape], mode="edge")
            height, width = y.shape
            u, v = (self._filled(plane, height, width) for plane in (u, v))
        frame = self._frame(y.shape, [plane << self._shift if self._shift else plane for plane in (y, u, v)])
        return self.of_frame(frame)

    def of_frame(self, frame: av.VideoFrame) -> NDArray[Any]:
        """(H, W, 3) of a frame as FFmpeg has it, which says itself where its chrominance lies.

        Args:
            frame: of the clip's pixel format, or of one that has the same values; is given the clip's matrix
                and range.
        """
        frame.colorspace, frame.color_range = self._matrix, self._range
        rgb = cast(NDArray[Any], self._reformatter.reformat(frame, **self._options).to_ndarray())
        return rgb if self._stretch is None else self._stretch[rgb]

    def _filled(self, plane: NDArray[Any], height: int, width: int) -> NDArray[Any]:
        """A chrominance plane as large as luminance of ``height`` × ``width`` needs it."""
        format_steps = _STEPS[self._pixel_format[3:6]]
        missing = (height // format_steps[1] - plane.shape[0], width // format_steps[0] - plane.shape[1])
        return np.pad(plane, [(0, some) for some in missing], mode="edge")

    def _frame(self, size: tuple[int, ...], planes: list[NDArray[Any]]) -> Any:
        """A frame of the planes, made by a decoder: only one can tell a frame where chrominance lies."""
        import av
        from av.video.codeccontext import VideoCodecContext

        height, width = size
        if self._decoder is None or self._decoder[0] != (height, width):
            context = av.CodecContext.create("rawvideo", "r")
            assert isinstance(context, VideoCodecContext)
            context.width, context.height, context.pix_fmt = width, height, self._pixel_format
            context.options = {"chroma_sample_location": self._chroma_location}
            self._decoder = ((height, width), context)
        (frame,) = self._decoder[1].decode(av.Packet(b"".join(plane.tobytes() for plane in planes)))
        return frame


def _pixel_format(subsampling: str, depth: int) -> tuple[str, int]:
    """FFmpeg's name, and by how many bits values must be shifted up for it."""
    if depth == 8:
        return f"yuv{subsampling}p", 0
    offered = (10, 12) if subsampling == "440" else (9, 10, 12, 14, 16)
    nearest = next((bits for bits in offered if bits >= depth), None)
    if nearest is None:
        raise ValueError(f"there is no YUV 4:4:0 of {depth} bits")
    return f"yuv{subsampling}p{nearest}le", nearest - depth


def _stretched_levels(frame_format: FrameFormat) -> NDArray[np.uint16]:
    """By the scaler's level: it makes deep values 16 bits by shifting, so that white would not be 65535."""
    depth = frame_format.bit_depth
    white = ((1 << depth) - 1) << (16 - depth) if frame_format.full_range else 255 << 8
    levels: NDArray[np.uint16] = np.rint(np.arange(65536) * (65535 / white)).clip(0, 65535).astype(np.uint16)
    return levels


def _levels(frame_format: FrameFormat) -> NDArray[Any] | None:
    """What a stored value of RGB or gray is at full range; None if it is that already."""
    depth = frame_format.bit_depth
    if frame_format.full_range and depth in (8, 16):
        return None
    values = np.arange(1 << depth, dtype=np.float64)
    if frame_format.full_range:
        shares = values / ((1 << depth) - 1)
    else:
        scale = 1 << (depth - 8)
        shares = ((values / scale - 16.0) / 219.0).clip(0.0, 1.0)
    top = 255 if depth == 8 else 65535
    return np.rint(shares * top).astype("uint8" if depth == 8 else "uint16")

"""Where the chrominance of a decoded picture lies: FFmpeg knows, PyAV does not say, so it is found out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import av
import numpy as np
from autoisp_core.frames import CHROMA_LOCATIONS, FrameFormat
from autoisp_runtime.clip_frames.rgb import YuvConverter

from autoisp_ingest.decoding.pixel_formats import Planes

_EDGE = 64
_INSIDE = slice(16, 48)


def chroma_location(
    picture: av.VideoFrame, frame_format: FrameFormat, read: Callable[[av.VideoFrame], Planes]
) -> str:
    """One of ``CHROMA_LOCATIONS``; "" where every luminance pixel has chrominance of its own.

    Noise in the picture's place is converted by FFmpeg, which asks the picture where its chrominance lies,
    and by the reader of clips for each location there is. One of them gives the same.

    Args:
        picture: YUV; its pixels are the same afterwards.
        frame_format: of the picture, but for the location.
        read: its planes.
    """
    if frame_format.h_step * frame_format.v_step == 1:
        return ""
    picture.make_writable()  # the decoder may refer to it
    kept = [bytes(plane) for plane in picture.planes]
    colour = picture.colorspace, picture.color_range
    try:
        for plane in picture.planes:
            plane.update(_noise(plane.buffer_size, picture.format))
        seen = YuvConverter(frame_format).of_frame(picture)[_INSIDE, _INSIDE].astype(np.int32)
        luminance, *chrominance = (np.array(plane) for plane in read(picture))
    finally:
        picture.colorspace, picture.color_range = colour
        for plane, data in zip(picture.planes, kept, strict=True):
            plane.update(data)
    height, width = _EDGE // frame_format.v_step, _EDGE // frame_format.h_step
    corner = {"y": luminance[:_EDGE, :_EDGE]}
    corner |= {name: plane[:height, :width] for name, plane in zip("uv", chrominance, strict=True)}

    def difference(location: str) -> float:
        pixels = YuvConverter(replace(frame_format, chroma_location=location))(corner)
        return float(np.abs(pixels[_INSIDE, _INSIDE] - seen).mean())

    return min(CHROMA_LOCATIONS, key=difference)


def _noise(size: int, pixels: av.VideoFormat) -> bytes:
    choices = np.random.default_rng(0)
    depth = pixels.components[0].bits
    if depth == 8:
        return choices.bytes(size)
    values = choices.integers(0, 1 << depth, size // 2, dtype=np.uint16)
    # P010 and its kin have their values in the high bits.
    shift = 16 - depth if pixels.name.startswith("p") else 0
    return (values << shift).astype(">u2" if pixels.is_big_endian else "<u2").tobytes()

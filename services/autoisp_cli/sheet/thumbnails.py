"""Small pictures of frames, and pictures as PNG files."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import av
import numpy as np
from av.video.codeccontext import VideoCodecContext
from av.video.reformatter import Interpolation
from numpy.typing import NDArray

from autoisp_cli.sheet.content import Picture

MAX_ASPECT = 2.4
"""Wider pictures would leave no room for others in a row: they get less high instead."""


def thumbnail(frame: NDArray[Any], height: int) -> Picture:
    """The frame, (H, W, 3) of 8 or 16 bits, as a picture ``height`` pixels high or less."""
    pixels = frame if frame.dtype == np.uint8 else (frame >> 8).astype(np.uint8)
    source_height, source_width = pixels.shape[:2]
    height = min(height, max(1, round(height * MAX_ASPECT * source_height / source_width)))
    width = max(1, round(height * source_width / source_height))
    picture = av.VideoFrame.from_ndarray(np.ascontiguousarray(pixels), format="rgb24")
    small = picture.reformat(width=width, height=height, format="rgb24", interpolation=Interpolation.AREA)
    return small.to_ndarray()  # type: ignore[return-value]  # rgb24 is uint8


def png(picture: Picture) -> bytes:
    """The picture as a PNG file."""
    encoder = av.CodecContext.create("png", "w")
    assert isinstance(encoder, VideoCodecContext)
    encoder.height, encoder.width = picture.shape[:2]
    encoder.pix_fmt = "rgb24"
    encoder.time_base = Fraction(1, 1)
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(picture), format="rgb24")
    return b"".join(bytes(packet) for packet in [*encoder.encode(frame), *encoder.encode(None)])

"""Single pictures of a sequence: what their files say before they are decoded, and their pixels after."""

from __future__ import annotations

from dataclasses import dataclass

import av
import av.error
import numpy as np
from autoisp_core.errors import InvalidArgumentError
from autoisp_core.frames import FrameFormat, FrameKind
from av.video.codeccontext import VideoCodecContext

from autoisp_ingest.decoding.pictures import PictureReader
from autoisp_ingest.decoding.pixel_formats import Planes


class StillError(ValueError):
    """The bytes are no whole picture that can be taken; the message says why."""


@dataclass(frozen=True)
class StillHead:
    """What a picture's file says of it.

    Args:
        width, height: pixels.
        colour: whether it is more than luminance.
        deep: whether it has more than 8 bits.
    """

    width: int
    height: int
    colour: bool
    deep: bool


def common_format(heads: list[StillHead]) -> FrameFormat:
    """The format that holds all of them without a loss; they are of one size."""
    kind = FrameKind.RGB if any(head.colour for head in heads) else FrameKind.GRAY
    depth = 16 if any(head.deep for head in heads) else 8
    return FrameFormat(kind, depth, heads[0].width, heads[0].height)


def decode_still(codec: str, data: bytes, title: str) -> av.VideoFrame:
    """Decode one picture.

    Args:
        codec: FFmpeg's name.
        data: a whole file whose head has been checked.
        title: names the picture in messages.

    Raises:
        InvalidArgumentError: its pixels can't be decoded.
    """
    context = av.CodecContext.create(codec, "r")
    assert isinstance(context, VideoCodecContext)
    context.thread_count = 1
    context.options = {"err_detect": "explode"}
    try:
        pictures = [*context.decode(av.Packet(data)), *context.decode(None)]
    except av.error.FFmpegError as error:
        raise _undecodable(title, codec) from error
    if len(pictures) != 1:
        raise _undecodable(title, codec)
    return pictures[0]


def still_planes(picture: av.VideoFrame, target: FrameFormat, title: str, label: str) -> Planes:
    """The picture's pixels in a format that holds them, widened where it is wider.

    Raises:
        InvalidArgumentError: damaged, or more than ``target`` holds.
    """
    reader = PictureReader(title, picture, still=True)
    (pixels,) = reader(picture, label)
    if pixels.dtype != target.dtype:
        if target.bit_depth == 8:
            raise _undecodable(f"{label} of {title!r}", "its head's")
        pixels = pixels.astype(np.uint16) * np.uint16(257)  # 255 becomes 65535
    if pixels.ndim == 2 and target.kind is FrameKind.RGB:
        pixels = np.repeat(pixels[:, :, None], 3, axis=2)
    if pixels.shape != target.planes()["frames"]:
        raise _undecodable(f"{label} of {title!r}", "its head's")
    return (pixels,)


def _undecodable(title: str, codec: str) -> InvalidArgumentError:
    return InvalidArgumentError(
        "chunk",
        f"{title} can't be decoded as {codec.upper()}; export that frame again",
        reason="DAMAGED_FOOTAGE",
    )

"""Single PNG pictures. The file's structure is checked here, since decoders forgive what we must not."""

from __future__ import annotations

import struct
import zlib

import av
import av.error
from autoisp_core.errors import InvalidArgumentError
from av.video.codeccontext import VideoCodecContext

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_CHUNK_OVERHEAD = 12  # length, type and checksum of a chunk


class PngError(ValueError):
    """The bytes are no whole PNG picture; the message says why."""


def png_size(data: bytes) -> tuple[int, int]:
    """Check that ``data`` is one undamaged PNG file, without decoding it.

    Returns:
        Width and height in pixels, as the header says.

    Raises:
        PngError: it is not.
    """
    if not data.startswith(_SIGNATURE):
        raise PngError("it does not begin as a PNG file does")
    size: tuple[int, int] | None = None
    position = len(_SIGNATURE)
    while position + _CHUNK_OVERHEAD <= len(data):
        length, kind = struct.unpack_from(">I4s", data, position)
        end = position + _CHUNK_OVERHEAD + length
        if end > len(data):
            break
        body = memoryview(data)[position + 4 : end - 4]
        if zlib.crc32(body) != struct.unpack_from(">I", data, end - 4)[0]:
            raise PngError("a checksum is wrong")
        if kind == b"IHDR" and length == 13:
            size = struct.unpack_from(">II", data, position + 8)
        elif kind == b"IEND":
            if size is None:
                break
            return size
        position = end
    raise PngError("it is cut off")


def decode_png(data: bytes, title: str) -> av.VideoFrame:
    """Decode one PNG picture of any depth and colour type.

    Args:
        title: names the picture in messages.

    Raises:
        InvalidArgumentError: its pixels can't be decoded.
    """
    context = av.CodecContext.create("png", "r")
    assert isinstance(context, VideoCodecContext)
    context.thread_count = 1
    try:
        pictures = [*context.decode(av.Packet(data)), *context.decode(None)]
    except av.error.FFmpegError as error:
        raise _undecodable(title) from error
    if len(pictures) != 1:
        raise _undecodable(title)
    return pictures[0]


def _undecodable(title: str) -> InvalidArgumentError:
    return InvalidArgumentError(
        "chunk", f"{title} can't be decoded; export that frame again as PNG", reason="DAMAGED_FOOTAGE"
    )

"""Single PNG pictures. The file's structure is checked here, since decoders forgive what we must not."""

from __future__ import annotations

import struct
import zlib

from autoisp_ingest.decoding.stills import StillError, StillHead

_SIGNATURE = b"\x89PNG\r\n\x1a\n"
_CHUNK_OVERHEAD = 12  # length, type and checksum of a chunk
_GRAY_TYPES = (0, 4)  # without and with alpha


def png_head(data: bytes) -> StillHead:
    """Check that ``data`` is one undamaged PNG file, without decoding it.

    Raises:
        StillError: it is not.
    """
    if not data.startswith(_SIGNATURE):
        raise StillError("it does not begin as a PNG file does")
    head: StillHead | None = None
    position = len(_SIGNATURE)
    while position + _CHUNK_OVERHEAD <= len(data):
        length, kind = struct.unpack_from(">I4s", data, position)
        end = position + _CHUNK_OVERHEAD + length
        if end > len(data):
            break
        body = memoryview(data)[position + 4 : end - 4]
        if zlib.crc32(body) != struct.unpack_from(">I", data, end - 4)[0]:
            raise StillError("a checksum is wrong")
        if kind == b"IHDR" and length == 13:
            width, height, depth, colour = struct.unpack_from(">IIBB", data, position + 8)
            head = StillHead(width, height, colour not in _GRAY_TYPES, depth > 8)
        elif kind == b"IEND":
            if head is None:
                break
            return head
        position = end
    raise StillError("it is cut off")

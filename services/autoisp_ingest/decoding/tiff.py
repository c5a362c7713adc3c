"""Single TIFF pictures. Their head is read here, since decoders believe it and forgive what is missing."""

from __future__ import annotations

import struct

from autoisp_ingest.decoding.stills import StillError, StillHead
from autoisp_ingest.decoding.tiff_tags import TiffError, read_directory, read_header

_MAX_STRIPS = 1 << 20

_WIDTH, _HEIGHT, _BITS, _COMPRESSION, _COLOUR = 256, 257, 258, 259, 262
_STRIPS, _SAMPLES, _STRIP_BYTES, _SAMPLE_FORMAT = 273, 277, 279, 339
_TILES = 324
_COMPRESSIONS = {1: "none", 5: "LZW", 8: "deflate", 32773: "PackBits", 32946: "deflate"}
# With fill order, rows per strip, planes and predictor: all that the pixels depend on.
_DECODED = {
    _WIDTH,
    _HEIGHT,
    _BITS,
    _COMPRESSION,
    _COLOUR,
    266,
    _STRIPS,
    _SAMPLES,
    278,
    _STRIP_BYTES,
    284,
    317,
}
_BLACK_IS_ZERO, _RGB = 1, 2
_UNSIGNED = 1


def tiff_head(data: bytes) -> StillHead:
    """Check that ``data`` is one TIFF picture of gray or RGB whose pixels are all there, without decoding it.

    Raises:
        StillError: it is not.
    """
    tags, following = _directory(data)
    if following:
        raise StillError("it has several pages; save each as a file of its own")
    if _TILES in tags:
        raise StillError("it is cut into tiles; save it in strips")
    width, height = _one(tags, _WIDTH), _one(tags, _HEIGHT)
    colour, samples = _one(tags, _COLOUR), _one(tags, _SAMPLES, 1)
    bits = set(tags.get(_BITS, (1,)))
    if colour not in (_BLACK_IS_ZERO, _RGB) or not (samples >= 3 if colour == _RGB else samples in (1, 2)):
        raise StillError("it is neither RGB nor gray with black as 0; convert it to one of them")
    if samples > 4 or len(bits) != 1 or not bits <= {8, 16}:
        raise StillError(f"it has {samples} samples of {sorted(bits)} bits; save it with 8 or 16 bits")
    if set(tags.get(_SAMPLE_FORMAT, (_UNSIGNED,))) != {_UNSIGNED}:
        raise StillError("its samples are no unsigned integers; save it with 8 or 16 bits")
    compression = _one(tags, _COMPRESSION, 1)
    if compression not in _COMPRESSIONS:
        raise StillError(
            f"its compression {compression} is not taken; save it with none, LZW, deflate or PackBits"
        )
    depth = bits.pop()
    stored = _check_strips(data, tags)
    if compression == 1 and stored < width * height * samples * (depth // 8):
        raise StillError("it has fewer bytes than its size takes")
    return StillHead(width, height, colour == _RGB, depth == 16)


def without_extras(data: bytes) -> bytes:
    """The same picture with no tag but those that its pixels depend on.

    A decoder that is told to refuse damaged pixels refuses tags that it does not know, too.

    Args:
        data: a file that :func:`tiff_head` has passed.
    """
    order, start = read_header(data)
    (count,) = struct.unpack_from(order + "H", data, start)
    entries = [data[place : place + 12] for place in range(start + 2, start + 2 + 12 * count, 12)]
    kept = [entry for entry in entries if struct.unpack_from(order + "H", entry)[0] in _DECODED]
    place = len(data) + len(data) % 2
    directory = struct.pack(order + "H", len(kept)) + b"".join(kept) + bytes(4)
    head = data[:4] + struct.pack(order + "I", place)
    return head + data[8:].ljust(place - 8, b"\0") + directory


def _directory(data: bytes) -> tuple[dict[int, tuple[int, ...]], int]:
    """The first directory's tags of whole numbers, and where the next directory is."""
    try:
        order, start = read_header(data)
        tags, following = read_directory(data, order, start, _MAX_STRIPS)
    except TiffError as error:
        raise StillError(str(error)) from error
    numbers = {}
    for tag, values in tags.items():
        whole = tuple(value for value in values if isinstance(value, int) and value >= 0)
        if len(whole) == len(values):
            numbers[tag] = whole
    return numbers, following


def _check_strips(data: bytes, tags: dict[int, tuple[int, ...]]) -> int:
    """How many bytes the strips have; all of them must be in the file."""
    places, sizes = tags.get(_STRIPS, ()), tags.get(_STRIP_BYTES, ())
    if not places or len(places) != len(sizes):
        raise StillError("it does not say where its pixels are")
    if any(place + size > len(data) or not size for place, size in zip(places, sizes, strict=True)):
        raise StillError("it is cut off")
    return sum(sizes)


def _one(tags: dict[int, tuple[int, ...]], tag: int, default: int | None = None) -> int:
    values = tags.get(tag, () if default is None else (default,))
    if len(values) != 1:
        raise StillError(f"its head lacks the tag {tag}")
    return values[0]

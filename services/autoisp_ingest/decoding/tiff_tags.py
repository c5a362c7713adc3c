"""Tags of a TIFF file, and so of a DNG. Only what they say is read: no pixels, and nothing is believed."""

from __future__ import annotations

import struct
from typing import TypeAlias

Value: TypeAlias = int | float
Tags: TypeAlias = dict[int, tuple[Value, ...]]
"""Values by the tag's code; texts as their bytes."""

NEW_SUBFILE_TYPE = 254
_SUB_IFDS = 330
_EXIF_IFD = 34665
_ORDERS = {b"II*\0": "<", b"MM\0*": ">"}
# struct's letter of each of TIFF's types, by its number; 5 and 10 are fractions of two.
_KINDS = {1: "B", 2: "B", 3: "H", 4: "I", 5: "I", 6: "b", 7: "B", 8: "h", 9: "i", 10: "i", 11: "f", 12: "d"}
_FRACTIONS = (5, 10)
_MAX_ENTRIES = 1_000
_MAX_SUB_IFDS = 16
_MAX_VALUES = 4_096  # longer ones are pictures and maker's notes


class TiffError(ValueError):
    """The bytes are no TIFF file whose tags can be read; the message says why."""


def read_tags(data: bytes) -> Tags:
    """All tags of the first directory, of its raw picture's and of its EXIF directory.

    Where directories have the same tag, the raw picture's says what holds, since a DNG's first directory may
    be that of a preview.

    Raises:
        TiffError: no TIFF file, or its directory lies outside of it.
    """
    order = _ORDERS.get(data[:4])
    if order is None or len(data) < 8:
        raise TiffError("it does not begin as a TIFF file does")
    first = _directory(data, order, _whole(data, order, 4))
    found = dict(first)
    for offset in first.get(_EXIF_IFD, ())[:1]:
        found = _directory(data, order, int(offset)) | found
    for offset in first.get(_SUB_IFDS, ())[:_MAX_SUB_IFDS]:
        sub = _directory(data, order, int(offset))
        if sub.get(NEW_SUBFILE_TYPE) == (0,):
            found |= sub
    return found


def _whole(data: bytes, order: str, position: int) -> int:
    return int(struct.unpack_from(order + "I", data, position)[0])


def _directory(data: bytes, order: str, offset: int) -> Tags:
    if not 8 <= offset <= len(data) - 2:
        raise TiffError("a directory lies outside of the file")
    count = struct.unpack_from(order + "H", data, offset)[0]
    if count > _MAX_ENTRIES or offset + 2 + 12 * count > len(data):
        raise TiffError("a directory is cut off")
    tags: Tags = {}
    for index in range(count):
        code, values = _entry(data, order, offset + 2 + 12 * index)
        if values is not None:
            tags[code] = values
    return tags


def _entry(data: bytes, order: str, position: int) -> tuple[int, tuple[Value, ...] | None]:
    """One tag; None for values that are too many, of an unknown type or outside of the file."""
    code, kind, count = struct.unpack_from(order + "HHI", data, position)
    letter = _KINDS.get(kind)
    if letter is None or count > _MAX_VALUES:
        return code, None
    layout = f"{order}{count * 2 if kind in _FRACTIONS else count}{letter}"
    size = struct.calcsize(layout)
    start = position + 8 if size <= 4 else _whole(data, order, position + 8)
    if start + size > len(data):
        return code, None
    values: tuple[Value, ...] = struct.unpack_from(layout, data, start)
    if kind in _FRACTIONS:
        pairs = zip(values[::2], values[1::2], strict=True)
        values = tuple(top / bottom if bottom else float("nan") for top, bottom in pairs)
    return code, values

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
_HEADER_BYTES = 8


class TiffError(ValueError):
    """The bytes are no TIFF file whose tags can be read; the message says why."""


def read_tags(data: bytes) -> Tags:
    """All tags of the first directory, of its raw picture's and of its EXIF directory.

    Where directories have the same tag, the raw picture's says what holds, since a DNG's first directory may
    be that of a preview.

    Raises:
        TiffError: no TIFF file, or its directory lies outside of it.
    """
    order, start = read_header(data)
    first, _ = read_directory(data, order, start)
    found = dict(first)
    for offset in _offsets(first, _EXIF_IFD)[:1]:
        found = read_directory(data, order, offset)[0] | found
    for offset in _offsets(first, _SUB_IFDS)[:_MAX_SUB_IFDS]:
        sub, _ = read_directory(data, order, offset)
        if sub.get(NEW_SUBFILE_TYPE) == (0,):
            found |= sub
    return found


def read_header(data: bytes) -> tuple[str, int]:
    """The order of bytes, as struct writes it, and where the first directory is.

    Raises:
        TiffError: no TIFF file; BigTIFF is none.
    """
    order = _ORDERS.get(data[:4])
    if order is None or len(data) < _HEADER_BYTES:
        raise TiffError("it does not begin as a TIFF file does (BigTIFF is not taken)")
    return order, _whole(data, order, 4)


def read_directory(data: bytes, order: str, offset: int, max_values: int = _MAX_VALUES) -> tuple[Tags, int]:
    """The tags of one directory, and where the next one is; 0 if there is none.

    Tags of more than ``max_values`` values, of unknown types or with values outside of the file are left out.

    Raises:
        TiffError: the directory lies outside of the file.
    """
    if not _HEADER_BYTES <= offset <= len(data) - 2:
        raise TiffError("its directory of tags lies outside of the file, which may be cut off")
    count = struct.unpack_from(order + "H", data, offset)[0]
    end = offset + 2 + 12 * count
    if count > _MAX_ENTRIES or end + 4 > len(data):
        raise TiffError("its directory of tags is cut off")
    tags: Tags = {}
    for position in range(offset + 2, end, 12):
        code, values = _entry(data, order, position, max_values)
        if values is not None:
            tags[code] = values
    return tags, _whole(data, order, end)


def _offsets(tags: Tags, code: int) -> list[int]:
    return [value for value in tags.get(code, ()) if isinstance(value, int)]


def _whole(data: bytes, order: str, position: int) -> int:
    return int(struct.unpack_from(order + "I", data, position)[0])


def _entry(data: bytes, order: str, position: int, max_values: int) -> tuple[int, tuple[Value, ...] | None]:
    """One tag; None for values that are too many, of an unknown type or outside of the file."""
    code, kind, count = struct.unpack_from(order + "HHI", data, position)
    letter = _KINDS.get(kind)
    if letter is None or count > max_values:
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

"""DNG files made from a mosaic: little-endian TIFF, one uncompressed strip of 16-bit values."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction

import numpy as np
from numpy.typing import NDArray

# The camera of most examples: what a phone's sensor looks like in daylight.
COLOR_MATRIX = (0.9, -0.3, -0.1, -0.4, 1.2, 0.2, -0.05, 0.2, 0.6)
AS_SHOT_NEUTRAL = (0.5, 1.0, 0.6)

_BYTE, _ASCII, _SHORT, _LONG, _RATIONAL, _SRATIONAL, _DOUBLE = 1, 2, 3, 4, 5, 10, 12
_PACKED = {_BYTE: "B", _ASCII: "B", _SHORT: "H", _LONG: "I", _RATIONAL: "I", _SRATIONAL: "i", _DOUBLE: "d"}
_PAIRS = (_RATIONAL, _SRATIONAL)
_COLOURS = {"R": 0, "G": 1, "B": 2}
_D65 = 21


@dataclass(frozen=True)
class Tag:
    """One entry of the file's directory: a code of the TIFF or the DNG specification, and its values."""

    code: int
    kind: int
    values: Sequence[float]

    @property
    def count(self) -> int:
        """How many values the entry says it has; a fraction is one value."""
        return len(self.values)

    def packed(self) -> bytes:
        """The values as they stand in the file."""
        values: list[float] = list(self.values)
        if self.kind in _PAIRS:
            pairs = [Fraction(value).limit_denominator(10_000) for value in self.values]
            values = [part for pair in pairs for part in pair.as_integer_ratio()]
        return struct.pack(f"<{len(values)}{_PACKED[self.kind]}", *values)


def dng_bytes(
    mosaic: NDArray[np.uint16],
    *,
    cfa: str = "RGGB",
    black_level: float = 64,
    white_level: int = 1023,
    color_matrix: Sequence[float] = COLOR_MATRIX,
    as_shot_neutral: Sequence[float] = AS_SHOT_NEUTRAL,
    noise_profile: Sequence[float] = (),
    active_area: Sequence[int] = (),
    orientation: int = 1,
    size: tuple[int, int] | None = None,
) -> bytes:
    """A DNG file of one raw picture.

    Args:
        mosaic: (height, width), the sensor's values.
        cfa: row-major tile of colours at the corner of the active area, 2×2 or, with 36 letters, 6×6.
        black_level: raw code value.
        white_level: raw code value.
        color_matrix: ColorMatrix1, row-major 3×3: XYZ under D65 to camera RGB.
        as_shot_neutral: camera RGB of what was white in the scene, R, G, B.
        noise_profile: shot and read variance, once or for each of the three colours; empty: no such tag.
        active_area: top, left, bottom and right of the pixels that count; empty: all.
        orientation: TIFF's code, 1 to 8.
        size: height and width that the header claims, for lying files; by default the truth.
    """
    height, width = size or mosaic.shape
    side = 2 if len(cfa) == 4 else 6
    pixels = np.ascontiguousarray(mosaic, "<u2").tobytes()
    tags = [
        Tag(254, _LONG, [0]),  # NewSubfileType: the picture itself
        Tag(256, _LONG, [width]),
        Tag(257, _LONG, [height]),
        Tag(258, _SHORT, [16]),  # BitsPerSample
        Tag(259, _SHORT, [1]),  # Compression: none
        Tag(262, _SHORT, [32803]),  # PhotometricInterpretation: colour filter array
        Tag(271, _ASCII, b"AutoISP\0"),
        Tag(272, _ASCII, b"Test camera\0"),
        Tag(274, _SHORT, [orientation]),
        Tag(277, _SHORT, [1]),  # SamplesPerPixel
        Tag(278, _LONG, [height]),  # RowsPerStrip
        Tag(279, _LONG, [len(pixels)]),  # StripByteCounts
        Tag(33421, _SHORT, [side, side]),  # CFARepeatPatternDim
        Tag(33422, _BYTE, [_COLOURS[letter] for letter in cfa]),  # CFAPattern
        Tag(50706, _BYTE, [1, 4, 0, 0]),  # DNGVersion
        Tag(50707, _BYTE, [1, 1, 0, 0]),  # DNGBackwardVersion
        Tag(50708, _ASCII, b"AutoISP test camera\0"),
        Tag(50714, _RATIONAL, [black_level]),
        Tag(50717, _LONG, [white_level]),
        Tag(50721, _SRATIONAL, color_matrix),
        Tag(50728, _RATIONAL, as_shot_neutral),
        Tag(50778, _SHORT, [_D65]),  # CalibrationIlluminant1
    ]
    if active_area:
        tags.append(Tag(50829, _LONG, active_area))
    if noise_profile:
        tags.append(Tag(51041, _DOUBLE, noise_profile))
    return _file(tags, pixels)


def _file(tags: list[Tag], pixels: bytes) -> bytes:
    strip = Tag(273, _LONG, [0])
    entries = sorted([*tags, strip], key=lambda tag: tag.code)
    start = 8
    body = start + 2 + 12 * len(entries) + 4
    long_values = [tag.packed() for tag in entries if len(tag.packed()) > 4]
    pixels_at = body + sum(len(value) + len(value) % 2 for value in long_values)
    directory, values = struct.pack("<H", len(entries)), b""
    for tag in entries:
        packed = struct.pack("<I", pixels_at) if tag is strip else tag.packed()
        if len(packed) > 4:
            place = struct.pack("<I", body + len(values))
            values += packed + bytes(len(packed) % 2)
        else:
            place = packed.ljust(4, b"\0")
        directory += struct.pack("<HHI", tag.code, tag.kind, tag.count) + place
    return b"II*\0" + struct.pack("<I", start) + directory + bytes(4) + values + pixels

"""What goes through the pipes between the service and the process that reads raw files.

For each file the service sends its length (8 bytes, big-endian) and its bytes, and the process answers with
a line of JSON: the sizes, or an error. The service then sends ``UNPACK``, and the answer is a line with the
facts and the pixels behind it, or an error; or it sends ``SKIP``. The end of input ends the process.
"""

from __future__ import annotations

from dataclasses import dataclass

FILE_SECONDS = 120
"""That one file may take: the service counts them by the clock, the process by its processor time."""
LENGTH_BYTES = 8
UNPACK = b"U"
SKIP = b"S"


@dataclass(frozen=True)
class RawSizes:
    """From the file's header, before anything is allocated for the picture. Pixels.

    Args:
        raw_width, raw_height: of all that the sensor gave.
        width, height: of the part that shows the scene.
    """

    raw_width: int
    raw_height: int
    width: int
    height: int


@dataclass(frozen=True)
class RawFacts:
    """What the file says of the sensor.

    Args:
        width, height: of the pixels that follow.
        flip: LibRaw's code of how to turn the picture upright.
        pattern: colours of the smallest repeating tile, row by row ("RGGB"); empty if it is no mosaic.
        black_level: of each of the four places of a tile, code values.
        white_level: code value.
        white_balance: R, G, B multipliers as shot; 0 where unknown.
        xyz_to_camera: rows of LibRaw's matrix for this camera in daylight; all 0 if it has none.
    """

    width: int
    height: int
    flip: int
    pattern: str
    black_level: tuple[float, ...]
    white_level: float
    white_balance: tuple[float, float, float]
    xyz_to_camera: tuple[tuple[float, float, float], ...]

"""From what a raw file says of its sensor to a sensor profile."""

from __future__ import annotations

import math

from autoisp_core.dng_sensor import D65_LIGHT, DngFacts, profile_from_dng
from autoisp_core.sensor import Matrix, SensorProfile, Triple

from autoisp_ingest.decoding.tiff_tags import Tags, TiffError, read_tags
from autoisp_ingest.libraw import RawFacts

_MODEL, _UNIQUE_CAMERA_MODEL = 272, 50708
_NOISE_PROFILE = 51041
# Colour matrix, forward matrix, calibration illuminant: once for each of the two lights.
_CALIBRATIONS = ((50721, 50964, 50778), (50722, 50965, 50779))
# EXIF's LightSource codes from the nearest to daylight to the farthest; others count as in between.
_DAYLIGHT_FIRST = (D65_LIGHT, 1, 9, 20, 23, 10, 22, 4)
_TUNGSTEN = (3, 17)
_UNKNOWN = 0
_MAX_NAME = 100


def sensor_of(data: bytes, facts: RawFacts, cfa: str, fallback_name: str) -> SensorProfile:
    """The profile of the sensor that took a raw file.

    DNG's own tags say most: colour matrix and noise. Of the others LibRaw knows many cameras' matrices.

    Args:
        data: the file.
        facts: what LibRaw found in it.
        cfa: row-major 2×2 tile of the stored mosaic.
        fallback_name: if the file does not name its camera.

    Raises:
        InvalidArgumentError: the file says what can't be, such as a colour matrix without an inverse.
    """
    try:
        tags = read_tags(data)
    except TiffError:
        tags = {}  # RAF, CR3 and others are no TIFF files
    matrix, forward, light = _calibration(tags)
    if matrix is None and any(map(any, facts.xyz_to_camera)):
        matrix = _matrix([value for row in facts.xyz_to_camera for value in row])
    return profile_from_dng(
        _name(tags) or fallback_name[:_MAX_NAME],
        DngFacts(
            cfa=cfa,
            black_level=sum(facts.black_level) / len(facts.black_level),
            white_level=facts.white_level,
            as_shot_neutral=_neutral(facts.white_balance),
            colour_matrix=matrix,
            noise_profile=_noise(tags.get(_NOISE_PROFILE, ())),
            illuminant=light,
            forward_matrix=forward,
        ),
    )


def _calibration(tags: Tags) -> tuple[Matrix | None, Matrix | None, int]:
    """Colour matrix, forward matrix and light of the calibration that is nearest to daylight."""
    found = []
    for matrix, forward, light in _CALIBRATIONS:
        if matrix in tags:
            code = next((value for value in tags.get(light, ()) if isinstance(value, int)), _UNKNOWN)
            found.append((_matrix(tags[matrix]), _matrix(tags.get(forward, ())), code))
    return min(found, key=lambda entry: _distance(entry[2]), default=(None, None, D65_LIGHT))


def _distance(light: int) -> int:
    if light in _DAYLIGHT_FIRST:
        return _DAYLIGHT_FIRST.index(light)
    return len(_DAYLIGHT_FIRST) + (light in _TUNGSTEN)


def _matrix(values: list[float] | tuple[float, ...]) -> Matrix | None:
    """Row by row; None if they are not nine, as for sensors of four colours."""
    if len(values) != 9:
        return None
    first, second, third = ((values[i], values[i + 1], values[i + 2]) for i in (0, 3, 6))
    return (first, second, third)


def _neutral(white_balance: Triple) -> Triple | None:
    """Camera RGB of what was white; None if the file does not tell."""
    if not all(math.isfinite(gain) and gain > 0 for gain in white_balance):
        return None
    red, green, blue = white_balance
    return (1 / red, 1 / green, 1 / blue)


def _noise(values: tuple[float, ...]) -> tuple[tuple[float, float], ...] | None:
    if not values or len(values) % 2:
        return None
    return tuple(zip(values[::2], values[1::2], strict=True))


def _name(tags: Tags) -> str:
    for code in (_UNIQUE_CAMERA_MODEL, _MODEL):
        values = tags.get(code, ())
        if all(isinstance(value, int) and 0 <= value < 256 for value in values):
            text = bytes(int(value) for value in values).split(b"\0")[0].decode("ascii", "ignore").strip()
            if text.isprintable() and text:
                return text[:_MAX_NAME]
    return ""

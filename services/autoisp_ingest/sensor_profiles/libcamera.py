"""From a camera tuning file of libcamera's Raspberry Pi pipelines to a sensor profile.

What the numbers mean, by libcamera's own tuning tool (``utils/raspberrypi/ctt``) and control algorithms:

* ``rpi.black_level``: on a scale of 16 bits, whatever the sensor's depth.
* ``rpi.noise``: standard deviation = reference_constant + reference_slope · √mean, the black level
  subtracted, on the scale of 16 bits, at an analogue gain of 1. At gain g both numbers grow with √g.
* ``rpi.awb``: ``ct_curve`` lists colour temperature, R / G and B / G of a grey object; ``modes`` has the
  range of temperatures that is looked at.
* ``rpi.ccm``: white-balanced camera RGB to linear sRGB, for some colour temperatures.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Mapping, Sequence
from typing import Any

from autoisp_core.colour_matrix import with_unit_rows
from autoisp_core.errors import InvalidArgumentError
from autoisp_core.noise import Noise, NoiseRange
from autoisp_core.sections import numbers
from autoisp_core.sensor import Matrix, SensorProfile

WHITE_LEVEL = 65535.0
DAYLIGHT = 6500.0
"""Kelvin; of the nominal gains and of the colour matrix."""
_TEMPERATURES = (2500.0, 8000.0)
"""Kelvin; of a file without AWB modes."""
_HIGHEST_GAIN = 16.0
"""Of a file without exposure modes."""
_CONSTANTS = (0.0, WHITE_LEVEL)
"""Of ``rpi.noise``: up to a deviation as wide as the scale."""
_SLOPES = (1e-3, WHITE_LEVEL**0.5)
"""Of ``rpi.noise``: up to a deviation as wide as the scale at its end; cameras have some 1 to 10."""
_FIELD = "libcamera"


def profile_from_libcamera(name: str, text: str) -> SensorProfile:
    """The profile that a tuning file describes.

    The file does not tell the colour filter's tile: RGGB is put in its place, which is no matter where
    raw is synthesised.

    Raises:
        InvalidArgumentError: names the key that is missing or wrong, and what to write instead.
    """
    algorithms = _algorithms(text)
    black = _number(algorithms, "rpi.black_level", "black_level")
    if not 0 <= black < WHITE_LEVEL:
        raise InvalidArgumentError(
            f"{_FIELD}.rpi.black_level",
            f"rpi.black_level.black_level is {black:g}: give a level on the scale of 16 bits, such as 4096",
        )
    curve = _curve(algorithms)
    low, high = _temperatures(algorithms)
    seen = [point for point in curve if low <= point[0] <= high]
    seen += [_between(curve, temperature) for temperature in (low, DAYLIGHT, high)]
    reds, blues = ([1 / point[index] for point in seen] for index in (1, 2))
    _, red, blue = _between(curve, DAYLIGHT)
    return SensorProfile(
        name=name,
        black_level=black,
        white_level=WHITE_LEVEL,
        gains=(1 / red, 1.0, 1 / blue),
        red_range=(min(reds), max(reds)),
        blue_range=(min(blues), max(blues)),
        ccm=_matrix(algorithms),
        noise_range=NoiseRange.over(_noise(algorithms, WHITE_LEVEL - black), 1.0, _gain(algorithms)),
    )


def _algorithms(text: str) -> Mapping[str, Any]:
    """The sections by name; files of version 1 have them at the top, version 2 in a list."""
    try:
        data = json.loads(text)
    except (ValueError, RecursionError) as error:
        raise InvalidArgumentError(
            _FIELD, f"the tuning file is no JSON: {error}; send it as it is"
        ) from error
    listed = data.get("algorithms") if isinstance(data, dict) else None
    if isinstance(listed, list) and all(isinstance(item, dict) for item in listed):
        return {name: section for item in listed for name, section in item.items()}
    if isinstance(data, dict) and any(str(name).startswith("rpi.") for name in data):
        return data
    raise InvalidArgumentError(
        _FIELD,
        "the tuning file has no 'algorithms' with rpi.… sections: send one of libcamera's Raspberry Pi "
        "pipelines, such as imx219.json",
    )


def _section(algorithms: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    section = algorithms.get(name)
    if not isinstance(section, dict):
        raise InvalidArgumentError(
            f"{_FIELD}.{name}", f"the tuning file has no {name}: add it, or write the profile as TOML"
        )
    return section


def _table(data: Mapping[str, Any], key: str) -> Mapping[str, Any]:
    """A table that may be left out."""
    table = data.get(key)
    return table if isinstance(table, dict) else {}


def _number(algorithms: Mapping[str, Any], name: str, key: str) -> float:
    return numbers(f"{_FIELD}.{name}.{key}", [_section(algorithms, name).get(key)], 1)[0]


def _within(bounds: tuple[float, float], algorithms: Mapping[str, Any], name: str, key: str) -> float:
    value, (low, high) = _number(algorithms, name, key), bounds
    if not low <= value <= high:
        raise InvalidArgumentError(
            f"{_FIELD}.{name}.{key}", f"{name}.{key} is {value:g}: give a number from {low:g} to {high:g}"
        )
    return value


def _noise(algorithms: Mapping[str, Any], span: float) -> Noise:
    """At an analogue gain of 1, in [0, 1] of ``span`` from black to white.

    (A + B √x)² = A² + 2 A B √x + B² x is no line in x. The line nearest to √x over [0, 1], by least squares,
    is 4/15 + 4/5 x; files with A = 0, as most are, need none of it.
    """
    constant = _within(_CONSTANTS, algorithms, "rpi.noise", "reference_constant") / span
    slope = _within(_SLOPES, algorithms, "rpi.noise", "reference_slope") / span**0.5
    mixed = 2 * constant * slope
    shot, read = slope**2 + 4 / 5 * mixed, constant**2 + 4 / 15 * mixed
    if max(shot, read) > 1:
        raise InvalidArgumentError(
            f"{_FIELD}.rpi.noise", "rpi.noise is wider than the scale from black to white: check both numbers"
        )
    return Noise(shot, read)


def _gain(algorithms: Mapping[str, Any]) -> float:
    """The highest analogue gain of the exposure modes: there the variance is as many times that of gain 1."""
    section = _table(algorithms, "rpi.agc")
    # Files for several cameras at once have the modes inside of channels.
    channels = section.get("channels")
    modes = [
        mode
        for channel in (channels if isinstance(channels, list) else [section])
        if isinstance(channel, dict)
        for mode in _table(channel, "exposure_modes").values()
        if isinstance(mode, dict) and isinstance(mode.get("gain"), list)
    ]
    gains = [
        gain
        for mode in modes
        for gain in mode["gain"]
        if isinstance(gain, int | float) and abs(gain) <= sys.float_info.max  # a whole number may be beyond
    ]
    return max([1.0, *map(float, gains)]) if gains else _HIGHEST_GAIN


def _curve(algorithms: Mapping[str, Any]) -> list[tuple[float, ...]]:
    field = f"{_FIELD}.rpi.awb.ct_curve"
    values = _section(algorithms, "rpi.awb").get("ct_curve")
    if not isinstance(values, list) or not values or len(values) % 3:
        raise InvalidArgumentError(
            field, "rpi.awb.ct_curve must list temperature, R / G and B / G, three numbers for each point"
        )
    flat = numbers(field, values, len(values))
    points = [flat[start : start + 3] for start in range(0, len(flat), 3)]
    if any(min(point) <= 0 for point in points):
        raise InvalidArgumentError(field, "every number of rpi.awb.ct_curve must be above 0")
    return sorted(points)


def _temperatures(algorithms: Mapping[str, Any]) -> tuple[float, float]:
    auto = _table(_table(_section(algorithms, "rpi.awb"), "modes"), "auto")
    if not auto:
        return _TEMPERATURES
    low, high = numbers(f"{_FIELD}.rpi.awb.modes.auto", [auto.get("lo"), auto.get("hi")], 2)
    return min(low, high), max(low, high)


def _matrix(algorithms: Mapping[str, Any]) -> Matrix:
    field = f"{_FIELD}.rpi.ccm.ccms"
    listed = _section(algorithms, "rpi.ccm").get("ccms")
    if not isinstance(listed, list) or not all(isinstance(item, dict) for item in listed) or not listed:
        raise InvalidArgumentError(field, "rpi.ccm.ccms must list matrices, each with 'ct' and 'ccm'")
    points = sorted(
        numbers(f"{field}[{index}].ct", [item.get("ct")], 1)
        + numbers(f"{field}[{index}].ccm", item.get("ccm"), 9)
        for index, item in enumerate(listed)
    )
    _, a, b, c, d, e, f, g, h, i = _between(points, DAYLIGHT)
    return with_unit_rows(((a, b, c), (d, e, f), (g, h, i)), field)


def _between(points: Sequence[tuple[float, ...]], temperature: float) -> tuple[float, ...]:
    """The values at a temperature, linear between the points around it, as libcamera does; ends are kept."""
    above = next((index for index, point in enumerate(points) if point[0] >= temperature), len(points) - 1)
    low, high = points[max(above - 1, 0)], points[above]
    if high[0] <= low[0] or temperature >= high[0]:
        return high
    share = max(0.0, (temperature - low[0]) / (high[0] - low[0]))
    return tuple(one + share * (two - one) for one, two in zip(low, high, strict=True))

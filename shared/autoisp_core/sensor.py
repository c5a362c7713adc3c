"""What is known of a camera's sensor: colour filter, levels, gains, colour matrix and noise.

Pure data and arithmetic on plain floats, so that control services can validate a profile without any
pixel library. Raw values are linear in [0, 1]: black level subtracted, then divided by white minus black.
"""

import json
import math
from dataclasses import dataclass, field, replace
from typing import Any

from autoisp_core.errors import InvalidArgumentError
from autoisp_core.noise import Noise, NoiseRange
from autoisp_core.profile_toml import parsed_toml, toml_of
from autoisp_core.sections import Section, number_range, numbers

__all__ = [
    "CFA_TILES",
    "IDENTITY_CCM",
    "MAX_NAME",
    "Matrix",
    "Noise",
    "NoiseRange",
    "SensorProfile",
    "Triple",
    "builtin",
]

Triple = tuple[float, float, float]
Matrix = tuple[Triple, Triple, Triple]
Range = tuple[float, float]

CFA_TILES = ("RGGB", "BGGR", "GRBG", "GBRG")
MAX_NAME = 100
"""Characters of a profile's name."""
IDENTITY_CCM: Matrix = ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0))


@dataclass(frozen=True, slots=True)
class SensorProfile:
    """A camera's sensor.

    Attributes:
        name: a short name for reports.
        cfa: row-major 2×2 colour filter tile, one of `CFA_TILES`.
        black_level, white_level: raw code values that map to 0 and 1.
        gains: nominal white balance (R, G, B), multiplied onto raw.
        red_range, blue_range: from where training draws the red and blue gain.
        ccm: rows of the matrix from white-balanced camera RGB to linear sRGB; every row sums to 1.
        noise_range: the noise over the ISO range.
        test_noise: the one noise that evaluations use and training centres on; None: the whole range.

    Raises:
        InvalidArgumentError: names the key that is wrong, and what to write instead.
    """

    name: str
    cfa: str = "RGGB"
    black_level: float = 0.0
    white_level: float = 1.0
    gains: Triple = (2.0, 1.0, 1.7)
    red_range: Range = (1.9, 2.4)
    blue_range: Range = (1.5, 1.9)
    ccm: Matrix = IDENTITY_CCM
    noise_range: NoiseRange = field(default_factory=NoiseRange)
    test_noise: Noise | None = None

    def __post_init__(self) -> None:
        if not self.name or len(self.name) > MAX_NAME:
            raise InvalidArgumentError("sensor.name", f"give the sensor a name of 1 to {MAX_NAME} characters")
        if any("\ud800" <= character <= "\udfff" for character in self.name):
            # JSON may have halves of pairs; neither UTF-8 nor TOML can hold one.
            raise InvalidArgumentError(
                "sensor.name", "the sensor's name holds half a surrogate pair: remove it"
            )
        if self.cfa not in CFA_TILES:
            raise InvalidArgumentError(
                "sensor.cfa", f"'{self.cfa}' is no colour filter tile: use one of {', '.join(CFA_TILES)}"
            )
        if not (math.isfinite(self.black_level) and math.isfinite(self.white_level)) or not (
            0 <= self.black_level < self.white_level
        ):
            raise InvalidArgumentError(
                "sensor.white_level",
                f"levels are {self.black_level} to {self.white_level}: give 0 <= black_level < white_level",
            )
        for key, gain in zip(("red", "green", "blue"), self.gains, strict=True):
            if not (math.isfinite(gain) and 0.1 <= gain <= 16.0):
                raise InvalidArgumentError(
                    f"sensor.gains.{key}", f"the {key} gain is {gain}: give a factor in [0.1, 16]"
                )
        for key, (low, high) in (("red_range", self.red_range), ("blue_range", self.blue_range)):
            if not 0.1 <= low <= high <= 16.0:
                raise InvalidArgumentError(
                    f"sensor.gains.{key}", f"[{low}, {high}] is no range: give 0.1 <= low <= high <= 16"
                )
        for index, row in enumerate(self.ccm):
            # 5e-3: published matrices are rounded to two or three decimals.
            if not all(math.isfinite(value) for value in row) or abs(sum(row) - 1.0) > 5e-3:
                raise InvalidArgumentError(
                    f"sensor.ccm[{index}]",
                    f"row {index} of the colour matrix sums to {sum(row):.4f}: every row must "
                    "sum to 1, so that grey stays grey",
                )
        if abs(_determinant(self.ccm)) < 1e-3:
            raise InvalidArgumentError("sensor.ccm", "the colour matrix has no inverse: check its rows")

    @property
    def has_identity_ccm(self) -> bool:
        """Whether camera RGB already is linear sRGB."""
        return self.ccm == IDENTITY_CCM

    def with_identity_ccm(self) -> "SensorProfile":
        """The same sensor, its camera RGB taken for linear sRGB.

        A prototype without a `ccm` input cannot be told a colour matrix. A search with such a prototype
        uses this profile for data, prototype and candidates alike, so that colour decides nothing between
        them.
        """
        return replace(self, ccm=IDENTITY_CCM)

    def with_test_noise(self, noise: Noise | None) -> "SensorProfile":
        """The same sensor, evaluated at `noise`; None: over its whole range."""
        return replace(self, test_noise=noise)

    def evaluation_noises(self) -> tuple[Noise, ...]:
        """The noise levels of an evaluation: frame i of the evaluated ones has level i modulo their number.

        The fixed test noise where there is one, else the low, the middle and the high end of the ISO range.
        """
        if self.test_noise is not None:
            return (self.test_noise,)
        return tuple(self.noise_range.at(fraction) for fraction in (0.25, 0.6, 0.95))

    def to_json(self) -> str:
        """Canonical JSON: the same profile always gives the same text."""
        return json.dumps(self.to_dict(), sort_keys=True, separators=(",", ":"))

    def to_dict(self) -> dict[str, Any]:
        """The profile as JSON and TOML hold it."""
        noise: dict[str, Any] = {
            "shot_min": self.noise_range.shot_min,
            "shot_max": self.noise_range.shot_max,
            "read_slope": self.noise_range.read_slope,
            "read_intercept": self.noise_range.read_intercept,
            "read_spread": self.noise_range.read_spread,
        }
        if self.test_noise is not None:
            noise["test"] = {"shot": self.test_noise.shot, "read": self.test_noise.read}
        red, green, blue = self.gains
        return {
            "name": self.name,
            "cfa": self.cfa,
            "black_level": self.black_level,
            "white_level": self.white_level,
            "gains": {
                "red": red,
                "green": green,
                "blue": blue,
                "red_range": list(self.red_range),
                "blue_range": list(self.blue_range),
            },
            "ccm": [list(row) for row in self.ccm],
            "noise": noise,
        }

    def to_toml(self) -> str:
        """As a profile's file holds it; `from_toml` reads it.

        >>> SensorProfile.from_toml(_PHONE.to_toml()) == _PHONE
        True
        """
        return toml_of(self.to_dict())

    @classmethod
    def from_json(cls, text: str) -> "SensorProfile":
        """Reads what `to_json` wrote."""
        try:
            data = json.loads(text)
        except json.JSONDecodeError as error:
            raise InvalidArgumentError("sensor", f"the sensor profile is no JSON: {error}") from error
        return cls.from_dict(data)

    @classmethod
    def from_toml(cls, text: str) -> "SensorProfile":
        """Reads a profile from a TOML file's text; every key but `name` has a default.

        >>> SensorProfile.from_toml('name = "mine"\\n[gains]\\nred = 1.8').gains
        (1.8, 1.0, 1.7)

        Raises:
            InvalidArgumentError: no TOML, too long, or a missing, unknown or wrong key.
        """
        return cls.from_dict(parsed_toml("sensor", text))

    @classmethod
    def from_dict(cls, data: Any) -> "SensorProfile":
        """Builds a profile from parsed JSON or TOML.

        Raises:
            InvalidArgumentError: for a missing, unknown or wrong key.
        """
        top = Section("sensor", data)
        gains = Section("sensor.gains", top.take("gains", {}))
        noise = Section("sensor.noise", top.take("noise", {}))
        red, green, blue = gains.number("red", 2.0), gains.number("green", 1.0), gains.number("blue", 1.7)
        test_data = noise.take("test", None)
        test_noise = None
        if test_data is not None:
            test = Section("sensor.noise.test", test_data)
            test_noise = Noise(test.number("shot"), test.number("read"))
            test.close()
        default = NoiseRange()
        noise_range = NoiseRange(
            noise.number("shot_min", default.shot_min),
            noise.number("shot_max", default.shot_max),
            noise.number("read_slope", default.read_slope),
            noise.number("read_intercept", default.read_intercept),
            noise.number("read_spread", default.read_spread),
        )
        rows = top.take("ccm", [list(row) for row in IDENTITY_CCM])
        if not isinstance(rows, list) or len(rows) != 3:
            raise InvalidArgumentError("sensor.ccm", "the colour matrix needs 3 rows of 3 numbers")
        ccm = tuple(numbers(f"sensor.ccm[{index}]", row, 3) for index, row in enumerate(rows))
        profile = cls(
            name=top.text("name"),
            cfa=top.text("cfa", "RGGB"),
            black_level=top.number("black_level", 0.0),
            white_level=top.number("white_level", 1.0),
            gains=(red, green, blue),
            # Without ranges a training sees gains within 10 % of the nominal ones.
            red_range=number_range("sensor.gains.red_range", gains.take("red_range", [0.9 * red, 1.1 * red])),
            blue_range=number_range(
                "sensor.gains.blue_range", gains.take("blue_range", [0.9 * blue, 1.1 * blue])
            ),
            ccm=ccm,  # type: ignore[arg-type]  # three rows of three, checked above
            noise_range=noise_range,
            test_noise=test_noise,
        )
        for section in (gains, noise, top):
            section.close()
        return profile


def _determinant(m: Matrix) -> float:
    (a, b, c), (d, e, f), (g, h, i) = m
    return a * (e * i - f * h) - b * (d * i - f * g) + c * (d * h - e * g)


# A daylight matrix of the strength that phone sensors need: it buys colour with noise.
_PHONE = SensorProfile(
    name="phone",
    black_level=64.0,
    white_level=1023.0,
    ccm=((1.42, -0.32, -0.10), (-0.16, 1.34, -0.18), (-0.02, -0.40, 1.42)),
)
_BUILTINS = {"phone": _PHONE}


def builtin(name: str) -> SensorProfile:
    """The built-in profile `name`.

    Raises:
        InvalidArgumentError: when there is none of that name.
    """
    profile = _BUILTINS.get(name)
    if profile is None:
        raise InvalidArgumentError(
            "sensor",
            f"there is no sensor 'builtin:{name}': use builtin:{', builtin:'.join(_BUILTINS)} or a file",
        )
    return profile

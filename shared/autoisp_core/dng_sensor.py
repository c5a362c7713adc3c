"""From a DNG file's metadata to a sensor profile.

Tags and their meaning are those of the DNG specification 1.6 (Adobe): ``ColorMatrix`` takes XYZ to camera RGB
under its calibration illuminant, ``ForwardMatrix`` takes white-balanced camera RGB to XYZ with white D50, and
``NoiseProfile`` gives the variance ``S · x + O`` of linear values x in [0, 1]: this project's shot and read.
"""

from dataclasses import dataclass

from autoisp_core.colour_matrix import (
    D50,
    D65,
    XYZ_FROM_SRGB,
    adaptation,
    apply,
    inverse,
    product,
    with_unit_rows,
)
from autoisp_core.errors import InvalidArgumentError
from autoisp_core.noise import Noise, NoiseRange
from autoisp_core.sensor import IDENTITY_CCM, Matrix, SensorProfile, Triple

D65_LIGHT = 21
"""EXIF's ``LightSource`` for D65."""

# White points of EXIF's LightSource codes; the others that occur are near enough to D65.
_WHITES: dict[int, Triple] = {
    3: (1.0985, 1.0, 0.3558),  # tungsten
    17: (1.0985, 1.0, 0.3558),  # standard light A
    20: (0.9568, 1.0, 0.9214),  # D55
    D65_LIGHT: D65,
    22: (0.9497, 1.0, 1.2264),  # D75
    23: D50,
}
# The gains of a grey card in daylight for a sensor of which nothing else is known.
_DAYLIGHT_GAINS: Triple = (2.0, 1.0, 1.7)
_SPREAD = 0.1
"""Training draws gains within this share of the nominal ones."""


@dataclass(frozen=True, slots=True)
class DngFacts:
    """What a DNG file says of its sensor, as plain numbers.

    Attributes:
        cfa: row-major 2×2 tile of the stored mosaic.
        black_level, white_level: code values of the mosaic; the black levels' mean where there are several.
        as_shot_neutral: camera RGB of a neutral object.
        colour_matrix: XYZ to camera RGB under ``illuminant``, row by row.
        noise_profile: (S, O) of each colour plane, or one pair for all.
        illuminant: EXIF LightSource code of ``colour_matrix``; of two matrices give the one nearest to
            daylight.
        forward_matrix: white-balanced camera RGB to XYZ with white D50; goes before ``colour_matrix``.
    """

    cfa: str
    black_level: float
    white_level: float
    as_shot_neutral: Triple | None = None
    colour_matrix: Matrix | None = None
    noise_profile: tuple[tuple[float, float], ...] | None = None
    illuminant: int = D65_LIGHT
    forward_matrix: Matrix | None = None


def profile_from_dng(name: str, facts: DngFacts) -> SensorProfile:
    """The profile of the sensor that a DNG file describes; what the file leaves out gets a plain default.

    Gains are 1 / AsShotNeutral with green 1, else what makes the light of the colour matrix white. The test
    noise is the mean of the planes' NoiseProfile.

    Raises:
        InvalidArgumentError: names the value that is wrong, and what to write instead.
    """
    ccm, white = _colour(facts)
    gains = white if facts.as_shot_neutral is None else _gains(facts.as_shot_neutral)
    noise = _noise(facts.noise_profile)
    red, _, blue = gains
    return SensorProfile(
        name=name,
        cfa=facts.cfa,
        black_level=facts.black_level,
        white_level=facts.white_level,
        gains=gains,
        red_range=_around(red),
        blue_range=_around(blue),
        ccm=ccm,
        noise_range=NoiseRange() if noise is None else NoiseRange.around(noise),
        test_noise=noise,
    )


def _colour(facts: DngFacts) -> tuple[Matrix, Triple]:
    """White-balanced camera RGB to linear sRGB, and the gains that make the matrix's light white."""
    if facts.colour_matrix is None:
        ccm, gains = IDENTITY_CCM, _DAYLIGHT_GAINS
    else:
        # What sRGB's white gives on the sensor is what the gains make grey, so the rows of sRGB to camera are
        # normalised first; the inverse then keeps grey grey by itself.
        adapted = product(adaptation(D65, _WHITES.get(facts.illuminant, D65)), XYZ_FROM_SRGB)
        camera = product(facts.colour_matrix, adapted)
        ccm = inverse(with_unit_rows(camera, "dng.colour_matrix"), "dng.colour_matrix")
        gains = _gains(apply(camera, (1.0, 1.0, 1.0)))
    if facts.forward_matrix is not None:
        to_srgb = inverse(XYZ_FROM_SRGB, "sRGB")
        ccm = product(product(to_srgb, adaptation(D50, D65)), facts.forward_matrix)
        ccm = with_unit_rows(ccm, "dng.forward_matrix")
    return ccm, gains


def _gains(neutral: Triple) -> Triple:
    if min(neutral) <= 0:
        raise InvalidArgumentError(
            "dng.as_shot_neutral", f"the neutral {neutral} is no colour: give three numbers above 0"
        )
    red, green, blue = neutral
    return (green / red, 1.0, green / blue)


def _around(gain: float) -> tuple[float, float]:
    return ((1 - _SPREAD) * gain, (1 + _SPREAD) * gain)


def _noise(profile: tuple[tuple[float, float], ...] | None) -> Noise | None:
    if not profile:
        return None
    shot = sum(pair[0] for pair in profile) / len(profile)
    # A fit of a noise profile may end slightly below 0, where no variance is.
    read = max(0.0, sum(pair[1] for pair in profile) / len(profile))
    return Noise(shot, read) if shot > 0 else None

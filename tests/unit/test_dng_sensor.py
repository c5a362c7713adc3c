"""Sensor profiles from DNG metadata, against values worked out elsewhere."""

import numpy as np
import pytest
from autoisp_core.colour_matrix import D50, D65, XYZ_FROM_SRGB, adaptation, apply, inverse, product
from autoisp_core.dng_sensor import DngFacts, profile_from_dng
from autoisp_core.errors import InvalidArgumentError
from autoisp_core.noise import Noise, NoiseRange
from autoisp_core.sensor import IDENTITY_CCM, Matrix, Triple

# A camera that sees exactly linear sRGB, with red and blue weaker.
_WEAKER: Matrix = ((0.5, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 0.625))
_SRGB_CAMERA = product(_WEAKER, inverse(XYZ_FROM_SRGB, "sRGB"))
# ColorMatrix2 (D65) of the Canon EOS 550D, as raw converters publish it.
_CANON: Matrix = ((0.6941, -0.1164, -0.0857), (-0.3825, 1.1597, 0.2534), (-0.0416, 0.1540, 0.6039))


def test_a_camera_that_sees_srgb_needs_gains_and_no_matrix() -> None:
    profile = profile_from_dng("c", DngFacts("GBRG", 64.0, 1023.0, colour_matrix=_SRGB_CAMERA))
    assert profile.gains == pytest.approx((2.0, 1.0, 1.6), rel=1e-3)
    assert [value for row in profile.ccm for value in row] == pytest.approx(
        [value for row in IDENTITY_CCM for value in row], abs=1e-6
    )
    assert (profile.cfa, profile.black_level, profile.white_level) == ("GBRG", 64.0, 1023.0)
    assert profile.test_noise is None
    assert profile.noise_range == NoiseRange()


def test_a_real_matrix_is_inverted_as_raw_converters_do() -> None:
    """dcraw's cam_xyz_coeff, written with NumPy."""
    camera = np.array(_CANON) @ np.array(XYZ_FROM_SRGB)
    expected = np.linalg.inv(camera / camera.sum(axis=1, keepdims=True))
    profile = profile_from_dng("canon", DngFacts("RGGB", 2048.0, 15000.0, colour_matrix=_CANON))
    np.testing.assert_allclose(np.array(profile.ccm), expected, atol=1e-4)
    np.testing.assert_allclose(np.sum(profile.ccm, axis=1), 1.0, atol=1e-12)
    assert profile.gains == pytest.approx((2.3826, 1.0, 1.3885), abs=1e-3)


def test_the_neutral_goes_before_the_matrix_and_green_stays_one() -> None:
    neutral = (0.493494, 1.0, 0.606815)
    profile = profile_from_dng(
        "g", DngFacts("RGGB", 0.0, 16383.0, as_shot_neutral=neutral, colour_matrix=_CANON)
    )
    assert profile.gains == pytest.approx((2.026367, 1.0, 1.647949), abs=1e-5)
    assert profile.red_range == pytest.approx((1.82373, 2.229004), abs=1e-5)


def test_noise_is_the_mean_of_the_planes_and_the_range_goes_through_it() -> None:
    pairs = ((1e-4, 2e-6), (3e-4, 4e-6), (2e-4, 3e-6))
    profile = profile_from_dng("n", DngFacts("RGGB", 0.0, 4095.0, noise_profile=pairs))
    assert profile.test_noise is not None
    assert (profile.test_noise.shot, profile.test_noise.read) == pytest.approx((2e-4, 3e-6))
    middle = profile.noise_range.at(0.5)
    assert (middle.shot, middle.read) == pytest.approx((2e-4, 3e-6))
    assert profile.noise_range.shot_max == pytest.approx(8e-4)


def test_without_a_usable_noise_profile_the_range_is_the_default() -> None:
    for pairs in (None, (), ((0.0, 0.0),)):
        assert profile_from_dng("n", DngFacts("RGGB", 0.0, 1.0, noise_profile=pairs)).test_noise is None
    assert NoiseRange.around(Noise(0.01, 0.0)).read_intercept == NoiseRange().read_intercept


def test_the_forward_matrix_wins() -> None:
    """It ends in XYZ under D50: one that gives exactly sRGB's colours there is no matrix at all."""
    forward = product(adaptation(D65, D50), XYZ_FROM_SRGB)
    facts = DngFacts("RGGB", 0.0, 1.0, colour_matrix=_CANON, forward_matrix=forward)
    ccm = profile_from_dng("f", facts).ccm
    assert [value for row in ccm for value in row] == pytest.approx(
        [value for row in IDENTITY_CCM for value in row], abs=1e-3
    )


def test_a_matrix_of_another_light_is_adapted() -> None:
    """The gains without a neutral are those of the matrix's own light: tungsten is red."""
    daylight = profile_from_dng("d", DngFacts("RGGB", 0.0, 1.0, colour_matrix=_CANON))
    tungsten = profile_from_dng("t", DngFacts("RGGB", 0.0, 1.0, colour_matrix=_CANON, illuminant=17))
    assert tungsten.gains[2] > daylight.gains[2]
    assert tungsten.gains[0] < daylight.gains[0]


def test_adaptation_takes_white_to_white() -> None:
    assert apply(adaptation(D65, D50), D65) == pytest.approx(D50)


@pytest.mark.parametrize(
    ("neutral", "matrix", "field"),
    [
        ((0.0, 1.0, 1.0), None, "dng.as_shot_neutral"),
        (None, ((1.0, 0.0, 0.0), (1.0, 0.0, 0.0), (0.0, 0.0, 1.0)), "dng.colour_matrix"),
        (None, ((0.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)), "dng.colour_matrix"),
        ((0.01, 1.0, 1.0), None, "sensor.gains.red"),
    ],
)
def test_mistakes_are_named(neutral: Triple | None, matrix: Matrix | None, field: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        profile_from_dng("x", DngFacts("RGGB", 0.0, 1.0, as_shot_neutral=neutral, colour_matrix=matrix))
    assert caught.value.field == field

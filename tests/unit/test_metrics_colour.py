"""CIEDE2000 and colour cast, held to colour-science and to published values."""

import sys
import warnings
from importlib import import_module
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from autoisp_isp.metrics import ciede2000, colour_cast, delta_e2000
from autoisp_isp.metrics.colour import lab_of
from autoisp_isp.metrics.picture import pixels_of
from autoisp_testing.scenes import moving_scene

Labs = npt.NDArray[np.float64]


@pytest.fixture(scope="module")
def colour() -> Any:
    """colour-science. It leaves a stand-in for a missing matplotlib behind, on which others stumble."""
    known = set(sys.modules)
    with warnings.catch_warnings(action="ignore"):
        module = import_module("colour")
    for name in set(sys.modules) - known:
        if name.partition(".")[0] == "matplotlib":
            del sys.modules[name]
    return module


def lab_by(colour: Any, srgb: npt.NDArray[np.float32]) -> Labs:
    """With the matrix that follows from the primaries; the standard prints four digits of it."""
    space = colour.RGB_COLOURSPACES["sRGB"].copy()
    space.use_derived_matrix_RGB_to_XYZ = True
    xyz = colour.RGB_to_XYZ(srgb.astype(np.float64), space, apply_cctf_decoding=True)
    return np.asarray(colour.XYZ_to_Lab(xyz))


def test_lab_agrees_with_colour_science(colour: Any) -> None:
    srgb = np.random.default_rng(1).uniform(0, 1, (61, 50, 3)).astype(np.float32)
    srgb[0, :4] = [[0, 0, 0], [1, 1, 1], [0.04, 0.041, 0.0404], [0.002, 0.001, 0.01]]
    ours = lab_of(srgb)
    np.testing.assert_allclose(ours, lab_by(colour, srgb), atol=3e-4)
    assert np.abs(lab_of(np.full((1, 1, 3), 0.5, np.float32))[..., 1:]).max() < 1e-3


def lab_pairs() -> tuple[Labs, Labs]:
    """All over the solid, near each other and far apart, with greys and opposite hues among them."""
    source = np.random.default_rng(2)
    lab = source.uniform([0, -120, -120], [100, 120, 120], (4000, 3))
    other = lab + source.normal(0, 1, lab.shape) * source.choice([0.01, 1, 20, 100], (4000, 1))
    lab[:200, 1:] = 0
    other[100:300, 1:] = 0
    other[300:500, 1:] = -lab[300:500, 1:] + source.normal(0, 0.1, (200, 2))
    return lab, other


def test_ciede2000_agrees_with_colour_science(colour: Any) -> None:
    lab, other = lab_pairs()
    theirs = colour.delta_E(lab, other, method="CIE 2000")
    np.testing.assert_allclose(ciede2000(lab, other), theirs, atol=1e-9)
    single = ciede2000(lab.astype(np.float32), other.astype(np.float32))
    assert single.dtype == np.float32
    # Exactly opposite hues have two means; rounding to float32 may pick the other one.
    opposite = np.sum(lab[:, 1:] * other[:, 1:], axis=1) < 0
    np.testing.assert_allclose(single[~opposite], theirs[~opposite], atol=1e-4)


@pytest.mark.parametrize(
    ("lab", "other", "difference"),
    [
        ((50, 2.6772, -79.7751), (50, 0, -82.7485), 2.0425),
        ((50, -1.3802, -84.2814), (50, 0, -82.7485), 1.0),
        ((50, 0, 0), (50, -1, 2), 2.3669),
        ((50, 2.49, -0.001), (50, -2.49, 0.0009), 7.1792),
        ((50, 2.49, -0.001), (50, -2.49, 0.0011), 7.2195),
        ((50, 2.5, 0), (73, 25, -18), 27.1492),
        ((60.2574, -34.0099, 36.2677), (60.4626, -34.1751, 39.4387), 1.2644),
        ((22.7233, 20.0904, -46.694), (23.0331, 14.973, -42.5619), 2.0373),
        ((2.0776, 0.0795, -1.135), (0.9033, -0.0636, -0.5514), 0.9082),
    ],
)
def test_ciede2000_gives_the_published_values(
    lab: tuple[float, ...], other: tuple[float, ...], difference: float
) -> None:
    """From table 1 of Sharma, Wu & Dalal 2005, with its traps: the mean hue, blue's rotation, near greys."""
    found = ciede2000(np.array(lab, np.float64), np.array(other, np.float64))
    assert float(found) == pytest.approx(difference, abs=5e-5)


def test_delta_e_of_a_frame_agrees_with_colour_science(colour: Any) -> None:
    truth = moving_scene(1, 61, 80)[0].transpose(2, 0, 1).astype(np.float32) / 255
    noise = np.random.default_rng(0).normal(0, 0.02, truth.shape)
    pair = (np.clip(0.97 * truth + noise, 0, 1).astype(np.float32), truth)
    labs = [lab_by(colour, pixels_of(picture)) for picture in pair]
    assert delta_e2000(*pair) == pytest.approx(colour.delta_E(*labs, method="CIE 2000").mean(), abs=1e-4)


def test_a_cast_is_the_mean_shift_of_a_and_b() -> None:
    grey = np.full((3, 16, 16), 0.5, np.float32)
    yellow = grey * np.array([1.0, 1.0, 0.9], np.float32)[:, None, None]
    green_magenta, blue_yellow = colour_cast(yellow, grey)
    expected = lab_of(pixels_of(yellow))[0, 0]
    assert (green_magenta, blue_yellow) == pytest.approx(tuple(expected[1:]), abs=1e-3)
    assert blue_yellow > 5
    noise = np.random.default_rng(0).normal(0, 0.02, grey.shape).astype(np.float32)
    assert np.hypot(*colour_cast(grey + noise, grey)) < 0.3

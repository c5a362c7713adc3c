"""Sensor profiles from libcamera's tuning files."""

import json
import math
from typing import Any

import numpy as np
import pytest
from autoisp_core.errors import InvalidArgumentError
from autoisp_core.noise import NoiseRange
from autoisp_core.sensor import SensorProfile
from autoisp_ingest.sensor_profiles.libcamera import profile_from_libcamera


def sections(**changes: Any) -> dict[str, Any]:
    """What a tuning file has, with changes by the part of the name after the dot; None leaves one out."""
    whole = {
        "black_level": {"black_level": 4096},
        "lux": {"reference_lux": 900},
        "noise": {"reference_constant": 0, "reference_slope": 3.67},
        "awb": {
            "modes": {"auto": {"lo": 3000, "hi": 7000}, "daylight": {"lo": 5500, "hi": 6500}},
            "ct_curve": [2500.0, 0.9, 0.4, 6000.0, 0.55, 0.7, 8000.0, 0.45, 0.8],
        },
        "agc": {"exposure_modes": {"normal": {"gain": [1.0, 4.0, 8.0]}, "long": {"gain": [1.0, 12.0]}}},
        "ccm": {
            "ccms": [
                {"ct": 7500, "ccm": [1.8, -0.6, -0.2, -0.3, 2.0, -0.7, -0.1, -0.7, 1.8]},
                {"ct": 5500, "ccm": [1.6, -0.4, -0.2, -0.5, 1.8, -0.3, -0.1, -0.9, 2.0]},
            ]
        },
    }
    return {f"rpi.{name}": section for name, section in (whole | changes).items() if section is not None}


def read(**changes: Any) -> SensorProfile:
    listed = [{name: section} for name, section in sections(**changes).items()]
    return profile_from_libcamera("imx", json.dumps({"version": 2.0, "algorithms": listed}))


def test_noise_and_levels_are_of_16_bits() -> None:
    profile = read()
    assert (profile.black_level, profile.white_level) == (4096.0, 65535.0)
    assert profile.noise_range.shot_min == pytest.approx(3.67**2 / (65535 - 4096))
    assert profile.noise_range.shot_max == pytest.approx(12 * profile.noise_range.shot_min)
    assert profile.noise_range.read_intercept == NoiseRange().read_intercept
    assert profile.test_noise is None


def test_a_constant_deviation_is_read_noise() -> None:
    """The line follows the tool's curve (a + b √x)² to a few percent of its end."""
    noise = read(noise={"reference_constant": 100, "reference_slope": 3.67}).noise_range.at(0.0)
    mean = np.linspace(0.0, 1.0, 1001)
    wanted = ((100 + 3.67 * np.sqrt(mean * 61439)) / 61439) ** 2
    line = noise.shot * mean + noise.read
    assert np.polyfit(mean, wanted, 1) == pytest.approx([noise.shot, noise.read], rel=0.01)
    assert np.abs(line - wanted).max() < 0.1 * wanted.max()


def test_gains_cover_the_temperatures_of_auto_white_balance() -> None:
    profile = read()
    assert profile.gains == pytest.approx((1 / 0.525, 1.0, 1 / 0.725))  # at 6500 K
    assert profile.red_range == pytest.approx((1 / 0.85, 1 / 0.5))  # 3000 K to 7000 K
    assert profile.blue_range == pytest.approx((1 / 0.75, 1 / (0.4 + 0.3 / 7)))


@pytest.mark.parametrize(("constant", "slope"), [(0, 1e-3), (30000, 1e-3), (0, 240), (10000, 100)])
def test_the_widest_noise_is_still_noise(constant: float, slope: float) -> None:
    profile = read(noise={"reference_constant": constant, "reference_slope": slope})
    assert SensorProfile.from_toml(profile.to_toml()) == profile
    assert all(0 < level.shot <= 1 for level in profile.evaluation_noises())


def test_the_matrix_is_that_of_daylight() -> None:
    profile = read()
    assert profile.ccm[0] == pytest.approx((1.7, -0.5, -0.2))
    assert all(math.isclose(sum(row), 1.0) for row in profile.ccm)


def test_version_1_has_the_sections_at_the_top() -> None:
    assert profile_from_libcamera("imx", json.dumps(sections())) == read()


def test_what_may_be_left_out() -> None:
    profile = read(agc=None, awb={"ct_curve": [5000, 0.6, 0.7]})
    assert profile.noise_range.shot_max == pytest.approx(16 * profile.noise_range.shot_min)
    assert profile.gains == pytest.approx((1 / 0.6, 1.0, 1 / 0.7))
    endless = {"exposure_modes": {"normal": {"gain": [1, 10**400, float("inf"), 2]}}}
    assert read(agc=endless).noise_range.shot_max == pytest.approx(2 * profile.noise_range.shot_min)
    channels = {"channels": [{"exposure_modes": {"normal": {"gain": [1, 2]}}}]}
    assert read(agc=channels).noise_range.shot_max == pytest.approx(2 * profile.noise_range.shot_min)


def test_the_profile_survives_as_toml() -> None:
    assert SensorProfile.from_toml(read().to_toml()) == read()


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"noise": None}, "libcamera.rpi.noise"),
        ({"noise": {"reference_slope": 3.0}}, "libcamera.rpi.noise.reference_constant"),
        (
            {"noise": {"reference_constant": -5, "reference_slope": 3}},
            "libcamera.rpi.noise.reference_constant",
        ),
        (
            {"noise": {"reference_constant": 1e200, "reference_slope": 3}},
            "libcamera.rpi.noise.reference_constant",
        ),
        ({"noise": {"reference_constant": 0, "reference_slope": 0}}, "libcamera.rpi.noise.reference_slope"),
        (
            {"noise": {"reference_constant": 0, "reference_slope": 1e200}},
            "libcamera.rpi.noise.reference_slope",
        ),
        (
            {"noise": {"reference_constant": 0, "reference_slope": 1e-200}},
            "libcamera.rpi.noise.reference_slope",
        ),
        ({"noise": {"reference_constant": 65000, "reference_slope": 3}}, "libcamera.rpi.noise"),
        ({"noise": []}, "libcamera.rpi.noise"),
        ({"black_level": {}}, "libcamera.rpi.black_level.black_level"),
        ({"black_level": {"black_level": 70000}}, "libcamera.rpi.black_level"),
        ({"awb": {"ct_curve": [2500, 0.9]}}, "libcamera.rpi.awb.ct_curve"),
        ({"awb": {"ct_curve": [2500, 0.9, 0.0]}}, "libcamera.rpi.awb.ct_curve"),
        ({"awb": {"ct_curve": [2500, 0.9, "x"]}}, "libcamera.rpi.awb.ct_curve"),
        ({"awb": {"modes": {"auto": {"lo": 1}}, "ct_curve": [5, 1, 1]}}, "libcamera.rpi.awb.modes.auto"),
        ({"awb": {"modes": 3, "ct_curve": []}}, "libcamera.rpi.awb.ct_curve"),
        ({"ccm": {}}, "libcamera.rpi.ccm.ccms"),
        ({"ccm": {"ccms": [{"ct": 5000, "ccm": [1.0]}]}}, "libcamera.rpi.ccm.ccms[0].ccm"),
        ({"ccm": {"ccms": [{"ct": 5000, "ccm": [0.0] * 9}]}}, "libcamera.rpi.ccm.ccms"),
        ({"awb": {"ct_curve": [5000, 0.01, 0.5]}}, "sensor.gains.red"),
    ],
)
def test_mistakes_are_named(changes: dict[str, Any], field: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        read(**changes)
    assert caught.value.field == field


@pytest.mark.parametrize(
    "text", ["{", "[]", "3", '{"algorithms": [3]}', '{"name": "mine"}', "", "[" * 100_000]
)
def test_other_files_are_refused(text: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        profile_from_libcamera("imx", text)
    assert caught.value.field == "libcamera"

"""Noise measured from footage whose noise is known."""

from collections.abc import Sequence

import numpy as np
import pytest
from autoisp_ingest.sensor_profiles.photon_transfer import (
    Blocks,
    Curve,
    Points,
    between_frames,
    black_level_of,
    fit_line,
    measure,
    within_frame,
)
from autoisp_ingest.sensor_profiles.photon_transfer.chi_square import quantile, truncated_mean
from autoisp_testing.raw_scenes import Mosaic, RawCamera, raw_footage

# Shot and read variance from a high ISO to a low one.
_LEVELS = [(0.01, 0.0005), (0.003, 5e-5), (1e-3, 1e-5), (2e-4, 2e-6)]


def static(camera: RawCamera, frames: Sequence[Mosaic]) -> Curve | None:
    parts = [
        between_frames(first, second, camera.black_level, camera.white_level)
        for first, second in zip(frames[::2], frames[1::2], strict=True)
    ]
    return measured(camera, parts)


def flat(camera: RawCamera, frames: Sequence[Mosaic]) -> Curve | None:
    return measured(camera, [within_frame(f, camera.black_level, camera.white_level) for f in frames])


def measured(camera: RawCamera, parts: list[Blocks]) -> Curve | None:
    return measure(parts, -camera.black_level / (camera.white_level - camera.black_level))


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize(("shot", "read"), _LEVELS)
@pytest.mark.parametrize(("bits", "black"), [(10, 64), (14, 1024)])
def test_static_frames_give_both_within_five_percent(
    shot: float, read: float, bits: int, black: int, seed: int
) -> None:
    """With things that move through half of the picture, and rounding to whole codes."""
    camera = RawCamera(shot, read, bits, black)
    curve = static(camera, list(raw_footage(camera, 8, seed=seed)))
    assert curve is not None
    assert curve.line.shot == pytest.approx(shot, rel=0.05)
    assert curve.line.read == pytest.approx(camera.measured_read, rel=0.05)
    assert curve.line.r_squared > 0.99


@pytest.mark.parametrize("seed", [0, 1, 2])
@pytest.mark.parametrize(("shot", "read"), _LEVELS)
def test_flat_patches_give_shot_noise_within_five_percent(shot: float, read: float, seed: int) -> None:
    """Read noise only as well as its interval says: little of a textured picture is dark and flat."""
    camera = RawCamera(shot, read, 12, 256)
    curve = flat(camera, list(raw_footage(camera, 4, seed=seed)))
    assert curve is not None
    assert curve.line.shot == pytest.approx(shot, rel=0.05)
    assert abs(curve.line.read - camera.measured_read) < max(
        0.05 * camera.measured_read, 3 * curve.line.read_interval
    )


def test_light_that_changes_is_no_motion() -> None:
    camera = RawCamera(0.003, 5e-5, 12, 256)
    curve = static(camera, list(raw_footage(camera, 8, seed=5, moving=False, drift=0.01)))
    assert curve is not None
    assert curve.line.shot == pytest.approx(0.003, rel=0.05)


def test_the_intervals_hold_what_they_promise() -> None:
    """Of 95 % intervals, at least 8 of 10 hold the truth, and none is far off."""
    camera = RawCamera(0.01, 0.0005, 12, 256)
    inside = 0
    for seed in range(10):
        footage = list(raw_footage(camera, 4, seed=seed, height=256, width=384, moving=False))
        curve = static(camera, footage)
        assert curve is not None
        off = abs(curve.line.shot - camera.shot) / curve.line.shot_interval
        assert off < 3
        inside += off < 1
    assert inside >= 8


def test_clipped_dark_frames_do_not_lower_the_read_noise() -> None:
    """Black at code 0 cuts half of the noise off: what lies there must not count."""
    camera = RawCamera(0.003, 1e-4, 12, 0)
    curve = static(camera, list(raw_footage(camera, 8, seed=3, moving=False)))
    assert curve is not None
    assert curve.line.shot == pytest.approx(0.003, rel=0.05)
    assert curve.line.read == pytest.approx(1e-4, rel=0.15)
    assert curve.points.means.min() > 0.02


def test_a_picture_of_nothing_but_detail_gives_no_curve() -> None:
    camera = RawCamera(2e-4, 1e-6, 12, 256)
    source = np.random.default_rng(0)
    detail = np.repeat(np.repeat(source.random((64, 96)), 4, axis=0), 4, axis=1)
    assert flat(camera, [camera.expose(detail, source) for _ in range(4)]) is None


def test_one_brightness_gives_no_curve() -> None:
    camera = RawCamera(0.01, 0.0005)
    source = np.random.default_rng(0)
    wall = np.full((32, 32), 0.5)
    assert static(camera, [camera.expose(wall, source) for _ in range(2)]) is None


def test_a_frame_has_the_noise_of_each_colour_apart() -> None:
    """A colour cast is no detail: colours are never mixed."""
    camera = RawCamera(0.0, 1e-4, 14, 1024)
    cast = np.tile(np.array([[0.1, 0.8], [0.5, 0.3]]), (64, 64))
    blocks = within_frame(camera.expose(cast, np.random.default_rng(0)), 1024, 16383)
    assert blocks.means.shape == (4, 8, 8)
    np.testing.assert_allclose(blocks.means.mean(axis=(1, 2)), [0.1, 0.8, 0.5, 0.3], atol=1e-3)
    assert blocks.variances.mean() == pytest.approx(1e-4, rel=0.05)
    assert blocks.structures.mean() == pytest.approx(1e-4, rel=0.1)


def test_a_slope_is_no_detail() -> None:
    camera = RawCamera(0.0, 1e-6, 14, 1024)
    slope = np.add.outer(np.linspace(0.1, 0.5, 128), np.linspace(0.0, 0.4, 128))
    blocks = within_frame(camera.expose(slope, np.random.default_rng(0)), 1024, 16383)
    assert blocks.variances.mean() == pytest.approx(camera.measured_read, rel=0.05)


def test_the_line_has_no_negative_read_noise() -> None:
    means = np.linspace(0.2, 0.8, 10)
    line = fit_line(Points(means, 0.01 * means - 1e-4, np.full(10, 1000.0)))
    assert line.read == 0.0
    assert line.shot == pytest.approx(0.01, rel=0.05)


def test_the_line_bears_outliers() -> None:
    means = np.linspace(0.05, 0.8, 20)
    variances = 0.01 * means + 5e-4
    variances[7] *= 3
    line = fit_line(Points(means, variances, np.full(20, 1e5)))
    assert (line.shot, line.read) == pytest.approx((0.01, 5e-4), rel=0.02)


def test_the_black_level_is_a_fraction_and_bears_hot_pixels() -> None:
    source = np.random.default_rng(0)
    frames = [np.clip(np.round(source.normal(63.7, 1.5, (64, 96))), 0, 1023).astype(np.uint16) for _ in "ab"]
    for frame in frames:
        frame[10, ::9] = 1023
    assert black_level_of(frames) == pytest.approx(63.7, abs=0.05)


@pytest.mark.parametrize("degrees", [7, 28, 54])
def test_the_approximated_distribution_is_chi_square(degrees: int) -> None:
    values = np.random.default_rng(0).chisquare(degrees, 400_000) / degrees
    for share in (0.1, 0.5, 0.98):
        assert quantile(share, degrees) == pytest.approx(np.quantile(values, share), rel=0.015)
    inside = values[(values > 0.5) & (values < 1.4)]
    assert truncated_mean(0.5, 1.4, degrees) == pytest.approx(inside.mean(), rel=0.005)

"""Flicker, warping error, brightness flicker and tOF on cases whose answer is known."""

import numpy as np
import pytest
from autoisp_isp.metrics import FrameMetrics
from autoisp_isp.metrics.picture import Picture
from autoisp_testing.scenes import moving_scene

_PAN = (3, 5)
_NAMES = ["flicker", "tof", "warping_error", "brightness_flicker"]


def scene(seed: int = 1, height: int = 200, width: int = 260) -> Picture:
    return (moving_scene(1, height, width, seed=seed)[0].transpose(2, 0, 1) / 255).astype(np.float32)


def pan(frames: int, still: bool = False) -> list[Picture]:
    """A window that moves over a still picture by whole pixels: 3 down and 5 right a frame."""
    world = scene()
    down, right = (0, 0) if still else _PAN
    return [
        np.ascontiguousarray(world[:, t * down : t * down + 160, t * right : t * right + 200])
        for t in range(frames)
    ]


def noise(codes: float, seed: int) -> Picture:
    return np.random.default_rng(seed).normal(0, codes / 255, (3, 160, 200)).astype(np.float32)


def last_values(
    pictures: list[Picture], truths: list[Picture] | None, names: list[str] = _NAMES
) -> dict[str, float]:
    with FrameMetrics(names) as metrics:
        for index, picture in enumerate(pictures):
            values = metrics.measure(picture, truths[index] if truths else None)
    return values


@pytest.mark.parametrize("codes", [1.0, 4.0])
def test_new_noise_on_a_static_clip_flickers_by_root_two(codes: float) -> None:
    truths = pan(2, still=True)
    pictures = [truth + noise(codes, index) for index, truth in enumerate(truths)]
    values = last_values(pictures, truths)
    assert values["flicker"] == pytest.approx(np.sqrt(2) * codes, rel=0.01)
    assert values["warping_error"] == pytest.approx(np.sqrt(2) * codes, rel=0.01)


def test_noise_that_stays_does_not_flicker() -> None:
    truths = pan(2, still=True)
    values = last_values([truth + noise(4.0, 0) for truth in truths], truths)
    assert values["flicker"] == pytest.approx(0.0, abs=0.01)
    assert values["warping_error"] == pytest.approx(0.0, abs=0.01)
    assert values["tof"] == pytest.approx(0.0, abs=0.01)


def test_only_what_stands_still_counts_for_flicker() -> None:
    truths = pan(2, still=True)
    truths[1][:, :, 100:] = truths[1][:, :, 90:190]  # the right half moves
    pictures = [truth.copy() for truth in truths]
    pictures[1][:, :, 110:] += 0.2  # and its brightness jumps
    pictures[1][:, :, :90] += 2 / 255
    assert last_values(pictures, truths, ["flicker"])["flicker"] == pytest.approx(2.0, abs=0.1)


def test_a_change_that_the_truth_has_too_is_no_flicker() -> None:
    truths = pan(2, still=True)
    truths[1] = truths[1] + np.float32(0.8 / 255)
    values = last_values([truth + noise(1.0, 0) for truth in truths], truths, ["flicker"])
    assert values["flicker"] == pytest.approx(0.0, abs=0.01)


def test_a_pan_by_whole_pixels_has_no_warping_error() -> None:
    truths = pan(3)
    values = last_values(truths, truths)
    # What is left are the flow's hundredths of a pixel, times the steep texture.
    assert values["warping_error"] < 1.0
    assert values["tof"] == 0.0
    assert values["brightness_flicker"] == pytest.approx(0.0, abs=1e-3)
    # A look at the same frames that forgets the motion is off by far more.
    assert np.sqrt(np.mean((truths[2] - truths[1]) ** 2)) * 255 > 20


@pytest.mark.parametrize("with_truth", [True, False])
def test_noise_on_a_pan_warps_by_root_two(with_truth: bool) -> None:
    truths = pan(2)
    pictures = [truth + noise(4.0, index) for index, truth in enumerate(truths)]
    values = last_values(pictures, truths if with_truth else None)
    assert values["warping_error"] == pytest.approx(np.sqrt(2) * 4.0, rel=0.05)
    assert ("tof" in values) == with_truth


def test_brightness_that_pumps_on_a_pan_is_measured() -> None:
    truths = pan(2)
    pictures = [truths[0], truths[1] + np.float32(3 / 255)]
    for truth in (truths, None):
        assert last_values(pictures, truth)["brightness_flicker"] == pytest.approx(3.0, abs=0.1)


def test_a_picture_that_moves_by_itself_has_a_tof_of_that_length() -> None:
    """The truth stands still; the picture moves 3 down and 5 right."""
    found = last_values(pan(2), pan(2, still=True), ["tof"])["tof"]
    assert found == pytest.approx(np.hypot(*_PAN), rel=0.05)


def test_a_first_frame_and_one_after_a_cut_have_no_values() -> None:
    first, other = scene(1), scene(2)
    with FrameMetrics(_NAMES) as metrics:
        assert metrics.measure(first, first) == {}
        after_cut = metrics.measure(other, other)
        assert "warping_error" not in after_cut
        assert "tof" not in after_cut
        assert metrics.measure(other, other)["warping_error"] == pytest.approx(0.0, abs=0.01)


def test_finish_begins_another_clip() -> None:
    picture = scene()
    with FrameMetrics(["warping_error"]) as metrics:
        metrics.measure(picture)
        assert metrics.measure(picture)
        metrics.finish()
        assert metrics.measure(picture) == {}

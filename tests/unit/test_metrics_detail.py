"""Sharpness, texture and noise: cases whose answer is known."""

import cv2
import numpy as np
import pytest
from autoisp_isp.metrics.blind import blur, noise_estimate
from autoisp_isp.metrics.detail import edge_slope, flat_noise, texture_slope
from autoisp_isp.metrics.picture import Pixels, Plane, luma_of
from autoisp_testing.scenes import moving_scene


def noise(shape: tuple[int, ...], codes: float, seed: int = 0) -> Pixels:
    return np.random.default_rng(seed).normal(0, codes / 255, shape).astype(np.float32)


@pytest.fixture
def scene() -> Pixels:
    return moving_scene(1, 160, 200, seed=5)[0].astype(np.float32) / 255


@pytest.fixture
def luma(scene: Pixels) -> Plane:
    return luma_of(scene)


def fine_texture() -> Plane:
    return 0.5 + noise((160, 200), 8)


def test_an_equal_picture_has_all_its_contrast(luma: Plane) -> None:
    assert edge_slope(luma, luma) == pytest.approx(1.0)
    assert texture_slope(fine_texture(), fine_texture()) == pytest.approx(1.0)


def test_half_the_contrast_is_half_the_slope(luma: Plane) -> None:
    assert edge_slope(0.5 * luma + 0.2, luma) == pytest.approx(0.5, abs=1e-4)
    texture = fine_texture()
    assert texture_slope(0.5 * texture + 0.2, texture) == pytest.approx(0.5, abs=1e-4)


def test_a_blurred_edge_loses_what_theory_says() -> None:
    """The gradient of a step of width s is a Gaussian, blurred by b one of √(s² + b²); the regression of one
    onto the other is √2 s / √(2 s² + b²)."""
    across = np.arange(200, dtype=np.float32) - 100
    sharp, further = 2.0, 3.0
    step = np.tile(np.cumsum(np.exp(-(across**2) / (2 * sharp**2))), (120, 1)).astype(np.float32)
    step = 0.1 + 0.8 * step / step.max()
    soft = cv2.GaussianBlur(step, (0, 0), further)
    expected = np.sqrt(2) * sharp / np.sqrt(2 * sharp**2 + further**2)
    assert edge_slope(soft, step) == pytest.approx(expected, abs=0.03)


def test_noise_is_neither_sharpness_nor_texture(luma: Plane) -> None:
    assert edge_slope(luma + noise(luma.shape, 10), luma) == pytest.approx(1.0, abs=0.02)
    texture = fine_texture()
    assert texture_slope(texture + noise(luma.shape, 10, seed=9), texture) == pytest.approx(1.0, abs=0.03)


def test_oversharpening_is_more_than_one(luma: Plane) -> None:
    sharpened = 2 * luma - cv2.GaussianBlur(luma, (0, 0), 1.5)
    slope = edge_slope(sharpened, luma)
    assert slope is not None
    assert slope > 1.1


def test_texture_that_a_denoiser_smooths_away_is_missed() -> None:
    texture = fine_texture()
    slope = texture_slope(cv2.GaussianBlur(texture, (0, 0), 1.5), texture)
    assert slope is not None
    assert slope < 0.3


def test_a_flat_truth_has_neither_edges_nor_texture() -> None:
    flat = np.full((64, 64), 0.5, np.float32)
    assert edge_slope(flat, flat) is None
    assert texture_slope(flat, flat) is None


@pytest.mark.parametrize("codes", [0.5, 3.0, 12.0])
def test_noise_on_flat_areas_is_found_and_edges_do_not_count(codes: float) -> None:
    truth = np.full((160, 200, 3), 0.4, np.float32)
    truth[:, 100:] = 0.6
    picture = truth + noise(truth.shape, codes)
    picture[:, 98:102] += 0.1  # an error at the edge, where nothing is flat
    picture[:, :64] += 0.05  # a wrong tone isn't noise
    found = flat_noise(picture, truth, luma_of(truth))
    assert found == pytest.approx(codes, rel=0.05)


def test_blotches_are_noise_too() -> None:
    truth = np.full((160, 192, 3), 0.5, np.float32)
    blotches = cv2.GaussianBlur(noise(truth.shape, 40), (0, 0), 3)
    found = flat_noise(truth + blotches, truth, luma_of(truth))
    assert found == pytest.approx(float(np.std(blotches)) * 255, rel=0.15)


def test_without_flat_areas_there_is_no_noise_on_them(scene: Pixels) -> None:
    busy = np.clip(scene + noise(scene.shape, 30), 0, 1)
    assert flat_noise(busy, busy, luma_of(busy)) is None
    small = np.full((31, 200, 3), 0.5, np.float32)
    assert flat_noise(small, small, luma_of(small)) is None


@pytest.mark.parametrize("codes", [1.0, 4.0, 16.0])
def test_noise_is_estimated_without_a_truth(codes: float) -> None:
    flat = np.full((160, 200, 3), 0.5, np.float32) + noise((160, 200, 3), codes)
    assert noise_estimate(flat, luma_of(flat)) == pytest.approx(codes, rel=0.03)
    slope = np.linspace(0.2, 0.8, 200, dtype=np.float32)[None, :, None] + noise((160, 200, 3), codes)
    assert noise_estimate(slope, luma_of(slope)) == pytest.approx(codes, rel=0.03)


def test_noise_of_a_constant_picture_is_none_at_all() -> None:
    flat = np.full((16, 16, 3), 0.5, np.float32)
    assert noise_estimate(flat, luma_of(flat)) == 0.0


def test_blur_grows_with_blur(luma: Plane) -> None:
    found = [blur(cv2.GaussianBlur(luma, (0, 0), sigma) if sigma else luma) for sigma in (0, 1, 2, 4)]
    assert found == sorted(found, key=lambda value: value or 0.0)
    assert blur(np.full((16, 16), 0.5, np.float32)) is None

"""Which regions of a picture are shown, and how."""

import cv2
import numpy as np
import pytest
from autoisp_isp.crops import cut, noisy_picture, png, telling_region, worst_region

_GREY = np.full((3, 60, 80), 0.5, np.float32)


def test_the_region_with_most_detail_is_found() -> None:
    truth = _GREY.copy()
    truth[:, 30:50:2, 40:70] = 1.0
    top, left, height, width = telling_region(truth, 32)
    assert (height, width) == (32, 32)
    assert 18 <= top <= 30
    assert 36 <= left <= 44
    assert telling_region(truth, 500) == (0, 0, 60, 80)


@pytest.mark.parametrize("row", [0, 25, 59])
@pytest.mark.parametrize("column", [0, 40, 79])
def test_the_worst_place_is_shown_also_at_borders(row: int, column: int) -> None:
    picture = _GREY.copy()
    picture[0, 30, 20] = 0.6  # a smaller error elsewhere
    picture[1, row, column] = 1.0

    top, left, height, width = region = worst_region(picture, _GREY, 16)

    assert (height, width) == (16, 16)
    assert 0 <= top <= 60 - 16
    assert 0 <= left <= 80 - 16
    assert top <= row < top + 16
    assert left <= column < left + 16
    assert cut(picture, region).max() == 1.0


def test_a_picture_smaller_than_the_region_is_shown_whole() -> None:
    assert worst_region(_GREY, _GREY, 144) == (0, 0, 60, 80)
    assert worst_region(_GREY, _GREY, 70) == (0, 0, 60, 70)


def test_what_is_cut_is_a_copy() -> None:
    picture = _GREY.copy()
    kept = cut(picture, (10, 20, 5, 6))
    picture[:] = 0.0

    assert np.array_equal(kept, _GREY[:, 10:15, 20:26])


def test_a_picture_is_kept_pixel_by_pixel_in_range() -> None:
    picture = np.zeros((3, 2, 2), np.float32)
    picture[0, 0, 1] = 2.0  # red, too bright

    decoded = cv2.imdecode(np.frombuffer(png(picture), np.uint8), cv2.IMREAD_COLOR)

    assert decoded is not None
    assert decoded.shape == (2, 2, 3)
    assert tuple(decoded[0, 1]) == (0, 0, 255)
    assert decoded.sum() == 255


def test_raw_is_shown_with_its_noise_and_in_the_truths_order_of_colours() -> None:
    plane = np.full((4, 16, 24), 0.05, np.float32)
    plane[0] = 0.5  # red
    plane[1:3] += np.random.default_rng(1).normal(0, 0.01, (2, 16, 24)).astype(np.float32)

    picture = noisy_picture(plane, np.ones(3, np.float32), np.eye(3, dtype=np.float32))

    assert picture.shape == (3, 32, 48)
    assert picture[0].mean() > 2 * picture[2].mean()
    assert picture[1].std() > 0.005
    assert 0.0 <= picture.min() <= picture.max() <= 1.0

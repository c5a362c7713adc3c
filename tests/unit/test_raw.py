"""Bayer conventions, pinned against OpenCV, kornia and plain indexing."""

import cv2
import kornia.color
import numpy as np
import pytest
import torch
from autoisp_core.errors import InvalidArgumentError
from autoisp_core.sensor import CFA_TILES
from autoisp_isp.raw import (
    KORNIA_CFA,
    OPENCV_EDGE_AWARE,
    bayer_crop,
    bayer_flip,
    even_crop,
    mosaic_of,
    normalise,
    pack,
    red_offset,
    to_rggb,
    unpack,
)

_COLOUR = {"R": 0, "G": 1, "B": 2}


def _flat_mosaic(cfa: str, colour: tuple[float, float, float], size: int = 16) -> torch.Tensor:
    """A mosaic of one colour, written from the tile letter by letter."""
    mosaic = torch.empty(size, size)
    for position, letter in enumerate(cfa):
        mosaic[position // 2 :: 2, position % 2 :: 2] = colour[_COLOUR[letter]]
    return mosaic


@pytest.mark.parametrize("cfa", CFA_TILES)
def test_opencv_and_kornia_codes_mean_our_tiles(cfa: str) -> None:
    colour = (0.8, 0.5, 0.2)
    mosaic = _flat_mosaic(cfa, colour)
    codes = (mosaic.numpy() * 65535).astype(np.uint16)
    bgr = cv2.demosaicing(codes, OPENCV_EDGE_AWARE[cfa])[8, 8] / 65535.0
    assert bgr[::-1] == pytest.approx(colour, abs=1e-3)
    rgb = kornia.color.raw_to_rgb(mosaic[None, None], kornia.color.CFA[KORNIA_CFA[cfa]])[0, :, 8, 8]
    assert rgb.tolist() == pytest.approx(colour, abs=1e-5)


@pytest.mark.parametrize("cfa", CFA_TILES)
@pytest.mark.parametrize("size", [(9, 12), (10, 11), (8, 8)])
def test_every_tile_packs_to_r_g_g_b(cfa: str, size: tuple[int, int]) -> None:
    mosaic = _flat_mosaic(cfa, (0.8, 0.5, 0.2))[: size[0], : size[1]]
    planes = pack(mosaic, cfa)
    for plane, value in enumerate((0.8, 0.5, 0.5, 0.2)):
        assert torch.all(planes[plane] == value)


def test_pack_and_unpack_are_inverse() -> None:
    mosaic = torch.rand(2, 3, 8, 10)
    assert torch.equal(unpack(pack(mosaic)), mosaic)
    assert pack(mosaic).shape == (2, 3, 4, 4, 5)


def test_mosaic_of_samples_the_picture() -> None:
    rgb = torch.rand(3, 6, 8)
    planes = mosaic_of(rgb)
    assert planes[0, 1, 2] == rgb[0, 2, 4]
    assert planes[1, 1, 2] == rgb[1, 2, 5]
    assert planes[2, 1, 2] == rgb[1, 3, 4]
    assert planes[3, 1, 2] == rgb[2, 3, 5]


@pytest.mark.parametrize("cfa", CFA_TILES)
def test_flips_and_crops_keep_the_phase(cfa: str) -> None:
    mosaic = _flat_mosaic(cfa, (0.8, 0.5, 0.2))
    assert torch.equal(bayer_flip(mosaic, vertical=True), mosaic)
    assert torch.equal(bayer_flip(mosaic, horizontal=True), mosaic)
    assert torch.equal(bayer_crop(mosaic, 2, 4, 6, 8), mosaic[:6, :8])
    with pytest.raises(InvalidArgumentError):
        bayer_crop(mosaic, 1, 0, 4, 4)


def test_flip_mirrors_the_content() -> None:
    mosaic = torch.arange(8.0).expand(4, 8)
    assert bayer_flip(mosaic, horizontal=True)[0].tolist() == [6, 5, 4, 3, 2, 1, 0, 1]


def test_normalise_keeps_noise_below_black_and_clips_white() -> None:
    codes = np.array([[0, 64, 1023, 2000]], np.uint16)
    assert normalise(codes, 64, 1023)[0].tolist() == pytest.approx([-64 / 959, 0.0, 1.0, 1.0])


def test_odd_sizes_lose_their_last_row_and_column() -> None:
    assert even_crop(np.zeros((5, 7, 3), np.uint8)).shape == (4, 6, 3)
    assert to_rggb(torch.zeros(5, 7), "BGGR").shape == (4, 6)


def test_wrong_tile_and_planes_are_refused() -> None:
    with pytest.raises(InvalidArgumentError):
        red_offset("RGBG")
    with pytest.raises(InvalidArgumentError):
        unpack(torch.zeros(3, 4, 4))

"""Metrics held to other people's implementations of the same definitions."""

from fractions import Fraction

import av
import av.filter
import numpy as np
import pytest
import torch
from autoisp_isp.metrics import ms_ssim, psnr, ssim_ffmpeg, vif
from autoisp_isp.metrics.blind import blur
from autoisp_isp.metrics.picture import Picture, luma_of, pixels_of
from autoisp_testing.scenes import moving_scene
from skimage.measure import blur_effect
from torchmetrics.functional.image import (
    multiscale_structural_similarity_index_measure,
    structural_similarity_index_measure,
    visual_information_fidelity,
)

Pair = tuple[Picture, Picture]
_WEIGHTS = (0.0448, 0.2856, 0.3001, 0.2363, 0.1333)


def noisy_pair(height: int, width: int, deviation: float = 0.03) -> Pair:
    """A picture with noise and a wrong tone, and its truth; both hold 8-bit codes, as ffmpeg sees them."""
    truth = moving_scene(1, height, width, seed=3)[0].transpose(2, 0, 1).astype(np.float32) / 255
    noise = np.random.default_rng(0).normal(0, deviation, truth.shape)
    picture = np.clip(0.97 * truth + 0.01 + noise, 0, 1)
    return (np.rint(picture * 255) / 255).astype(np.float32), truth


@pytest.fixture
def pair() -> Pair:
    return noisy_pair(183, 210)


def ffmpeg_says(name: str, pair: Pair) -> dict[str, str]:
    """What ffmpeg's filter writes into the frame's metadata, for planar RGB."""
    graph = av.filter.Graph()
    height, width = pair[0].shape[1:]
    sources = [
        graph.add_buffer(width=width, height=height, format=av.VideoFormat("gbrp"), time_base=Fraction(1, 25))
        for _ in pair
    ]
    judge, sink = graph.add(name), graph.add("buffersink")
    for place, source in enumerate(sources):
        source.link_to(judge, 0, place)
    judge.link_to(sink)
    graph.configure()
    for source, picture in zip(sources, pair, strict=True):
        codes = np.rint(picture.transpose(1, 2, 0) * 255).astype(np.uint8)
        frame = av.VideoFrame.from_ndarray(codes, format="rgb24").reformat(format="gbrp")
        frame.pts, frame.time_base = 0, Fraction(1, 25)
        source.push(frame)
    for source in sources:
        source.push(None)
    return dict(graph.pull().metadata)


def test_psnr_is_that_of_ffmpeg(pair: Pair) -> None:
    assert psnr(*pair) == pytest.approx(float(ffmpeg_says("psnr", pair)["lavfi.psnr.psnr_avg"]), abs=1e-3)


@pytest.mark.parametrize("size", [(183, 210), (64, 67)])
def test_ssim_in_blocks_is_that_of_ffmpeg(size: tuple[int, int]) -> None:
    pair = noisy_pair(*size)
    assert ssim_ffmpeg(*pair) == pytest.approx(float(ffmpeg_says("ssim", pair)["lavfi.ssim.All"]), abs=1e-4)


def test_ms_ssim_agrees_with_torchmetrics_at_each_scale(pair: Pair) -> None:
    x, y = (torch.from_numpy(picture)[None].double() for picture in pair)
    product = 1.0
    for scale, weight in enumerate(_WEIGHTS):
        if scale:
            x, y = (torch.nn.functional.avg_pool2d(tensor, 2) for tensor in (x, y))
        _, whole = structural_similarity_index_measure(x, y, data_range=1.0, return_full_image=True)
        _, structure = structural_similarity_index_measure(
            x, y, data_range=1.0, return_contrast_sensitivity=True
        )
        last = scale == len(_WEIGHTS) - 1
        product *= float(whole[..., 5:-5, 5:-5].mean() if last else structure.mean()) ** weight
    assert ms_ssim(*pair) == pytest.approx(product, abs=1e-5)


def test_ms_ssim_is_near_torchmetrics_whose_last_scale_takes_in_the_border(pair: Pair) -> None:
    theirs = multiscale_structural_similarity_index_measure(
        *(torch.from_numpy(picture)[None] for picture in pair), data_range=1.0
    )
    assert ms_ssim(*pair) == pytest.approx(float(theirs), abs=0.01)


@pytest.mark.parametrize("deviation", [0.005, 0.03, 0.15])
def test_vif_agrees_with_torchmetrics(deviation: float) -> None:
    pair = noisy_pair(120, 151, deviation)
    lumas = (torch.from_numpy(255 * luma_of(pixels_of(picture)))[None, None].double() for picture in pair)
    assert vif(*pair) == pytest.approx(float(visual_information_fidelity(*lumas)), abs=1e-4)


def test_blur_agrees_with_scikit_image(pair: Pair) -> None:
    luma = luma_of(pixels_of(pair[0]))
    assert blur(luma) == pytest.approx(blur_effect(luma), abs=1e-4)

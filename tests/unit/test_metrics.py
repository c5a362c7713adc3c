"""PSNR and SSIM, held to scikit-image and torchmetrics."""

import numpy as np
import numpy.typing as npt
import pytest
import torch
from autoisp_core.errors import InvalidArgumentError
from autoisp_isp.metrics import psnr, ssim
from autoisp_testing.scenes import moving_scene
from skimage.metrics import peak_signal_noise_ratio, structural_similarity
from torchmetrics.functional.image import (
    peak_signal_noise_ratio as torch_psnr,
)
from torchmetrics.functional.image import (
    structural_similarity_index_measure as torch_ssim,
)

Pair = tuple[npt.NDArray[np.float32], npt.NDArray[np.float32]]


@pytest.fixture(params=[0.01, 0.1])
def pair(request: pytest.FixtureRequest) -> Pair:
    truth = moving_scene(1, 61, 80)[0].transpose(2, 0, 1).astype(np.float32) / 255
    noise = np.random.default_rng(0).normal(0, request.param, truth.shape)
    return np.clip(truth + noise, 0, 1).astype(np.float32), truth


def test_psnr_agrees(pair: Pair) -> None:
    picture, truth = pair
    ours = psnr(picture, truth)
    assert ours == pytest.approx(peak_signal_noise_ratio(truth, picture, data_range=1.0), abs=1e-3)
    theirs = torch_psnr(torch.from_numpy(picture), torch.from_numpy(truth), data_range=1.0)
    assert ours == pytest.approx(float(theirs), abs=1e-3)


def test_ssim_agrees(pair: Pair) -> None:
    picture, truth = pair
    ours = ssim(picture, truth)
    reference = structural_similarity(
        picture.transpose(1, 2, 0),
        truth.transpose(1, 2, 0),
        data_range=1.0,
        channel_axis=2,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
    )
    assert ours == pytest.approx(float(reference), abs=1e-4)
    # torchmetrics' mean takes in the border, where its window is padded; its map agrees inside.
    _, full = torch_ssim(
        torch.from_numpy(picture)[None], torch.from_numpy(truth)[None], data_range=1.0, return_full_image=True
    )
    assert ours == pytest.approx(float(full[..., 5:-5, 5:-5].mean()), abs=1e-4)


def test_equal_pictures_have_finite_best_values() -> None:
    picture = np.full((3, 16, 16), 0.5, np.float32)
    assert psnr(picture, picture) == 99.0
    assert ssim(picture, picture) == pytest.approx(1.0)


def test_wrong_shapes_are_refused() -> None:
    with pytest.raises(InvalidArgumentError):
        psnr(np.zeros((3, 8, 8), np.float32), np.zeros((3, 8, 9), np.float32))
    with pytest.raises(InvalidArgumentError):
        ssim(np.zeros((3, 8, 8), np.float32), np.zeros((3, 8, 8), np.float32))

"""Synthetic raw: the way back and forth, the noise's statistics, and who sees the same noise."""

import numpy as np
import pytest
import torch
from autoisp_core.errors import InvalidArgumentError
from autoisp_core.sensor import Noise, SensorProfile, builtin
from autoisp_isp.colour import apply_ccm, linear_from_srgb, process, srgb_from_linear, unprocess
from autoisp_isp.synthesis import RawClip, add_noise, frame_seed, to_tensor, window_indices
from autoisp_testing.scenes import moving_scene

_NOISE = Noise(0.01, 0.0005)


def test_srgb_curve_is_the_standard_one() -> None:
    # IEC 61966-2-1: 50 % grey, the join of both branches, and the ends.
    assert float(srgb_from_linear(torch.tensor(0.21404114))) == pytest.approx(0.5, abs=1e-6)
    assert float(linear_from_srgb(torch.tensor(0.04045))) == pytest.approx(0.0031308, abs=1e-7)
    ramp = torch.linspace(0, 1, 256)
    assert torch.allclose(srgb_from_linear(linear_from_srgb(ramp)), ramp, atol=1e-6)


def test_ccm_rows_give_the_output_channels() -> None:
    ccm = torch.tensor([[1.5, -0.5, 0.0], [0.0, 1.0, 0.0], [0.0, -0.2, 1.2]])
    red = torch.zeros(3, 2, 2)
    red[1] = 1.0
    assert apply_ccm(red, ccm)[:, 0, 0].tolist() == pytest.approx([-0.5, 1.0, -0.2])
    batch = apply_ccm(red.expand(2, 3, 2, 2), ccm.expand(2, 3, 3))
    assert torch.equal(batch[1], apply_ccm(red, ccm))


@pytest.mark.parametrize("sensor", [builtin("phone"), builtin("phone").with_identity_ccm()])
def test_unprocess_then_process_is_consistent(sensor: SensorProfile) -> None:
    gains, ccm = torch.tensor(sensor.gains), torch.tensor(sensor.ccm)
    srgb = torch.from_numpy(moving_scene(1, 32, 32)[0]).permute(2, 0, 1) / 255.0
    camera = unprocess(srgb, gains, ccm)
    assert float(camera.min()) >= 0.0
    assert float(camera.max()) <= 1.0
    truth = process(camera, gains, ccm)
    assert torch.allclose(process(unprocess(truth, gains, ccm), gains, ccm), truth, atol=2e-5)
    if sensor.has_identity_ccm:
        assert torch.allclose(truth, srgb, atol=1e-6)


def test_noise_has_the_stated_variance_and_keeps_its_negatives() -> None:
    for level in (0.0, 0.1, 0.5):
        clean = torch.full((400, 400), level)
        noisy = add_noise(clean, _NOISE, torch.Generator().manual_seed(1))
        assert float(noisy.mean()) == pytest.approx(level, abs=1e-3)
        assert float(noisy.var()) == pytest.approx(_NOISE.shot * level + _NOISE.read, rel=0.03)
    assert float(add_noise(torch.zeros(99), _NOISE, torch.Generator().manual_seed(1)).min()) < 0
    assert float(add_noise(torch.ones(99), _NOISE, torch.Generator().manual_seed(1)).max()) == 1.0


def test_noise_belongs_to_the_frame_and_not_to_the_window() -> None:
    clip = RawClip(moving_scene(5), builtin("phone"), "digest", 7)
    first, second = clip.sample(3, 3, _NOISE), clip.sample(4, 3, _NOISE)
    assert torch.equal(first.raw[1:], second.raw[:-1])
    assert torch.equal(clip.sample(4, 1, _NOISE).raw[0], second.raw[-1])
    assert first.truth.shape == (3, 64, 96)
    assert first.raw.shape == (3, 4, 32, 48)


@pytest.mark.parametrize(("digest", "seed"), [("other", 7), ("digest", 8)])
def test_another_clip_or_seed_has_another_noise(digest: str, seed: int) -> None:
    frames = moving_scene(1)
    same = RawClip(frames, builtin("phone"), "digest", 7).noisy(0, _NOISE)
    assert not torch.equal(RawClip(frames, builtin("phone"), digest, seed).noisy(0, _NOISE), same)
    assert frame_seed("digest", 0, 7) == frame_seed("digest", 0, 7) < 2**63


def test_window_repeats_the_first_frame_before_the_start() -> None:
    assert window_indices(0, 3) == [0, 0, 0]
    assert window_indices(5, 5) == [1, 2, 3, 4, 5]
    clip = RawClip(moving_scene(3), builtin("phone"), "d", 0)
    raw = clip.sample(0, 3, _NOISE).raw
    assert torch.equal(raw[0], raw[2])


def test_odd_frames_are_cropped_and_an_empty_clip_is_refused() -> None:
    sample = RawClip(moving_scene(1, 33, 35), builtin("phone"), "d", 0).sample(0, 1, _NOISE)
    assert sample.truth.shape == (3, 32, 34)
    with pytest.raises(InvalidArgumentError):
        RawClip(np.zeros((0, 4, 4, 3), np.uint8), builtin("phone"), "d", 0)


def test_frames_of_8_and_16_bits_span_the_same_range() -> None:
    frame = np.arange(256, dtype=np.uint8).reshape(8, 32, 1).repeat(3, 2)
    torch.testing.assert_close(to_tensor(frame.astype(np.uint16) * np.uint16(257)), to_tensor(frame))

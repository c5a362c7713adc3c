"""Other scenes than those filmed: colours that footage lacks, and nothing else changed."""

from __future__ import annotations

import numpy as np
import torch
from autoisp_core.sensor import Noise, builtin
from autoisp_isp.scene_draws import draw_scenes, in_other_light
from autoisp_isp.training_set import TrainingSet
from autoisp_testing.scenes import moving_scene

_EYE = torch.eye(3)


def test_draws_repeat_and_leave_a_part_as_it_was_filmed() -> None:
    scenes = draw_scenes(np.random.default_rng(3), 2000)
    assert torch.equal(scenes, draw_scenes(np.random.default_rng(3), 2000))
    untouched = (scenes == _EYE).all((1, 2)).float().mean().item()
    assert 0.15 < untouched < 0.25


def test_grey_stays_grey_and_only_its_exposure_changes() -> None:
    grey = draw_scenes(np.random.default_rng(4), 500) @ torch.full((3, 1), 0.3)
    assert torch.allclose(grey.amax(1), grey.amin(1), atol=1e-6)
    exposures = grey[:, 0, 0] / 0.3
    assert exposures.min() >= np.exp(-1.2) - 1e-6
    assert exposures.max() <= np.exp(0.4) + 1e-5
    assert exposures.min() < 0.4
    assert exposures.max() > 1.3


def test_every_exchange_of_primaries_comes_up() -> None:
    scenes = draw_scenes(np.random.default_rng(5), 500)
    strongest = {tuple(scene.argmax(1).tolist()) for scene in scenes}
    assert len(strongest) >= 6


def test_all_frames_of_a_patch_see_one_light_and_what_leaves_the_range_is_clipped() -> None:
    linear = torch.rand(2, 3, 3, 4, 6, generator=torch.Generator().manual_seed(0))
    scenes = torch.stack([_EYE, 2.0 * _EYE[[2, 0, 1]]])
    seen = in_other_light(linear, scenes)
    assert torch.equal(seen[0], linear[0])
    assert torch.allclose(seen[1], (2.0 * linear[1][:, [2, 0, 1]]).clamp(0, 1))


def test_grey_footage_trains_on_colours() -> None:
    frames = np.repeat(moving_scene(3, 64, 64).mean(-1, keepdims=True), 3, -1).astype(np.uint8)
    frames[..., 2] //= 2  # a tinge to take away or to strengthen
    quiet = builtin("phone").with_identity_ccm().with_test_noise(Noise(0.0, 0.0))
    truth = TrainingSet([("grey", frames)], quiet).batch(0, seed=0, size=32, patch=16, frames=2).truth
    tinge = truth.mean((2, 3))
    assert len({tuple(colours.argsort().tolist()) for colours in tinge}) >= 3

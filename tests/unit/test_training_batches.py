"""Batches: what is used again and what is not, the noise's statistics, stills among clips, parts."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from autoisp_core.sensor import Noise, builtin
from autoisp_isp.noise_table import normal_stretch
from autoisp_isp.patches import NUMBERS, PatchSampler
from autoisp_isp.training_set import EPOCH, MIXED, USES, Batch, TrainingSet
from autoisp_testing.scenes import moving_scene

_NOISE = Noise(0.01, 0.0005)
_SENSOR = builtin("phone").with_identity_ccm().with_test_noise(_NOISE)
_SIZE, _PATCH = 4, 16
_CPU = torch.device("cpu")


def _batch(footage: TrainingSet, step: int, frames: int = 2, **options: slice) -> Batch:
    return footage.batch(step, seed=1, size=_SIZE, patch=_PATCH, frames=frames, **options)


@pytest.fixture(scope="module")
def footage() -> TrainingSet:
    return TrainingSet([("a", moving_scene(6, 64, 96)), ("b", moving_scene(4, 80, 64, seed=1))], _SENSOR)


def test_batches_do_not_depend_on_those_asked_for_before(footage: TrainingSet) -> None:
    fresh = TrainingSet([("a", moving_scene(6, 64, 96)), ("b", moving_scene(4, 80, 64, seed=1))], _SENSOR)
    steps = (0, EPOCH + 3, 5, EPOCH - 1, EPOCH)
    ours = {step: _batch(footage, step) for step in steps}
    for step in reversed(steps):
        theirs = _batch(fresh, step)
        assert torch.equal(theirs.raw, ours[step].raw)
        assert torch.equal(theirs.truth, ours[step].truth)


def test_each_patch_is_used_equally_often_with_other_noise_and_neighbours(footage: TrainingSet) -> None:
    seen: dict[bytes, list[bytes]] = {}
    neighbours: dict[bytes, set[bytes]] = {}
    for step in range(EPOCH):
        batch = _batch(footage, step)
        names = [truth.numpy().tobytes() for truth in batch.truth]
        for name, raw in zip(names, batch.raw, strict=True):
            seen.setdefault(name, []).append(raw.numpy().tobytes())
            neighbours.setdefault(name, set()).update(names)
    assert len(seen) == MIXED * _SIZE
    assert all(len(raws) == len(set(raws)) == USES for raws in seen.values())
    assert np.mean([len(names) for names in neighbours.values()]) > _SIZE + 1
    after = {
        truth.numpy().tobytes() for step in range(EPOCH, 2 * EPOCH) for truth in _batch(footage, step).truth
    }
    assert not after & seen.keys()


@pytest.mark.parametrize("count", [2, 4])
def test_parts_make_up_the_whole_batch(footage: TrainingSet, count: int) -> None:
    own = _SIZE // count
    for step in (0, 7, EPOCH + 1):
        whole = _batch(footage, step)
        parts = [_batch(footage, step, part=slice(rank * own, (rank + 1) * own)) for rank in range(count)]
        for name in ("raw", "truth", "gains", "ccm", "noise"):
            joined = torch.cat([getattr(part, name) for part in parts])
            torch.testing.assert_close(joined, getattr(whole, name), atol=1e-6, rtol=0)


def test_noise_is_gaussian_with_the_stated_variance_and_independent() -> None:
    grey = np.full((5, 64, 64, 3), 128, np.uint8)
    noisy = TrainingSet([("grey", grey)], _SENSOR)
    clean = TrainingSet([("grey", grey)], _SENSOR.with_test_noise(Noise(0.0, 0.0)))
    residuals = []
    for step in range(EPOCH):
        batch, level = _batch(noisy, step, frames=3), _batch(clean, step, frames=3).raw
        shot, read = (batch.noise[:, kind, None, None, None, None] for kind in (0, 1))
        dim = level.amax((1, 2, 3, 4)) < 0.5  # where white is far, nothing is clipped
        residuals.append(((batch.raw - level) / (shot * level + read).sqrt())[dim])
    units = torch.cat(residuals)
    assert float(units.mean()) == pytest.approx(0.0, abs=0.02)
    assert float(units.var()) == pytest.approx(1.0, abs=0.02)
    assert float((units**4).mean()) == pytest.approx(3.0, abs=0.15)
    for one, other in (
        (units[:, 0], units[:, 1]),
        (units[..., 1:], units[..., :-1]),
        (units[:, :, 0], units[:, :, 3]),
        (units[1:], units[:-1]),
    ):
        assert float((one * other).mean()) == pytest.approx(0.0, abs=0.02)


def test_the_noise_table_grows_with_what_is_read_at_once() -> None:
    assert normal_stretch(1000, 3, _CPU).shape == (1000,)
    assert torch.equal(normal_stretch(1000, 3, _CPU), normal_stretch(1000, 3, _CPU))
    assert not torch.equal(normal_stretch(1000, 4, _CPU), normal_stretch(1000, 3, _CPU))
    large = normal_stretch(600_000, 2**62 + 1, _CPU)
    assert large.shape == (600_000,)
    assert len(large.unique()) > 550_000


def test_stills_get_at_most_half_of_the_patches_beside_clips() -> None:
    clips = [("a", moving_scene(4, 64, 64)), ("b", moving_scene(8, 64, 64, seed=1))]
    stills = [(f"still {seed}", moving_scene(1, 128, 128, seed=seed)) for seed in range(9)]
    few = PatchSampler(clips + stills[:1]).shares
    assert few[2] == pytest.approx(few[0])  # as many pixels, as many patches
    many = PatchSampler(clips + stills).shares
    assert many.sum() == pytest.approx(1.0)
    assert many[2:].sum() == pytest.approx(0.5)
    assert many[1] / many[0] == pytest.approx(few[1] / few[0])
    alone = PatchSampler(stills).shares
    assert alone == pytest.approx(np.full(9, 1 / 9))


def test_clips_and_stills_are_drawn_by_their_shares_and_stills_pan() -> None:
    # Each pixel's red and green say where it was, its blue which clip it is of.
    rows, columns = np.mgrid[:128, :128].astype(np.uint8)
    still = np.stack([rows, columns, np.full_like(rows, 200)], -1)[None]
    clip = np.zeros((16, 128, 128, 3), np.uint8)
    sampler = PatchSampler([("clip", clip), ("still", still)])
    patches = sampler.cut(np.random.default_rng(0).random((600, NUMBERS)), 16, 4)
    of_still = patches[:, 0, 2, 0, 0] == 200
    assert of_still.mean() == pytest.approx(sampler.shares[1], abs=0.06)
    corners = patches[of_still][:, :, :2].min((3, 4)).astype(int)
    moved = (corners[:, 1:] - corners[:, :-1]).astype(int)
    assert (np.abs(moved).max((1, 2)) > 0).mean() > 0.7, "most windows over a still move"
    assert np.abs(moved).max() > 4, "some of them fast"
    assert (np.abs(moved - moved[:, :1]) <= 1).all(), "at one speed, but for the rounding of shrunk frames"


def test_clips_and_stills_of_all_sizes_and_depths_train_together() -> None:
    footage = TrainingSet(
        [
            ("clip", moving_scene(5, 64, 96)),
            ("small", moving_scene(1, 20, 24)),
            ("deep", moving_scene(1, 96, 128, seed=2).astype(np.uint16) * np.uint16(257)),
        ],
        builtin("phone"),
    )
    for step in range(3):
        batch = _batch(footage, step, frames=5)
        assert batch.raw.shape == (_SIZE, 5, 4, _PATCH, _PATCH)
        assert torch.isfinite(batch.raw).all()
        assert 0.0 <= batch.truth.min() <= batch.truth.max() <= 1.0

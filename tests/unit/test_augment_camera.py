"""Camera operations on raw video: the Bayer phase, the truth, and what the network is told of them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from autoisp_core.sensor import Noise, SensorProfile, builtin
from autoisp_isp.augment import camera
from autoisp_isp.augment.choices import NOBODY, Choices
from autoisp_isp.augment.conditions import Conditions, camera_operations
from autoisp_isp.clean_patches import CleanPatches
from autoisp_isp.colour import process, unprocess
from autoisp_isp.raw import Frames, mosaic_of
from autoisp_isp.training_set import Batch, TrainingSet
from autoisp_testing.scenes import moving_scene

_PHONE = builtin("phone")
_QUIET = _PHONE.with_test_noise(Noise(0.0, 0.0))
_ALL = camera_operations(frames=4, identity=False)
_DEFECTS = ("hot_pixels", "row_noise")
_SIZE, _PATCH, _FRAMES = 12, 16, 4


def _choices(first: str, second: str = "flip", severity: float = 1.0, seed: int = 11) -> Choices:
    """The same two operations for every patch, both ways and everywhere."""
    source = np.random.default_rng(seed)
    return Choices(
        policies=np.zeros(_SIZE, np.int64),
        operations=np.tile([_ALL.index(first), _ALL.index(second)], (_SIZE, 1)),
        severities=np.full((_SIZE, 2), severity, np.float32),
        signs=np.where(np.arange(_SIZE)[:, None] % 2, 1.0, -1.0).repeat(2, 1).astype(np.float32),
        places=source.random((_SIZE, 2, 2), np.float32),
        seeds=np.arange(_SIZE) + seed,
    )


def _batch(frames: Frames, sensor: SensorProfile, choices: Choices | None, step: int = 0) -> Batch:
    clip = TrainingSet([("a", frames)], sensor)
    return clip.batch(step, seed=1, size=_SIZE, patch=_PATCH, frames=_FRAMES, choices=choices)


@pytest.mark.parametrize("operation", _ALL)
@pytest.mark.parametrize("noise", [Noise(0.0, 0.0), Noise(0.0, 1e-6)])
def test_the_colour_filter_keeps_its_phase_under_every_operation(operation: str, noise: Noise) -> None:
    # One colour of which every channel is far from the others, so that a plane of another colour shows.
    flat = np.full((6, 64, 64, 3), (220, 120, 30), np.uint8)
    batch = _batch(flat, _PHONE.with_test_noise(noise), _choices(operation))
    plain = _batch(flat, _PHONE.with_test_noise(noise), None)
    for patch, (raw, gains, ccm, truth) in enumerate(
        zip(batch.raw, batch.gains, batch.ccm, batch.truth, strict=True)
    ):
        expected = mosaic_of(unprocess(truth, gains, ccm))
        if operation == "ccm":  # such colours lie outside of what another matrix can show
            expected = plain.raw[patch, -1]
        # Medians, since a few pixels are stuck.
        newest, wanted = (planes.flatten(1).median(1).values for planes in (raw[-1], expected))
        torch.testing.assert_close(newest, wanted, atol=6e-3, rtol=0)
        for older in raw[:-1]:
            ratio = older.flatten(1).median(1).values / newest
            torch.testing.assert_close(ratio, ratio.mean().expand(4), atol=0.05, rtol=0)


@pytest.mark.parametrize(
    ("sensor", "operation"),
    [
        (sensor, name)
        for sensor in (_QUIET, _QUIET.with_identity_ccm())
        for name in camera_operations(frames=_FRAMES, identity=sensor.has_identity_ccm)
        if name not in (*_DEFECTS, "ccm")
    ],
)
def test_the_truth_is_what_the_newest_frame_should_be(sensor: SensorProfile, operation: str) -> None:
    clip = TrainingSet([("a", moving_scene(6, 64, 64))], sensor)
    names = clip.operations(_FRAMES)
    choices = _choices(operation)
    numbers = np.tile([names.index(operation), names.index("flip")], (_SIZE, 1))
    choices = Choices(**{**vars(choices), "operations": numbers})
    batch = clip.batch(0, seed=1, size=_SIZE, patch=_PATCH, frames=_FRAMES, choices=choices)
    shares = []
    for raw, gains, ccm, truth in zip(batch.raw, batch.gains, batch.ccm, batch.truth, strict=True):
        seen = unprocess(truth, gains, ccm)
        assert torch.allclose(process(seen, gains, ccm), truth, atol=2e-3)
        # What is clipped in the picture can't be told from it.
        shown = ((truth > 1e-3) & (truth < 0.999)).all(0).float().expand_as(truth)
        missed = (mosaic_of(seen) - raw[-1]).abs() * mosaic_of(shown)
        assert missed.max() < 5e-3
        shares.append(float(shown.mean()))
    assert np.mean(shares) > 0.5
    assert torch.allclose(batch.ccm.sum(-1), torch.ones(_SIZE, 3), atol=1e-5)


@pytest.mark.parametrize("operation", ["gain", "white_balance", "ccm", "flip"])
def test_the_truth_is_what_the_camera_makes_of_what_it_saw(operation: str) -> None:
    generator = torch.Generator().manual_seed(0)
    gains = torch.tensor([2.0, 1.0, 1.7]).repeat(_SIZE, 1)
    ccm = torch.tensor(_PHONE.ccm).repeat(_SIZE, 1, 1)
    # Greyish enough for every matrix, dark enough for every gain.
    balanced = 0.2 + 0.1 * torch.rand(_SIZE, 3, 2 * _PATCH, 2 * _PATCH, generator=generator)
    seen = balanced / gains[:, :, None, None]
    raw = mosaic_of(seen)[:, None]
    clean = CleanPatches(raw, gains, ccm, torch.zeros(_SIZE, 2), process(seen, gains, ccm))
    before = raw.clone()
    shown = camera.filmed(clean, Conditions.of(_choices(operation, "gain"), _ALL))
    for patch in range(_SIZE):
        again = unprocess(shown.truth[patch], shown.gains[patch], shown.ccm[patch])
        torch.testing.assert_close(mosaic_of(again), shown.raw[patch, 0], atol=1e-4, rtol=0)
        torch.testing.assert_close(
            process(again, shown.gains[patch], shown.ccm[patch]), shown.truth[patch], atol=1e-4, rtol=0
        )
    assert not torch.equal(shown.raw, before)


def test_the_noise_that_is_told_is_the_noise_that_is_there() -> None:
    flat = np.full((6, 96, 96, 3), 128, np.uint8)
    sensor = _PHONE.with_identity_ccm().with_test_noise(Noise(0.004, 0.0002))
    clip = TrainingSet([("a", flat)], sensor)
    names = clip.operations(_FRAMES)
    plain = clip.batch(0, seed=1, size=_SIZE, patch=32, frames=_FRAMES)
    numbers = np.tile([names.index("shot_noise"), names.index("read_noise")], (_SIZE, 1))
    choices = Choices(**{**vars(_choices("flip")), "operations": numbers})
    noisy = clip.batch(0, seed=1, size=_SIZE, patch=32, frames=_FRAMES, choices=choices)
    torch.testing.assert_close(noisy.noise, 4.0 * plain.noise)
    for batch in (plain, noisy):
        green = batch.raw[:, :, 1].flatten(1)
        told = batch.noise[:, 0] * green.mean(1) + batch.noise[:, 1]
        assert torch.allclose(green.var(1) / told, torch.ones(_SIZE), atol=0.12)


def test_gain_darkens_raw_and_is_told() -> None:
    frames = moving_scene(6, 64, 64)
    plain, gained = (_batch(frames, _QUIET, choices) for choices in (None, _choices("gain", severity=0.6)))
    factors = gained.gains / plain.gains
    up = factors[1::2]
    torch.testing.assert_close(up, torch.full_like(up, 2.0**0.9))
    # A flipped mosaic shows other pixels of the scene: the means agree nearly.
    torch.testing.assert_close(
        gained.raw[1::2, -1].mean((1, 2, 3)) * 2.0**0.9,
        plain.raw[1::2, -1].mean((1, 2, 3)),
        rtol=0.05,
        atol=0,
    )


def test_white_balance_moves_red_against_blue_with_raw_to_match() -> None:
    frames = moving_scene(6, 64, 64)
    plain, moved = (_batch(frames, _QUIET, c) for c in (None, _choices("white_balance", severity=1.0)))
    ratio = moved.gains / plain.gains
    torch.testing.assert_close(ratio[1], torch.tensor([1.3, 1.0, 1 / 1.3]))
    torch.testing.assert_close(ratio[0], torch.tensor([1 / 1.3, 1.0, 1.3]))


def test_patches_nobody_chose_for_are_as_without_augmentation() -> None:
    frames, sensor = moving_scene(6, 96, 96), _PHONE.with_test_noise(Noise(0.01, 0.0005))
    choices = _choices("gain", "shake")
    choices.policies[:] = NOBODY
    plain, same = (_batch(frames, sensor, given) for given in (None, choices))
    for name in ("raw", "truth", "gains", "ccm", "noise"):
        assert torch.equal(getattr(plain, name), getattr(same, name))
    assert plain.content is None


@pytest.mark.parametrize("operation", ["shake", "pan"])
def test_motion_moves_older_frames_only(operation: str) -> None:
    still = moving_scene(1, 160, 160).repeat(6, axis=0)
    plain, moved = (
        _batch(still, _QUIET, given, step=2) for given in (None, _choices(operation, "white_balance", 1.0))
    )
    assert torch.allclose(plain.truth, moved.truth, atol=0.02)
    older = moved.raw[:, 0] * moved.gains[:, [0, 1, 1, 2], None, None]
    newest = moved.raw[:, -1] * moved.gains[:, [0, 1, 1, 2], None, None]
    assert ((older - newest).abs().mean((1, 2, 3)) > 0.01).sum() > _SIZE / 2


def test_flicker_changes_older_frames_by_one_factor_each() -> None:
    still = moving_scene(1, 64, 64).repeat(6, axis=0)
    batch = _batch(still, _QUIET.with_identity_ccm(), None)
    flicker = Choices(
        **{**vars(_choices("flip")), "operations": np.full((_SIZE, 2), _ALL.index("flicker") - 1)}
    )
    assert camera_operations(frames=4, identity=True)[_ALL.index("flicker") - 1] == "flicker"
    changed = _batch(still, _QUIET.with_identity_ccm(), flicker)
    assert torch.equal(changed.raw[:, -1], batch.raw[:, -1])
    dark = batch.raw[:, :-1] < 0.3  # far from clipping
    factors = (changed.raw / batch.raw.clamp_min(1e-6))[:, :-1]
    for patch in range(_SIZE):
        for frame in range(_FRAMES - 1):
            seen = factors[patch, frame][dark[patch, frame] & (batch.raw[patch, frame] > 0.01)]
            assert seen.std() < 1e-3
            assert 2.0**-0.41 < seen.mean() < 2.0**0.41
    assert factors.std() > 0.02


def test_stuck_pixels_stay_where_they_are_and_rows_shift_as_a_whole() -> None:
    grey = np.full((6, 200, 200, 3), 40, np.uint8)
    sensor = _PHONE.with_test_noise(Noise(0.0, 1e-6))
    clip = TrainingSet([("a", grey)], sensor)
    hot = clip.batch(0, seed=1, size=_SIZE, patch=96, frames=_FRAMES, choices=_choices("hot_pixels"))
    stuck = hot.raw - hot.raw.median() > 0.15
    share = stuck[:, -1].float().mean().item()
    assert 0.0014 < share < 0.0026
    assert torch.equal(stuck[:, 0], stuck[:, -1])

    rows = clip.batch(0, seed=1, size=_SIZE, patch=96, frames=_FRAMES, choices=_choices("row_noise"))
    plain = clip.batch(0, seed=1, size=_SIZE, patch=96, frames=_FRAMES, choices=_choices("flip"))
    offsets = (rows.raw - plain.raw).mean(-1)  # (N, T, 4, h)
    assert offsets.std().item() == pytest.approx(rows.noise[:, 1].sqrt().mean().item(), rel=0.1)
    # Red and green share the even rows of the mosaic, green and blue the odd ones.
    torch.testing.assert_close(offsets[:, :, 0], offsets[:, :, 1], atol=1e-5, rtol=0)
    torch.testing.assert_close(offsets[:, :, 2], offsets[:, :, 3], atol=1e-5, rtol=0)
    assert not torch.allclose(offsets[:, :, 0], offsets[:, :, 2], atol=1e-4)
    torch.testing.assert_close(rows.noise, plain.noise)  # the network isn't told


@pytest.mark.parametrize("operation", [name for name in _ALL if name != "flip"])
def test_severity_is_clamped_when_operations_add_up(operation: str) -> None:
    once = Conditions.of(_choices(operation), _ALL)
    twice = Conditions.of(_choices(operation, operation), _ALL)
    for name, values in vars(once).items():
        # Two pans go two ways, so their sum is only bounded.
        if name not in ("pan", "flips", "seeds"):
            assert np.array_equal(getattr(twice, name), values), name
    assert np.abs(twice.pan).max() <= 8.0
    both = Conditions.of(_choices("gain", "shot_noise"), _ALL)
    assert (both.shot + np.maximum(both.gain, 0.0)).max() == pytest.approx(2.5)


@pytest.mark.parametrize("operation", _ALL)
def test_what_is_done_to_a_patch_does_not_depend_on_the_others(operation: str) -> None:
    clip = _batch(moving_scene(6, 64, 64), _PHONE, None)
    whole = CleanPatches(clip.raw, clip.gains, clip.ccm, clip.noise + 1e-4, clip.truth)
    some = slice(3, 9, 2)
    part = CleanPatches(*(values[some] for values in vars(whole).values()))
    choices = _choices(operation, "shake")
    shown = []
    for clean, chosen in ((whole, choices), (part, choices.part(some))):
        conditions = Conditions.of(chosen, _ALL)
        filmed = camera.filmed(clean, conditions)
        shown.append((camera.with_defects(filmed.raw, filmed.noise, conditions), filmed.truth))
    for of_whole, of_part in zip(*shown, strict=True):
        torch.testing.assert_close(of_whole[some], of_part)


def test_content_does_not_depend_on_what_is_done() -> None:
    frames, sensor = moving_scene(6, 96, 96), _PHONE.with_test_noise(Noise(0.01, 0.0005))
    features = [_batch(frames, sensor, _choices(name)).content for name in _ALL]
    assert features[0] is not None
    assert features[0].shape == (_SIZE, 4)
    assert torch.isfinite(features[0]).all()
    assert all(torch.equal(features[0], other) for other in features if other is not None)


def test_operations_that_could_do_nothing_are_not_offered() -> None:
    assert "ccm" not in camera_operations(frames=3, identity=True)
    single = camera_operations(frames=1, identity=False)
    assert not {"flicker", "shake", "pan"} & set(single)
    assert TrainingSet([("a", moving_scene(2, 32, 32))], _PHONE).operations(1) == single

"""The metrics of a clip as it comes: which values a frame has, what is refused, what is remembered."""

import weakref
from typing import Any

import numpy as np
import pytest
from autoisp_core.errors import InvalidArgumentError
from autoisp_core.quality import METRICS, metrics_named
from autoisp_isp import metrics as functions
from autoisp_isp.metrics import FrameMetrics
from autoisp_isp.metrics.measures import MEASURES
from autoisp_isp.metrics.picture import Picture
from autoisp_testing.scenes import moving_scene

_AT_ONCE = [name for name, metric in METRICS.items() if not metric.at_end]


@pytest.fixture(scope="module")
def truths() -> list[Picture]:
    frames = moving_scene(3, 176, 200, speed=(0.0, 1.0)).transpose(0, 3, 1, 2)
    # A wall, so that something is flat and stands still.
    pictures = (frames / 255).astype(np.float32)
    pictures[:, :, :, :70] = 0.5
    return list(pictures)


@pytest.fixture(scope="module")
def pictures(truths: list[Picture]) -> list[Picture]:
    source = np.random.default_rng(0)
    return [np.clip(t + source.normal(0, 0.02, t.shape), 0, 1).astype(np.float32) for t in truths]


def test_there_is_a_measure_for_every_metric_but_those_of_whole_clips() -> None:
    assert list(MEASURES) == _AT_ONCE


def test_a_frame_with_truth_and_past_has_every_value(pictures: list[Picture], truths: list[Picture]) -> None:
    with FrameMetrics(reversed(_AT_ONCE)) as metrics:
        first = metrics.measure(pictures[0], truths[0])
        second = metrics.measure(pictures[1], truths[1])
    assert list(second) == _AT_ONCE
    assert first.keys() == {name for name in _AT_ONCE if not METRICS[name].temporal}
    assert all(type(value) is float and np.isfinite(value) for value in second.values())


def test_values_are_those_of_the_functions(pictures: list[Picture], truths: list[Picture]) -> None:
    names = ["psnr", "ssim", "ssim_ffmpeg", "ms_ssim", "vif", "delta_e2000"]
    with FrameMetrics(names) as metrics:
        found = metrics.measure(pictures[0], truths[0])
    assert found == {name: getattr(functions, name)(pictures[0], truths[0]) for name in names}


def test_better_pictures_have_better_values(pictures: list[Picture], truths: list[Picture]) -> None:
    """Ten metrics and more that all point the right way: half the noise is better by each that sees noise."""
    calmer = [(p + t) / 2 for p, t in zip(pictures, truths, strict=True)]
    values = []
    for subject in (pictures, calmer):
        with FrameMetrics(_AT_ONCE) as metrics:
            metrics.measure(subject[0], truths[0])
            values.append(metrics.measure(subject[1], truths[1]))
    for name in set(_AT_ONCE) - {
        "colour_cast",
        "sharpness_loss",
        "texture_loss",
        "blur",
        "brightness_flicker",
    }:
        assert METRICS[name].improvement(values[1][name], values[0][name]) > 0, name


def test_without_a_truth_there_are_the_values_that_need_none(pictures: list[Picture]) -> None:
    with FrameMetrics(_AT_ONCE) as metrics:
        metrics.measure(pictures[0])
        found = metrics.measure(pictures[1])
    assert list(found) == ["warping_error", "brightness_flicker", "noise_estimate", "blur"]


def test_a_frame_whose_every_metric_needs_a_truth_must_have_one(pictures: list[Picture]) -> None:
    with (
        FrameMetrics(["psnr", "ssim"]) as metrics,
        pytest.raises(InvalidArgumentError, match="psnr, ssim") as e,
    ):
        metrics.measure(pictures[0])
    assert e.value.field == "truth"


def wrong_frames() -> list[Any]:
    good = np.full((3, 64, 64), 0.5, np.float32)
    broken = good.copy()
    broken[1, 2, 3] = np.nan
    return [
        pytest.param(np.zeros((3, 64, 64), np.uint8), good, "picture", "uint8", id="codes"),
        pytest.param(good, np.zeros((3, 64, 64), np.uint16), "truth", "uint16", id="codes of the truth"),
        pytest.param(good[0], good, "picture", r"\(64, 64\)", id="grey"),
        pytest.param(good.transpose(1, 2, 0), good, "picture", r"\(64, 64, 3\)", id="channels last"),
        pytest.param(good, good[:, :63], "picture", "compared", id="truth of another size"),
        pytest.param(good[:, :32], good[:, :32], "picture", "finish", id="another size than before"),
        pytest.param(broken, good, "picture", "nan in channel 1, row 2, column 3", id="NaN"),
        pytest.param(good, -np.inf * good, "truth", "-inf in channel 0", id="infinite truth"),
    ]


@pytest.mark.parametrize(("picture", "truth", "field", "words"), wrong_frames())
def test_a_wrong_frame_is_refused_and_the_clip_goes_on(
    picture: Any, truth: Any, field: str, words: str
) -> None:
    good = np.random.default_rng(0).uniform(0, 1, (3, 64, 64)).astype(np.float32)
    with FrameMetrics(["psnr", "warping_error"]) as metrics:
        metrics.measure(good, good)
        with pytest.raises(InvalidArgumentError, match=words) as error:
            metrics.measure(picture, truth)
        assert error.value.field == field
        assert metrics.measure(good, good)["warping_error"] == pytest.approx(0.0, abs=0.01)


@pytest.mark.parametrize("name", [name for name in _AT_ONCE if METRICS[name].smallest > 1])
def test_each_metric_says_how_small_a_picture_may_be(name: str) -> None:
    least = METRICS[name].smallest
    scene = (moving_scene(1, least, least + 20)[0].transpose(2, 0, 1) / 255).astype(np.float32)
    with FrameMetrics([name]) as metrics:
        metrics.measure(scene, scene)
        metrics.measure(scene, scene)
        metrics.finish()
        with pytest.raises(InvalidArgumentError, match=f"{name} needs {least} pixels"):
            metrics.measure(scene[:, 1:], scene[:, 1:])


def test_names_are_checked() -> None:
    with pytest.raises(InvalidArgumentError, match=r"'pnsr'.*psnr, ssim"):
        FrameMetrics(["pnsr"])
    with pytest.raises(InvalidArgumentError, match="at least one"):
        metrics_named([])


def test_only_one_frame_is_remembered(truths: list[Picture]) -> None:
    """Whatever the clip's length: of the frames but the last nothing is alive."""
    alive = []
    with FrameMetrics(_AT_ONCE) as metrics:
        for truth in truths * 2:
            picture = truth.copy()
            metrics.measure(picture, truth)
            assert metrics._past is not None
            alive.append(weakref.ref(metrics._past.picture.pixels))
            del picture
        assert [one() is not None for one in alive] == [False] * (len(alive) - 1) + [True]
    with FrameMetrics(["psnr", "ssim"]) as metrics:
        metrics.measure(truths[0], truths[0])
        assert metrics._past is None

"""Means with intervals: how often they hold the truth, and what they say of too little."""

import math

import numpy as np
import numpy.typing as npt
import pytest
from autoisp_core.errors import InvalidArgumentError
from autoisp_core.quality import summarize
from autoisp_core.quality.blocks import block_length, block_means
from autoisp_core.quality.student import t_probability, t_quantile
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import t as student

_ROUNDS = 60


def alike_frames(source: np.random.Generator, frames: int, likeness: float) -> npt.NDArray[np.float64]:
    """A series of mean 0 and deviation 1 in which neighbours correlate by `likeness`."""
    steps = source.normal(0, math.sqrt(1 - likeness**2), frames)
    values = np.empty(frames)
    values[0] = source.normal()
    for index in range(1, frames):
        values[index] = likeness * values[index - 1] + steps[index]
    return values


@pytest.mark.parametrize("freedom", [1, 2, 3, 4, 9, 30])
def test_students_quantiles_are_scipys(freedom: int) -> None:
    for level in (0.0005, 0.025, 0.3, 0.5, 0.8, 0.975):
        assert t_quantile(level, freedom) == pytest.approx(student.ppf(level, freedom), rel=1e-9, abs=1e-12)
        assert t_probability(t_quantile(level, freedom), freedom) == pytest.approx(level)


@pytest.mark.parametrize(("likeness", "least"), [(0.0, 0.9), (0.7, 0.86), (0.9, 0.8)])
def test_a_clips_interval_holds_its_true_mean(likeness: float, least: float) -> None:
    source = np.random.default_rng(7)
    held = 0
    for seed in range(_ROUNDS):
        values = alike_frames(source, 300, likeness).tolist()
        clip = summarize({"a": values}, seed=seed, resamples=400).clips["a"]
        held += clip.low <= 0 <= clip.high
    assert held >= least * _ROUNDS


def test_frames_drawn_one_by_one_would_give_far_too_narrow_an_interval() -> None:
    """What the blocks are for."""
    values = alike_frames(np.random.default_rng(3), 300, 0.9).tolist()
    clip = summarize({"a": values}).clips["a"]
    naive = 2 * 1.96 * float(np.std(values)) / math.sqrt(300)
    assert clip.block > 10
    assert clip.high - clip.low > 2.5 * naive
    independent = np.random.default_rng(3).normal(size=300).tolist()
    assert summarize({"a": independent}).clips["a"].block < 6


@pytest.mark.parametrize("clips", [2, 3, 5, 12])
def test_the_totals_interval_holds_the_mean_of_all_clips_there_could_be(clips: int) -> None:
    source = np.random.default_rng(clips)
    held = 0
    for seed in range(_ROUNDS):
        values = {
            str(clip): (source.normal() + alike_frames(source, 40, 0.8)).tolist() for clip in range(clips)
        }
        total = summarize(values, seed=seed, resamples=400).total
        held += total.low <= 0 <= total.high
    assert held >= 0.88 * _ROUNDS


def test_clips_that_differ_widen_the_total_but_not_what_is_said_of_these_clips() -> None:
    source = np.random.default_rng(0)
    values = {str(level): (level + source.normal(0, 0.1, 100)).tolist() for level in (20, 30, 34, 37, 45)}
    found = summarize(values)
    assert found.total.mean == found.within.mean == pytest.approx(33.2, abs=0.1)
    assert found.total.high - found.total.low > 10
    assert found.within.high - found.within.low < 0.1
    assert (found.total.clips, found.total.frames) == (5, 500)


def test_every_clip_counts_alike_however_long() -> None:
    found = summarize({"long": [30.0, 31.0] * 50, "short": [40.0, 41.0]})
    assert found.total.mean == pytest.approx(35.5)


def test_one_clip_says_nothing_of_others_and_one_frame_nothing_of_others() -> None:
    clip = summarize({"a": [30.0, 31.0, 30.5, 30.2, 31.0, 30.1]})
    assert (clip.total.low, clip.total.high) == (-math.inf, math.inf)
    assert 29 < clip.within.low < clip.within.high < 32
    frames = summarize({"a": [30.0], "b": [31.0]})
    assert math.isinf(frames.clips["a"].high)
    assert math.isinf(frames.within.low)
    assert math.isfinite(frames.total.low)


def test_the_same_values_and_seed_give_the_same_interval_in_any_order() -> None:
    source = np.random.default_rng(0)
    values = {name: source.normal(size=30).tolist() for name in "abc"}
    found = summarize(values, seed=4)
    assert summarize(dict(reversed(values.items())), seed=4) == found
    assert summarize(values, seed=5) != found


@given(
    st.dictionaries(
        st.text(max_size=3),
        st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=30),
        min_size=1,
        max_size=5,
    ),
    st.sampled_from([0.5, 0.9, 0.99]),
)
@settings(max_examples=60, deadline=None)
def test_an_interval_holds_its_mean_and_grows_with_confidence(
    values: dict[str, list[float]], confidence: float
) -> None:
    wide, narrow = (
        summarize(values, confidence=level, resamples=100) for level in (confidence, confidence / 2)
    )
    slack = 1e-6 * (1 + max(abs(number) for numbers in values.values() for number in numbers))
    for more, less in ((wide.total, narrow.total), (wide.within, narrow.within)):
        assert more.low - slack <= more.mean <= more.high + slack
        assert more.low <= less.low + slack
        assert less.high <= more.high + slack


@pytest.mark.parametrize(
    ("arguments", "field"),
    [
        ({"values": {}}, "values"),
        ({"values": {"a": []}}, "values"),
        ({"values": {"a": [1.0, math.nan]}}, "values"),
        ({"values": {"a": [1.0]}, "confidence": 95}, "confidence"),
        ({"values": {"a": [1.0]}, "resamples": 10}, "resamples"),
    ],
)
def test_what_cannot_be_summarized_is_refused(arguments: dict[str, object], field: str) -> None:
    with pytest.raises(InvalidArgumentError) as error:
        summarize(**arguments)  # type: ignore[arg-type]
    assert error.value.field == field


def test_blocks_wrap_around_and_cover_each_frame_alike() -> None:
    values = [float(value) for value in np.random.default_rng(0).normal(size=23)]
    means = block_means(values, 5)
    assert len(means) == 23
    assert np.mean(means) == pytest.approx(np.mean(values))
    assert means[-1] == pytest.approx(np.mean([values[-1], *values[:4]]))


def test_constant_and_short_clips_have_blocks_of_one() -> None:
    assert block_length([30.0] * 50) == 1
    assert block_length([1.0]) == 1
    assert block_length([1.0, 2.0, 3.0]) == 1
    assert summarize({"a": [30.0] * 50}).clips["a"].low == 30.0

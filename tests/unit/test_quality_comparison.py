"""Which of two is better on the same frames, and the worst frames of one."""

import itertools
import random

import numpy as np
import pytest
from autoisp_core.errors import InvalidArgumentError
from autoisp_core.quality import METRICS, Verdict, WorstFrames, compare
from autoisp_core.quality.comparison import Scope, Values

PSNR, TOF = METRICS["psnr"], METRICS["tof"]


def subjects(gain: float, spread: float = 0.3, clips: int = 6) -> tuple[Values, Values]:
    """A baseline whose frames differ by many dB, and a subject that is `gain` better, by clip ± spread."""
    source = np.random.default_rng(1)
    baseline = {
        f"clip{clip}": dict(enumerate((source.uniform(25, 40) + source.normal(0, 2, 50)).tolist()))
        for clip in range(clips)
    }
    subject = {}
    for clip, frames in baseline.items():
        here = gain + source.normal(0, spread)
        subject[clip] = {index: value + here + source.normal(0, 0.05) for index, value in frames.items()}
    return subject, baseline


@pytest.mark.parametrize(
    ("gain", "spread", "margin", "verdict"),
    [
        (1.0, 0.1, 0.0, Verdict.BETTER),
        (-1.0, 0.1, 0.0, Verdict.WORSE),
        (0.05, 0.1, 0.3, Verdict.SAME),
        (0.3, 0.01, 0.5, Verdict.SAME),
        (0.05, 0.5, 0.1, Verdict.UNDECIDED),
        (1.0, 0.1, 0.5, Verdict.BETTER),
    ],
)
def test_the_verdict_follows_from_the_interval(
    gain: float, spread: float, margin: float, verdict: Verdict
) -> None:
    found = compare(PSNR, *subjects(gain, spread), margin=margin)
    assert found.verdict is verdict
    assert found.estimate.mean == pytest.approx(gain, abs=4 * spread)
    assert found.unpaired == 0


def test_for_a_metric_that_falls_as_it_gets_better_the_verdict_turns() -> None:
    subject, baseline = subjects(1.0, 0.1)
    assert compare(TOF, subject, baseline).verdict is Verdict.WORSE
    assert compare(TOF, baseline, subject).verdict is Verdict.BETTER


def test_pairs_tell_what_separate_intervals_cannot() -> None:
    """Frames differ by 15 dB, the subjects by 0.2: the pairs see it."""
    subject, baseline = subjects(0.2, 0.05)
    found = compare(PSNR, subject, baseline)
    assert found.verdict is Verdict.BETTER
    assert found.estimate.high - found.estimate.low < 0.3


def test_a_single_clip_suffices_for_these_clips_only() -> None:
    pair = subjects(1.0, 0.0, clips=1)
    assert compare(PSNR, *pair).verdict is Verdict.UNDECIDED
    here = compare(PSNR, *pair, scope=Scope.THESE_CLIPS)
    assert here.verdict is Verdict.BETTER
    assert str(here).startswith("psnr better: +0.99")
    assert str(here).endswith("on these clips")


def test_not_worse_is_less_than_better() -> None:
    found = compare(PSNR, *subjects(0.0, 0.1), margin=0.5)
    assert found.not_worse
    assert str(found).startswith("psnr same within 0.5 dB: ")
    assert not compare(PSNR, *subjects(-1.0, 0.1), margin=0.5).not_worse


def test_frames_that_only_one_of_them_has_are_left_out_and_counted() -> None:
    subject = {"a": {0: 31.0, 1: 33.0, 5: 99.0}, "mine": {0: 99.0}}
    baseline = {"a": {0: 30.0, 1: 31.0, 2: 0.0}, "yours": {0: 0.0, 1: 0.0}}
    found = compare(PSNR, subject, baseline)
    assert found.estimate.mean == pytest.approx(1.5)
    assert (found.estimate.frames, found.unpaired) == (2, 5)


def test_nothing_in_common_is_an_error() -> None:
    with pytest.raises(InvalidArgumentError, match="psnr of both") as error:
        compare(PSNR, {"a": {0: 30.0}}, {"a": {1: 30.0}})
    assert error.value.field == "baseline"
    with pytest.raises(InvalidArgumentError) as error:
        compare(PSNR, {"a": {0: 30.0}}, {"a": {0: 30.0}}, margin=-1)
    assert error.value.field == "margin"


@pytest.mark.parametrize("metric", [PSNR, TOF], ids=lambda metric: metric.name)
def test_the_worst_frames_are_the_same_in_any_order(metric) -> None:
    source = random.Random(0)
    frames = [(clip, index, round(source.uniform(20, 40), 1)) for clip in "abc" for index in range(60)]
    best_of_each = [
        min(stretch, key=lambda frame: (-metric.badness(frame[2]), frame[0], frame[1]))
        for _, stretch in itertools.groupby(frames, key=lambda frame: (frame[0], frame[1] // 10))
    ]
    expected = sorted(best_of_each, key=lambda frame: (-metric.badness(frame[2]), frame[0], frame[1]))[:4]
    for _ in range(5):
        source.shuffle(frames)
        worst = WorstFrames[str](metric, 4)
        for clip, index, value in frames:
            wanted = worst.wants(clip, index, value)
            assert worst.offer(clip, index, value, f"{clip}{index}") == wanted
        assert [(frame.clip, frame.index, frame.value) for frame in worst.frames()] == expected
        assert [frame.payload for frame in worst.frames()] == [
            f"{clip}{index}" for clip, index, _ in expected
        ]


def test_workers_worst_frames_can_be_put_together() -> None:
    values = {"a": [30.0, 20.0, 35.0], "b": [22.0, 33.0, 21.0]}
    parts = []
    for clip, numbers in values.items():
        part = WorstFrames[None](PSNR, 2, stretch=1)
        for index, value in enumerate(numbers):
            part.offer(clip, index, value, None)
        parts.append(part)
    whole = WorstFrames[None](PSNR, 2, stretch=1)
    for part in parts:
        for frame in part.frames():
            whole.offer(frame.clip, frame.index, frame.value, frame.payload)
    assert [(frame.clip, frame.index) for frame in whole.frames()] == [("a", 1), ("b", 2)]


def test_at_least_one_worst_frame_is_kept() -> None:
    with pytest.raises(InvalidArgumentError):
        WorstFrames[None](PSNR, 0)

"""How clips add up to an evaluation."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from autoisp_evaluation.domain import ClipResult, Evaluation, Failure, State
from evaluation_fakes import NOW, evaluation, result


def judge(start: Evaluation, *results: ClipResult) -> Evaluation:
    for one in results:
        after = start.judged(one, NOW)
        assert after is not None
        start = after
    return start


def failed(clip: str, reason: str = "OUT_OF_MEMORY") -> ClipResult:
    return ClipResult(clip, clip, State.FAILED, failure=Failure(reason, f"{clip} failed"))


def test_totals_are_means_over_clips_of_means_over_frames() -> None:
    ended = judge(
        evaluation(),
        # Four frames and one: every clip counts the same, whatever its length.
        result("clips/c1", {"prototype": [20, 22, 24, 26], "model": [30, 30, 30, 30]}, seconds=1.0),
        result("clips/c2", {"prototype": [33], "model": [40]}, seconds=3.0),
    )
    assert ended.state is State.SUCCEEDED
    assert ended.end_time == NOW
    prototype, model = ended.totals
    assert (prototype.label, model.label) == ("prototype", "model")
    assert prototype.quality.psnr_db == pytest.approx((23 + 33) / 2)
    assert model.quality.psnr_db == pytest.approx(35)
    assert model.quality.ssim == pytest.approx(0.35)
    assert model.frames == ()
    assert model.cost.macs_per_pixel == 50
    assert model.cost.seconds_per_megapixel == 2.0
    assert ended.clips[0].subjects[0].quality.psnr_db == pytest.approx(23)


def test_time_is_the_median_over_clips() -> None:
    clips = tuple(ClipResult(f"clips/c{i}", "", State.RUNNING) for i in range(3))
    start = evaluation(clips=clips)
    psnr = {"prototype": [20.0], "model": [30.0]}
    ended = judge(start, *(result(c.clip, psnr, s) for c, s in zip(clips, (1.0, 900.0, 2.0), strict=True)))
    assert ended.totals[0].cost.seconds_per_megapixel == 2.0


def test_a_clip_that_was_not_timed_makes_nobody_quicker() -> None:
    psnr = {"prototype": [20.0], "model": [30.0]}
    times = (("clips/c1", 4.0), ("clips/c2", 0.0))
    ended = judge(evaluation(), *(result(clip, psnr, seconds) for clip, seconds in times))
    assert ended.totals[1].cost.seconds_per_megapixel == 4.0
    untimed = judge(evaluation(), *(result(clip, psnr, 0.0) for clip, _ in times))
    assert untimed.totals[1].cost.seconds_per_megapixel == 0.0


def test_an_opaque_cost_stays_unknown() -> None:
    psnr = {"prototype": [20.0], "model": [30.0]}
    ended = judge(evaluation(), *(result(f"clips/c{i}", psnr, macs=None) for i in (1, 2)))
    assert ended.totals[0].cost.macs_per_pixel is None


def test_running_until_the_last_clip() -> None:
    start = evaluation()
    after = judge(start, result("clips/c2", {"prototype": [20], "model": [30]}))
    assert after.state is State.RUNNING
    assert after.totals == ()
    assert after.revision == start.revision + 1
    assert [clip.state for clip in after.clips] == [State.RUNNING, State.SUCCEEDED]


def test_the_first_result_of_a_clip_wins() -> None:
    after = judge(evaluation(), result("clips/c1", {"prototype": [20], "model": [30]}))
    assert after.judged(result("clips/c1", {"prototype": [1], "model": [2]}), NOW) is None
    assert after.judged(failed("clips/c1"), NOW) is None


def test_what_is_no_news_changes_nothing() -> None:
    start = evaluation()
    assert start.judged(failed("clips/other"), NOW) is None
    assert start.judged(replace(failed("clips/c1"), state=State.RUNNING), NOW) is None
    ended = start.failed(Failure("X", "x"), NOW)
    assert ended.judged(failed("clips/c1"), NOW) is None


def test_one_failed_clip_is_left_out_of_the_totals() -> None:
    ended = judge(evaluation(), failed("clips/c1"), result("clips/c2", {"prototype": [20], "model": [30]}))
    assert ended.state is State.SUCCEEDED
    assert [total.quality.psnr_db for total in ended.totals] == [20, 30]


def test_no_good_clip_fails_the_evaluation_with_the_causes() -> None:
    ended = judge(evaluation(), failed("clips/c1"), failed("clips/c2"))
    assert ended.state is State.FAILED
    assert ended.failure is not None
    assert ended.failure.reason == "OUT_OF_MEMORY"
    assert "clips/c1 failed" in ended.failure.message
    assert "clips/c2 failed" in ended.failure.message
    mixed = judge(evaluation(), failed("clips/c1"), failed("clips/c2", "OTHER"))
    assert mixed.failure is not None
    assert mixed.failure.reason == "NO_CLIP_JUDGED"


@pytest.mark.parametrize(
    ("psnr", "reason"),
    [
        ({"model": [30.0]}, "SUBJECT_NOT_JUDGED"),
        ({"model": [30.0, math.nan], "prototype": [20.0]}, "QUALITY_NOT_A_NUMBER"),
        # Nobody becomes champion by having judged nothing, or the easy frames only.
        ({"model": [], "prototype": []}, "NO_FRAMES"),
        ({"model": [30.0], "prototype": [20.0, 21.0]}, "FRAMES_MISMATCH"),
    ],
)
def test_a_success_that_is_none_counts_as_failed(psnr: dict[str, list[float]], reason: str) -> None:
    after = judge(evaluation(), result("clips/c1", psnr))
    assert after.clips[0].state is State.FAILED
    assert after.clips[0].failure is not None
    assert after.clips[0].failure.reason == reason


def test_without_frames_keeps_the_means() -> None:
    small = judge(
        evaluation(), result("clips/c1", {"prototype": [20, 22], "model": [30, 30]})
    ).without_frames()
    assert small.clips[0].subjects[0].frames == ()
    assert small.clips[0].subjects[0].quality.psnr_db == 21

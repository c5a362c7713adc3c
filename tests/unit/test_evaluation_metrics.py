"""Metrics of an evaluation: their intervals, comparisons, and what its gate says at the end."""

from __future__ import annotations

import math
import random
from collections.abc import Sequence
from dataclasses import replace

import pytest
from autoisp_core.quality import Verdict, summarize
from autoisp_evaluation.domain import (
    ClipResult,
    Evaluation,
    Latency,
    MetricResult,
    State,
    SubjectResult,
)
from autoisp_runtime.figures import drawn_means
from evaluation_fakes import NOW, evaluation, result

METRICS = ("psnr", "ssim", "delta_e2000")
BOTH = ("prototype", "model")


def noisy(mean: float, seed: int, count: int = 60) -> list[float]:
    source = random.Random(seed)
    return [mean + source.gauss(0, 0.5) for _ in range(count)]


def clip(number: int, gain: float = 2.0) -> ClipResult:
    """The model is `gain` dB and 0.5 ΔE00 better on every frame, give or take little."""
    base = noisy(30, number)
    small = noisy(0, number + 100)
    colour = noisy(3, number + 200)
    return result(
        f"clips/c{number}",
        {"prototype": base, "model": [value + gain + s / 10 for value, s in zip(base, small, strict=True)]},
        delta_e2000={
            "prototype": colour,
            "model": [c - 0.5 + s / 10 for c, s in zip(colour, small, strict=True)],
        },
    )


def ended(*clips: ClipResult, **changes: object) -> Evaluation:
    running = tuple(ClipResult(one.clip, one.clip, State.RUNNING) for one in clips)
    current = evaluation(metrics=METRICS, clips=running, **changes)
    for one in clips:
        after = current.judged(one, NOW)
        assert after is not None
        current = after
    return current


def metric(found: SubjectResult | None, name: str) -> MetricResult:
    assert found is not None
    return next(one for one in found.metrics if one.metric == name)


def test_every_metric_has_its_mean_and_intervals() -> None:
    done = ended(clip(1), clip(2), clip(3))
    assert done.state is State.SUCCEEDED
    for subject in done.totals:
        assert [one.metric for one in subject.metrics] == list(METRICS)
        for one in subject.metrics:
            assert one.values == ()
            assert one.within is not None
            assert one.across is not None
            assert one.within.mean == one.across.mean
            assert one.within.low < one.within.mean < one.within.high
            assert (one.within.frames, one.within.clips) == (180, 3)
            assert all(map(math.isfinite, (one.across.low, one.across.high)))
        assert metric(subject, "psnr").within.mean == pytest.approx(subject.quality.psnr_db)  # type: ignore[union-attr]
    of_clip = metric(done.clips[0].subject("model"), "delta_e2000")
    assert of_clip.across is None
    assert of_clip.within is not None
    assert of_clip.within.clips == 1
    assert len(of_clip.values) == 60


def test_the_order_of_clips_and_subjects_makes_no_difference() -> None:
    one, other = ended(clip(1), clip(2), clip(3)), ended(clip(1), clip(2), clip(3))
    shuffled = [clip(3), clip(1), clip(2)]
    current = evaluation(metrics=METRICS, clips=tuple(replace(c, state=State.RUNNING) for c in one.clips))
    for judged in shuffled:
        reordered = replace(judged, subjects=judged.subjects[::-1])
        after = current.judged(reordered, NOW)
        assert after is not None
        current = after
    assert current.totals == one.totals == other.totals
    assert current.comparisons == one.comparisons


def test_another_seed_draws_other_intervals_around_the_same_mean() -> None:
    one, other = (metric(ended(clip(1), clip(2), seed=seed).totals[0], "psnr").within for seed in (3, 4))
    assert one is not None
    assert other is not None
    assert one != other
    assert one.mean == other.mean
    assert one.low == pytest.approx(other.low, abs=0.2)


def test_intervals_are_those_of_the_core() -> None:
    """The fast draws give what the plain ones give, but for chance."""
    values = {f"c{i}": noisy(30 + i, i, 200) for i in range(4)}
    plain, fast = summarize(values, seed=1), summarize(values, seed=1, drawn=drawn_means(1))
    for ours, theirs in ((fast.within, plain.within), (fast.total, plain.total)):
        assert ours.mean == theirs.mean
        width = theirs.high - theirs.low
        assert abs(ours.low - theirs.low) < 0.15 * width
        assert abs(ours.high - theirs.high) < 0.15 * width
    assert summarize(values, seed=1, drawn=drawn_means(1)) == fast


def test_draws_are_means_of_what_is_there_in_as_many_rows_as_asked() -> None:
    many = drawn_means(5)([1.0, 2.0, 3.0], 200, 1000)
    assert len(many) == 1000
    assert min(many) >= 1.5
    assert max(many) <= 2.5
    assert sum(many) / 1000 == pytest.approx(2.0, abs=0.01)
    # More in a row than are drawn at a time.
    assert drawn_means(5)([1.0] * 3, 70_000, 2) == [1.0, 1.0]
    assert len(set(drawn_means(5)([float(i) for i in range(70_000)], 1, 50))) > 40


def test_frames_without_a_value_are_left_out_and_clips_without_any() -> None:
    temporal = [math.nan, 1.0, 3.0]
    first = result("clips/c1", dict.fromkeys(BOTH, [30.0] * 3), delta_e2000=dict.fromkeys(BOTH, temporal))
    second = result(
        "clips/c2", dict.fromkeys(BOTH, [30.0] * 3), delta_e2000=dict.fromkeys(BOTH, [math.nan] * 3)
    )
    done = ended(first, second)
    total = metric(done.totals[0], "delta_e2000").within
    assert total is not None
    assert (total.mean, total.frames, total.clips) == (2.0, 2, 1)
    kept = metric(done.clips[0].subject("model"), "delta_e2000").values
    assert math.isnan(kept[0])
    assert kept[1:] == (1.0, 3.0)
    without = metric(done.clips[1].subject("model"), "delta_e2000")
    assert (without.within, without.values) == (None, ())


def test_a_metric_that_no_worker_measured_has_no_estimate() -> None:
    done = ended(result("clips/c1", dict.fromkeys(BOTH, (30.0, 31.0))))
    assert metric(done.totals[0], "delta_e2000") == MetricResult("delta_e2000")
    assert {comparison.metric for comparison in done.comparisons} == {"psnr", "ssim"}


@pytest.mark.parametrize("values", [[1.0], [1.0, 2.0, 3.0]])
def test_values_that_do_not_fit_their_frames_fail_the_clip(values: Sequence[float]) -> None:
    wrong = result("clips/c1", dict.fromkeys(BOTH, (30.0, 31.0)), delta_e2000=dict.fromkeys(BOTH, values))
    after = evaluation(metrics=METRICS).judged(wrong, NOW)
    assert after is not None
    assert after.clips[0].failure is not None
    assert after.clips[0].failure.reason == "VALUES_MISMATCH"


def test_subjects_are_compared_with_the_prototype_or_the_first() -> None:
    done = ended(clip(1), clip(2))
    assert {(c.subject, c.baseline) for c in done.comparisons} == {("model", "prototype")}
    by_metric = {comparison.metric: comparison for comparison in done.comparisons}
    assert list(by_metric) == list(METRICS)
    assert by_metric["psnr"].verdict is Verdict.BETTER
    assert by_metric["psnr"].improvement.mean == pytest.approx(2.0, abs=0.05)
    # Lower is better, and better is positive.
    assert by_metric["delta_e2000"].improvement.mean == pytest.approx(0.5, abs=0.05)
    assert set(by_metric["psnr"].clips) == {"clips/c1", "clips/c2"}
    labels = ("first", "second")
    others = tuple(replace(s, label=label) for s, label in zip(done.subjects, labels, strict=True))
    clips = [
        replace(one, subjects=tuple(replace(s, label=n) for s, n in zip(one.subjects, labels, strict=True)))
        for one in (clip(1), clip(2))
    ]
    renamed = ended(*clips, subjects=others)
    assert {(c.subject, c.baseline) for c in renamed.comparisons} == {("second", "first")}


def test_the_gate_is_checked_at_the_end() -> None:
    gate = '[[check]]\nmetric = "psnr"\nbetter_than_baseline_by = 1.5\nconfidence = "these_clips"'
    done = ended(clip(1), clip(2), gate=gate)
    assert done.gate_report is not None
    assert done.gate_report.passed
    assert [check.text.partition(":")[0] for check in done.gate_report.checks] == [
        "psnr against prototype",
        "clips_judged",
    ]
    failing = replace(clip(2), state=State.FAILED, subjects=())
    partly = ended(clip(1), failing, gate=gate).gate_report
    assert partly is not None
    assert [check.passed for check in partly.checks] == [True, False]
    assert ended(clip(1)).gate_report is None
    # One that an older release let through still ends the evaluation.
    unread = ended(clip(1), gate="beauty = 1").gate_report
    assert unread is not None
    assert not unread.passed


def test_a_gate_sees_costs_and_latencies() -> None:
    told = [
        replace(one, subjects=tuple(replace(s, latency=Latency(0.1, 0.2, 0.4, 60, 1)) for s in one.subjects))
        for one in (clip(1), clip(2))
    ]
    names = ("macs_per_pixel", "parameters", "size_bytes", "latency_p99", "state_bytes_per_pixel")
    gate = "\n".join(f'[[check]]\nmetric = "{name}"\nat_most = 0.4' for name in names)
    report = ended(*told, gate=gate).gate_report
    assert report is not None
    assert [check.value for check in report.checks[:-1]] == [50, 7, 8, 0.4, 0]
    unmeasured = ended(clip(1), gate='[[check]]\nmetric = "peak_memory_bytes"\nat_most = 1').gate_report
    assert unmeasured is not None
    assert unmeasured.checks[0].text == "peak_memory_bytes: failed, it was not measured"


def test_latencies_add_up() -> None:
    latencies = [Latency(0.1 * n, 0.2 * n, 0.3 * n, 10, 1, "CPU", 100 * n) for n in (1, 2, 9)]
    clips = [
        replace(clip(n), subjects=tuple(replace(s, latency=latency) for s in clip(n).subjects))
        for n, latency in enumerate(latencies, 1)
    ]
    total = ended(*clips).totals[0].latency
    assert total == Latency(0.2, 0.4, pytest.approx(0.6), 30, 1, "CPU", 900)  # type: ignore[arg-type]


def test_cancelling_keeps_what_was_judged_and_takes_nothing_more() -> None:
    start = evaluation()
    judged = start.judged(clip(1), NOW)
    assert judged is not None
    cancelled = judged.cancelled(NOW)
    assert cancelled is not None
    assert cancelled.state is State.CANCELLED
    assert cancelled.end_time == NOW
    assert [c.state for c in cancelled.clips] == [State.SUCCEEDED, State.CANCELLED]
    assert cancelled.judged(clip(2), NOW) is None
    assert cancelled.cancelled(NOW) is None


def test_lists_and_events_carry_no_values() -> None:
    small = ended(clip(1), clip(2)).without_frames()
    assert all(subject.metrics == () for one in small.clips for subject in one.subjects)
    assert all(comparison.clips == {} for comparison in small.comparisons)
    assert metric(small.totals[0], "psnr").within is not None

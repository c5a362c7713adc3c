"""Gates: what they read, what they refuse, and what they say."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import pytest
from autoisp_core.errors import InvalidArgumentError
from autoisp_core.quality import COSTS, METRICS, Bound, Confidence, Figures, Gate, Slice, SubjectFigures
from hypothesis import given, settings
from hypothesis import strategies as st

CLIPS = {"clips/a": "night street.mp4", "clips/b": "beach.mp4"}


def frames(values: Mapping[str, Sequence[float]]) -> dict[str, dict[int, float]]:
    return {clip: dict(enumerate(numbers)) for clip, numbers in values.items()}


def figures(
    model: Mapping[str, Sequence[float]] | None = None,
    prototype: Mapping[str, Sequence[float]] | None = None,
    wanted: int = 2,
    metric: str = "psnr",
) -> Figures:
    """A model of 30 and 34 dB on its two clips, and a prototype of 29 on both."""
    model = model or {"clips/a": [29.0, 31.0], "clips/b": [33.0, 35.0]}
    prototype = prototype or {"clips/a": [29.0, 29.0], "clips/b": [29.0, 29.0]}
    return Figures(
        {
            "model": SubjectFigures(
                {metric: frames(model)},
                {"macs_per_pixel": 250.0, "seconds_per_megapixel": 0.02, "size_bytes": 4000.0},
            ),
            "prototype": SubjectFigures({metric: frames(prototype)}, {"seconds_per_megapixel": 3.0}),
        },
        CLIPS,
        wanted,
    )


def one(line: str, **changes: object) -> tuple[bool, str]:
    """What a gate of one check says of the figures."""
    report = Gate.parse(f"[[check]]\n{line}").check(figures(**changes))  # type: ignore[arg-type]
    return report.checks[0].passed, report.checks[0].text


@pytest.mark.parametrize(
    ("check", "passed", "text"),
    [
        ('metric = "psnr"\nat_least = 32', True, "psnr: passed, 32.00 dB >= 32.00 dB"),
        ('metric = "psnr"\nat_least = 32.5', False, "psnr: failed, 32.00 dB < 32.50 dB"),
        (
            'metric = "psnr"\nat_least = 32.000001',
            False,
            "psnr: failed, 32 dB < 32.000001 dB",
        ),
        (
            'metric = "psnr"\nat_least = 30.5\nslice = "each"',
            False,
            "psnr on night street.mp4, the worst of 2 clips: failed, 30.00 dB < 30.50 dB",
        ),
        (
            'metric = "psnr"\nat_least = 30\nslice = "worst_clip"',
            True,
            "psnr on night street.mp4, the worst of 2 clips: passed, 30.00 dB >= 30.00 dB",
        ),
        (
            'metric = "psnr"\nat_least = 33\nslice = "clip:beach*"',
            True,
            "psnr on clips beach*: passed, 34.00 dB >= 33.00 dB",
        ),
        (
            'metric = "psnr"\nat_least = 1\nslice = "clip:Beach*"',
            False,
            "psnr on clips Beach* (there are none): failed, it was not measured",
        ),
        (
            'metric = "psnr"\nat_least = 30\nslice = "worst_frames:50%"',
            True,
            "psnr on the worst 50 % of frames: passed, 30.00 dB >= 30.00 dB",
        ),
        (
            'metric = "psnr"\nat_least = 30\nslice = "worst_frames:0.1%"',
            False,
            "psnr on the worst 0.1 % of frames: failed, 29.00 dB < 30.00 dB",
        ),
        (
            'metric = "psnr"\nbetter_than_baseline_by = 3',
            True,
            "psnr against prototype: passed, +3.00 dB >= +3.00 dB",
        ),
        (
            'metric = "psnr"\nnot_worse_than_baseline_by = 0\nslice = "each"',
            True,
            "psnr on night street.mp4, the worst of 2 clips against prototype: passed, +1.00 dB >= +0.00 dB",
        ),
        ('metric = "macs_per_pixel"\nat_most = 250', True, "macs_per_pixel: passed, 250 MAC <= 250 MAC"),
        ('metric = "size_bytes"\nat_most = 3000', False, "size_bytes: failed, 4,000 B > 3,000 B"),
        ('metric = "latency_ratio"\nat_least = 100', True, "latency_ratio: passed, 150.00× >= 100.00×"),
        (
            'metric = "seconds_per_megapixel"\nbetter_than_baseline_by = 3',
            False,
            "seconds_per_megapixel against prototype: failed, +2.98 s < +3 s",
        ),
        ('metric = "mac_ratio"\nat_least = 2', False, "mac_ratio: failed, it was not measured"),
        ('metric = "ssim"\nat_least = 0', False, "ssim: failed, it was not measured"),
        ('metric = "latency_p95"\nat_most = 9', False, "latency_p95: failed, it was not measured"),
    ],
)
def test_what_a_check_says(check: str, passed: bool, text: str) -> None:
    assert one(check) == (passed, text)


def test_a_metric_that_should_be_low_is_turned_around() -> None:
    told = {"metric": "delta_e2000", "model": {"clips/a": [2.0], "clips/b": [1.0]}}
    lower = {**told, "prototype": {"clips/a": [3.0], "clips/b": [3.0]}}
    assert one('metric = "delta_e2000"\nbetter_than_baseline_by = 1.5', **lower)[0]
    assert not one('metric = "delta_e2000"\nbetter_than_baseline_by = 1.6', **lower)[0]
    passed, text = one('metric = "delta_e2000"\nat_most = 1.5\nslice = "each"', **told)
    assert (passed, text) == (
        False,
        "delta_e2000 on night street.mp4, the worst of 2 clips: failed, 2 ΔE00 > 1.5 ΔE00",
    )


def test_the_whole_interval_has_to_keep_the_bound() -> None:
    wavering = {
        "clips/a": [30.0 + (i % 3) for i in range(60)],
        "clips/b": [31.0 + (i % 3) for i in range(60)],
    }
    check = 'metric = "psnr"\nat_least = 31.45\n'
    assert one(check, model=wavering)[0]
    passed, text = one(check + 'confidence = "these_clips"', model=wavering)
    assert not passed
    assert "(low end of the interval) < 31.45 dB" in text
    assert one('metric = "psnr"\nat_least = 31\nconfidence = "these_clips"', model=wavering)[0]
    # Two clips say little of others.
    assert not one('metric = "psnr"\nat_least = 31\nconfidence = "other_clips"', model=wavering)[0]
    alone = {"clips/a": wavering["clips/a"]}
    check = 'metric = "psnr"\nat_least = 1\nconfidence = "other_clips"\nslice = "clip:night*"'
    assert one(check, model=alone) == (
        False,
        "psnr on clips night*: failed, 31.00 dB of too few frames or clips for an interval",
    )


@pytest.mark.parametrize("wanted", [3, 0])
def test_a_clip_that_was_not_judged_fails_every_gate(wanted: int) -> None:
    gate = Gate.parse('[[check]]\nmetric = "psnr"\nat_least = 1')
    assert gate.check(figures()).passed
    report = gate.check(figures(wanted=wanted))
    assert not report.passed
    assert [check.passed for check in report.checks] == [True, False]
    assert report.checks[-1].text == f"clips_judged: failed, 2 of {wanted}"


def test_a_subject_that_is_not_there_passes_nothing() -> None:
    gate = Gate.parse('subject = "other"\n[[check]]\nmetric = "psnr"\nat_least = 1')
    assert not gate.check(figures()).passed
    with pytest.raises(InvalidArgumentError, match="judges 'other', but the subjects are model, prototype"):
        gate.require(["model", "prototype"])
    against = Gate.parse('[[check]]\nmetric = "latency_ratio"\nat_least = 1')
    against.require(["prototype", "model"])
    with pytest.raises(InvalidArgumentError, match="check 1 of the gate compares with 'prototype'"):
        against.require(["model"])
    Gate.parse('[[check]]\nmetric = "psnr"\nat_least = 1').require(["model"])


def test_a_gate_says_which_metrics_it_needs() -> None:
    text = "".join(f'[[check]]\nmetric = "{name}"\nat_most = 1\n' for name in ("tof", "size_bytes", "tof"))
    assert Gate.parse(text).metrics == ("tof",)


@pytest.mark.parametrize("slice_", ["all", "each", "worst_clip", "clip:*", "worst_frames:50%"])
def test_a_clip_without_values_is_not_left_out(slice_: str) -> None:
    partly = {"clips/a": [40.0, 40.0], "clips/b": []}
    line = f'metric = "psnr"\nat_least = 30\nslice = "{slice_}"'
    assert one(line, model=partly) == (False, "psnr on beach.mp4: failed, it was not measured")
    line = f'metric = "psnr"\nbetter_than_baseline_by = 1\nslice = "{slice_}"'
    assert one(line, prototype=partly) == (
        False,
        "psnr on beach.mp4 against prototype: failed, it was not measured",
    )
    # Of the clips that it asks for, all have values.
    assert one('metric = "psnr"\nat_least = 30\nslice = "clip:night*"', model=partly)[0]


CHECK = '[[check]]\nmetric = "psnr"\nat_least = 30\n'


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("", "0 checks"),
        ("check = []", "0 checks"),
        ("check = 3", "as a table"),
        ("check = [1]", "as a table"),
        ('[check]\nmetric = "psnr"', "two brackets"),
        (CHECK * 101, "101 checks"),
        ("[[check", "no TOML"),
        (CHECK + "at_least = 31", "no TOML"),  # the same key twice
        ("x" * 17_000, "at most 16384"),
        ("[" * 5000, "no TOML"),
        ("a = " + "[" * 8000 + "]" * 8000, "no TOML"),
        ("a.a.a.a.a.a = 1", "dots"),
        ("at_least = " + "9" * 5000, "no TOML"),
        ('colour = "red"\n' + CHECK, "unknown key 'colour'"),
        (CHECK + "atleast = 3", "check 1 of the gate (psnr) has an unknown key 'atleast'"),
        ("[[check]]\nat_least = 3", "check 1 of the gate has no metric"),
        ('[[check]]\nmetric = "beauty"\nat_least = 3', "no known metric: 'beauty'"),
        ("[[check]]\nmetric = 3\nat_least = 3", "no known metric: '3'"),
        ('[[check]]\nmetric = "psnr"', "has no bound"),
        (CHECK + "not_worse_than_baseline_by = 1", "has at_least and not_worse_than_baseline_by"),
        ('[[check]]\nmetric = "psnr"\nat_least = "30"', "finite number"),
        ('[[check]]\nmetric = "psnr"\nat_least = true', "finite number"),
        ('[[check]]\nmetric = "psnr"\nat_least = nan', "finite number"),
        ('[[check]]\nmetric = "psnr"\nat_least = inf', "finite number"),
        ('[[check]]\nmetric = "psnr"\nat_least = ' + "9" * 400, "finite number"),
        ('[[check]]\nmetric = "psnr"\nat_most = 30', "higher is better: use at_least"),
        ('[[check]]\nmetric = "size_bytes"\nat_least = 30', "lower is better: use at_most"),
        ('[[check]]\nmetric = "psnr"\nnot_worse_than_baseline_by = -1', "0 or more"),
        ('[[check]]\nmetric = "mac_ratio"\nbetter_than_baseline_by = 1', "already"),
        ('[[check]]\nmetric = "size_bytes"\nat_most = 1\nslice = "each"', "leave out slice"),
        ('[[check]]\nmetric = "size_bytes"\nat_most = 1\nconfidence = "other_clips"', "leave out slice"),
        (CHECK + 'slice = "night"', "no known slice: 'night'"),
        (CHECK + "slice = 3", "no known slice"),
        (CHECK + 'slice = "clip:"', "no known slice"),
        (CHECK + 'slice = "worst_frames:0%"', "no known slice"),
        (CHECK + 'slice = "worst_frames:101%"', "no known slice"),
        (CHECK + 'slice = "worst_frames:five"', "no known slice"),
        (CHECK + f'slice = "clip:{"*a" * 101}"', "no known slice"),
        (CHECK + 'confidence = "much"', "no known confidence: 'much'"),
        (CHECK + "confidence = []", "no known confidence"),
        (CHECK + 'slice = "worst_frames:5%"\nconfidence = "these_clips"', "no interval"),
        (CHECK + 'slice = "each"\nconfidence = "other_clips"', "nothing of others"),
        # Longer than Python writes numbers.
        ('[[check]]\nmetric = "psnr"\nat_least = 0x' + "f" * 9000, "finite number, is a number of thousands"),
        (CHECK + "slice = 0x" + "f" * 9000, "no known slice: a number of thousands"),
        (CHECK + "slice = [0x" + "f" * 9000 + "]", "no known slice: a number of thousands"),
        (CHECK + "confidence = 0x" + "f" * 9000, "no known confidence: a number of thousands"),
        ("[[check]]\nmetric = 0x" + "f" * 9000, "no known metric: a number of thousands"),
        ("subject = 3\n" + CHECK, "subject of the gate must be"),
        ('baseline = ""\n' + CHECK, "baseline of the gate must be"),
        ('baseline = "model"\n' + CHECK, "are both 'model'"),
    ],
)
def test_nonsense_is_refused_with_its_place(text: str, complaint: str) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        Gate.parse(text, "evaluation.gate")
    assert complaint in caught.value.message
    assert caught.value.field == "evaluation.gate"
    assert len(caught.value.message) < 600


@given(st.text(max_size=300) | st.binary(max_size=200).map(lambda b: CHECK + b.decode("latin-1")))
@settings(max_examples=200, deadline=None)
def test_any_text_is_a_gate_or_refused(text: str) -> None:
    try:
        Gate.parse(text)
    except InvalidArgumentError:
        return


NUMBERS = st.floats(-1e6, 1e6)
SLICES = st.sampled_from(["all", "each", "worst_clip", "clip:*", "worst_frames:10%"])


@given(
    st.lists(st.lists(NUMBERS, max_size=5), min_size=1, max_size=3),
    st.sampled_from(list(METRICS)),
    SLICES,
    NUMBERS,
)
@settings(max_examples=200, deadline=None)
def test_a_check_passes_exactly_if_its_number_keeps_its_bound(
    clips: list[list[float]], metric: str, slice_: str, bound: float
) -> None:
    rising = METRICS[metric].direction == "higher"
    values = {f"c{number}": numbers for number, numbers in enumerate(clips)}
    told = Figures(
        {"model": SubjectFigures({metric: frames(values)}, {})}, {clip: clip for clip in values}, len(values)
    )
    key = "at_least" if rising else "at_most"
    gate = Gate.parse(f'[[check]]\nmetric = "{metric}"\n{key} = {bound!r}\nslice = "{slice_}"')
    check = gate.check(told).checks[0]
    if not all(clips):
        assert not check.passed
        assert check.value is None
        return
    assert check.value is not None
    assert math.isfinite(check.value)
    assert check.passed is (check.value >= bound if rising else check.value <= bound)
    assert check.bound == bound
    assert (": passed, " in check.text) is check.passed


def test_every_name_can_be_checked() -> None:
    for name, quantity in {**METRICS, **COSTS}.items():
        key = "at_least" if quantity.direction == "higher" else "at_most"
        gate = Gate.parse(f'[[check]]\nmetric = "{name}"\n{key} = 0')
        assert gate.checks[0].bound is Bound(key)
    assert Slice.parse("worst_frames:2.5%") == Slice("worst_frames", share=0.025)
    assert list(Confidence) == ["mean", "these_clips", "other_clips"]

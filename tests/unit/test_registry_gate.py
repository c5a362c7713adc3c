"""The gate and the figures it looks at."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest
from autoisp_registry.domain import GateResult
from autoisp_registry.gate import Clips, Limits, check, metrics_of
from registry_fakes import measured

ALL = Clips(2, 2)


def test_metrics_have_the_agreed_names() -> None:
    metrics = metrics_of(measured(30, 0.01, 250), measured(25, 1.5, 25_000))
    assert set(metrics) == {
        *("psnr_model", "psnr_prototype", "ssim_model", "ssim_prototype", "macs_per_pixel", "mac_ratio"),
        *("latency_ratio", "seconds_per_megapixel_model", "seconds_per_megapixel_prototype"),
        *("parameters", "size_bytes", "psnr", "ssim"),
    }
    assert metrics["mac_ratio"] == 100
    assert metrics["latency_ratio"] == pytest.approx(150)


def test_all_that_was_measured_is_a_metric() -> None:
    metrics = metrics_of(replace(measured(30), metrics={"psnr": 30.0, "flicker": 0.5}), measured(25))
    assert (metrics["psnr"], metrics["ssim"], metrics["flicker"]) == (30.0, 0.9, 0.5)


def test_an_opaque_prototype_has_no_mac_ratio() -> None:
    assert "mac_ratio" not in metrics_of(measured(), measured(macs=None))


def test_what_is_not_a_number_is_left_out() -> None:
    metrics = metrics_of(measured(psnr_db=math.nan, seconds=0.0), measured(psnr_db=math.inf))
    assert {"psnr", "psnr_model", "psnr_prototype", "latency_ratio"}.isdisjoint(metrics)


@pytest.mark.parametrize(
    ("model", "prototype", "limits", "passed"),
    [
        (measured(25.0), measured(25.0), Limits(), True),
        (measured(24.99), measured(25.0), Limits(), False),
        (measured(30, macs=300), measured(25), Limits(macs_per_pixel=300), True),
        (measured(30, macs=300.1), measured(25), Limits(macs_per_pixel=300), False),
        (measured(30, macs=None), measured(25), Limits(macs_per_pixel=300), False),
        (measured(30, 0.01), measured(25, 1.0), Limits(latency_ratio=100), True),
        (measured(30, 0.0101), measured(25, 1.0), Limits(latency_ratio=100), False),
        (measured(30, 0.0), measured(25, 1.0), Limits(latency_ratio=100), False),
        (measured(30), None, Limits(), False),
        (measured(math.nan), measured(25), Limits(), False),
        (measured(30, 0.1, 200), measured(25, 1.0), Limits(300, 100), False),
        (measured(30, 0.001, 200), measured(25, 1.0), Limits(300, 100), True),
    ],
)
def test_the_gate(model: object, prototype: object, limits: Limits, passed: bool) -> None:
    result = check(metrics_of(model, prototype), ALL, limits)  # type: ignore[arg-type]
    assert result.passed is passed
    assert len(result.checks) == 2 + (limits.macs_per_pixel is not None) + (limits.latency_ratio is not None)
    assert any(": failed" in line for line in result.checks) is not passed


def test_the_checks_can_be_read() -> None:
    result = check(
        metrics_of(measured(29.414, 0.02, 250), measured(28.637, 1.5)),
        ALL,
        Limits(macs_per_pixel=200, latency_ratio=100),
    )
    assert result.checks == (
        "psnr_model: passed, 29.41 dB >= 28.64 dB (psnr_prototype), by +0.78 dB",
        "macs_per_pixel: failed, 250 MAC > 200 MAC (limit)",
        "latency_ratio: failed, 75.00× < 100.00× (goal), by -25.00×",
        "clips_judged: passed, 2 of 2",
    )
    line = check(metrics_of(measured(), None), ALL, Limits()).checks[0]
    assert line == "psnr_model: failed, psnr_prototype was not measured"


@pytest.mark.parametrize("clips", [Clips(1, 2), Clips(0, 2), Clips(0, 0)])
def test_a_clip_that_was_not_judged_fails_the_gate(clips: Clips) -> None:
    result = check(metrics_of(measured(30.0), measured(25.0)), clips, Limits())
    assert not result.passed
    assert result.checks[-1] == f"clips_judged: failed, {clips.judged} of {clips.wanted}"


OWN = GateResult(True, ("ssim: passed, 0.9 >= 0.8", "clips_judged: passed, 2 of 2"))


def test_the_evaluations_own_gate_has_to_pass_too() -> None:
    good = metrics_of(measured(30.0), measured(25.0))
    both = check(good, ALL, Limits(), OWN)
    assert both.passed
    # What both say is said once.
    assert both.checks[1:] == ("clips_judged: passed, 2 of 2", "ssim: passed, 0.9 >= 0.8")
    assert not check(good, ALL, Limits(), replace(OWN, passed=False)).passed
    assert not check(metrics_of(measured(24.0), measured(25.0)), ALL, Limits(), OWN).passed

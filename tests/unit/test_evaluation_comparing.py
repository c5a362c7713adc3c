"""Comparing subjects and checking gates, once they are judged."""

from __future__ import annotations

from typing import Any

import pytest
from autoisp_core.errors import FailedPreconditionError, InvalidArgumentError, NotFoundError
from autoisp_core.quality import Scope, Verdict
from autoisp_evaluation.domain import Evaluation, Sensor
from evaluation_fakes import NOW, World, evaluation, result

GATE = '[[check]]\nmetric = "psnr"\nat_least = 29'
PSNR = {"prototype": [20.0, 21.0, 20.5], "model": [30.0, 31.0, 30.4]}


def judged(name: str, psnr: dict[str, list[float]], **changes: Any) -> Evaluation:
    current = evaluation(name=name, **changes)
    for clip in current.clips:
        after = current.judged(result(clip.clip, psnr), NOW)  # type: ignore[arg-type]
        assert after is not None
        current = after
    return current


@pytest.fixture
def world() -> World:
    """Two evaluations of the same frames, one of others, and one that runs."""
    found = World()
    better = {"prototype": PSNR["prototype"], "model": [value + 0.2 for value in PSNR["model"]]}
    for one in (
        judged("evaluations/a", PSNR),
        judged("evaluations/b", better),
        judged(
            "evaluations/c", better, seed=4, frames_per_clip=9, sensor=Sensor("action"), dataset="datasets/x"
        ),
        evaluation(name="evaluations/r"),
    ):
        found.store.rows[one.name] = one
    return found


async def test_two_subjects_of_one_evaluation(world: World) -> None:
    psnr, ssim = await world.comparing.compare("evaluations/a", "prototype", "model")
    assert (psnr.metric, ssim.metric) == ("psnr", "ssim")
    assert (psnr.subject, psnr.baseline) == ("prototype", "model")
    assert psnr.verdict is Verdict.WORSE
    assert psnr.improvement.mean == pytest.approx(-9.967, abs=0.001)
    assert psnr.scope is Scope.THESE_CLIPS


async def test_subjects_of_two_evaluations_of_the_same_frames(world: World) -> None:
    compare = world.comparing.compare
    (psnr, _) = await compare("evaluations/b", "model", "model", "evaluations/a")
    assert psnr.verdict is Verdict.BETTER
    assert psnr.improvement.mean == pytest.approx(0.2)
    (within, ssim) = await compare(
        "evaluations/b", "model", "model", "evaluations/a", {"psnr": 0.5, "ssim": 1}
    )
    assert (within.verdict, within.margin) == (Verdict.SAME, 0.5)
    assert ssim.verdict is Verdict.SAME
    (other, _) = await compare("evaluations/b", "model", "model", "evaluations/a", scope=Scope.OTHER_CLIPS)
    assert other.scope is Scope.OTHER_CLIPS


async def test_what_differs_between_two_evaluations_is_named(world: World) -> None:
    with pytest.raises(InvalidArgumentError) as caught:
        await world.comparing.compare("evaluations/a", "model", "model", "evaluations/c")
    assert caught.value.field == "baseline_evaluation"
    assert caught.value.reason == "OTHER_FRAMES"
    assert "they differ in dataset, sensor, seed, frames_per_clip;" in caught.value.message


@pytest.mark.parametrize(
    ("arguments", "kind", "field"),
    [
        (("a", "model", "prototype"), InvalidArgumentError, "evaluation"),
        (("evaluations/none", "model", "prototype"), NotFoundError, "evaluation"),
        (("evaluations/r", "model", "prototype"), FailedPreconditionError, "evaluation"),
        (("evaluations/a", "model", "model", "b"), InvalidArgumentError, "baseline_evaluation"),
        (("evaluations/a", "model", "model", "evaluations/none"), NotFoundError, "baseline_evaluation"),
        (
            ("evaluations/a", "model", "model", "evaluations/r"),
            FailedPreconditionError,
            "baseline_evaluation",
        ),
        (("evaluations/a", "nobody", "prototype"), InvalidArgumentError, "subject"),
        (("evaluations/a", "model", ""), InvalidArgumentError, "baseline"),
        (("evaluations/a", "model", "model"), InvalidArgumentError, "baseline"),
        (("evaluations/a", "model", "model", "evaluations/a"), InvalidArgumentError, "baseline"),
        (
            ("evaluations/a", "model", "prototype", "", {"beauty": 1.0}),
            InvalidArgumentError,
            "margins[beauty]",
        ),
        (("evaluations/a", "model", "prototype", "", {"psnr": -1.0}), InvalidArgumentError, "margins"),
        (
            ("evaluations/a", "model", "prototype", "", {"psnr": float("nan")}),
            InvalidArgumentError,
            "margins",
        ),
    ],
)
async def test_bad_comparisons_name_the_field(
    world: World, arguments: tuple[Any, ...], kind: type[Exception], field: str
) -> None:
    with pytest.raises(kind) as caught:
        await world.comparing.compare(*arguments)
    assert caught.value.metadata["field"] == field  # type: ignore[attr-defined]


async def test_any_gate_can_be_checked_at_any_time(world: World) -> None:
    report = await world.comparing.check_gate("evaluations/a", GATE)
    assert report.passed
    assert report.checks[0].text == "psnr: passed, 30.47 dB >= 29.00 dB"
    stricter = await world.comparing.check_gate("evaluations/a", GATE.replace("29", "31"))
    assert not stricter.passed
    unmeasured = await world.comparing.check_gate("evaluations/a", GATE.replace("psnr", "vmaf"))
    assert unmeasured.checks[0].text == "vmaf: failed, it was not measured"


@pytest.mark.parametrize(
    ("name", "gate", "kind", "field"),
    [
        ("a", GATE, InvalidArgumentError, "evaluation"),
        ("evaluations/none", GATE, NotFoundError, "evaluation"),
        ("evaluations/r", GATE, FailedPreconditionError, "evaluation"),
        ("evaluations/a", "", InvalidArgumentError, "gate"),
        ("evaluations/a", 'subject = "nobody"\n' + GATE, InvalidArgumentError, "gate"),
    ],
)
async def test_bad_gate_checks_name_the_field(
    world: World, name: str, gate: str, kind: type[Exception], field: str
) -> None:
    with pytest.raises(kind) as caught:
        await world.comparing.check_gate(name, gate)
    assert caught.value.metadata["field"] == field  # type: ignore[attr-defined]

"""The gate: is a found network, as it was measured, good enough to replace its prototype?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from autoisp_core.quality import GateCheck, GateReport
from autoisp_core.quality.gate_report import checked, clips_judged

from autoisp_registry.domain import GateResult, finite


@dataclass(frozen=True)
class Measured:
    """Totals of one subject of an evaluation.

    Args:
        psnr_db, ssim: mean over clips of each clip's mean over frames.
        macs_per_pixel: multiply-accumulates per output pixel; None if they can't be counted.
        seconds_per_megapixel: median, one thread.
        metrics: means of all metrics by name.
    """

    psnr_db: float
    ssim: float
    macs_per_pixel: float | None
    parameters: int
    size_bytes: int
    seconds_per_megapixel: float
    metrics: Mapping[str, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Clips:
    """How many clips were to be judged, and how many were, by every subject: the totals are of those."""

    judged: int
    wanted: int


@dataclass(frozen=True)
class Limits:
    """What the search was asked to keep to; None does not bind."""

    macs_per_pixel: float | None = None
    latency_ratio: float | None = None


def metrics_of(model: Measured, prototype: Measured | None) -> dict[str, float]:
    """The figures of a version, under the names that everybody uses; without those that are unknown."""
    metrics = {
        **model.metrics,
        "psnr": model.psnr_db,
        "ssim": model.ssim,
        "psnr_model": model.psnr_db,
        "ssim_model": model.ssim,
        "seconds_per_megapixel_model": model.seconds_per_megapixel,
        "parameters": float(model.parameters),
        "size_bytes": float(model.size_bytes),
    }
    if model.macs_per_pixel is not None:
        metrics["macs_per_pixel"] = model.macs_per_pixel
    if prototype is not None:
        metrics["psnr_prototype"] = prototype.psnr_db
        metrics["ssim_prototype"] = prototype.ssim
        metrics["seconds_per_megapixel_prototype"] = prototype.seconds_per_megapixel
        if model.seconds_per_megapixel > 0:
            metrics["latency_ratio"] = prototype.seconds_per_megapixel / model.seconds_per_megapixel
        if prototype.macs_per_pixel is not None and model.macs_per_pixel:
            metrics["mac_ratio"] = prototype.macs_per_pixel / model.macs_per_pixel
    return finite(metrics)


def check(
    metrics: Mapping[str, float], clips: Clips, limits: Limits, own_gate: GateResult | None = None
) -> GateResult:
    """Compare the metrics of :func:`metrics_of` with what was asked; what is unknown does not pass.

    Args:
        own_gate: what the evaluation's own gate said, which has to pass too.
    """
    checks = [_not_below_prototype(metrics)]
    if limits.macs_per_pixel is not None:
        found = metrics.get("macs_per_pixel")
        checks.append(
            checked(
                "macs_per_pixel", found, limits.macs_per_pixel, at_least=False, unit="MAC", more=" (limit)"
            )
        )
    if limits.latency_ratio is not None:
        checks.append(_fast_enough(metrics, limits.latency_ratio))
    # A network that breaks on one clip must not pass on the others.
    checks.append(clips_judged(clips.judged, clips.wanted))
    report = GateReport.of(checks)
    lines = tuple(check.text for check in report.checks)
    if own_gate is None:
        return GateResult(report.passed, lines)
    return GateResult(
        report.passed and own_gate.passed, (*lines, *(line for line in own_gate.checks if line not in lines))
    )


def _not_below_prototype(metrics: Mapping[str, float]) -> GateCheck:
    value, bound = metrics.get("psnr_model"), metrics.get("psnr_prototype")
    if value is None or bound is None:
        missing = "psnr_model" if value is None else "psnr_prototype"
        return GateCheck(False, f"psnr_model: failed, {missing} was not measured")
    return checked(
        "psnr_model",
        value,
        bound,
        at_least=True,
        unit="dB",
        more=f" (psnr_prototype), by {value - bound:+.2f} dB",
    )


def _fast_enough(metrics: Mapping[str, float], goal: float) -> GateCheck:
    value = metrics.get("latency_ratio")
    by = "" if value is None else f", by {value - goal:+.2f}×"
    return checked("latency_ratio", value, goal, at_least=True, unit="×", more=f" (goal){by}")

"""The gate: is a found network, as it was measured, good enough to replace its prototype?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from autoisp_registry.domain import GateResult, finite


@dataclass(frozen=True)
class Measured:
    """Totals of one subject of an evaluation.

    Args:
        psnr_db, ssim: mean over clips of each clip's mean over frames.
        macs_per_pixel: multiply-accumulates per output pixel; None if they can't be counted.
        seconds_per_megapixel: median, one thread.
    """

    psnr_db: float
    ssim: float
    macs_per_pixel: float | None
    parameters: int
    size_bytes: int
    seconds_per_megapixel: float


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


def check(metrics: Mapping[str, float], clips: Clips, limits: Limits) -> GateResult:
    """Compare the metrics of :func:`metrics_of` with what was asked; what is unknown does not pass."""
    checks = [_at_least(metrics, "psnr_model", metrics.get("psnr_prototype"), "psnr_prototype", " dB")]
    if limits.macs_per_pixel is not None:
        checks.append(_at_most(metrics, "macs_per_pixel", limits.macs_per_pixel, "limit"))
    if limits.latency_ratio is not None:
        checks.append(_at_least(metrics, "latency_ratio", limits.latency_ratio, "goal", "×"))
    checks.append(_all_judged(clips))
    return GateResult(all(passed for passed, _ in checks), tuple(line for _, line in checks))


def _at_least(
    metrics: Mapping[str, float], name: str, bound: float | None, bound_name: str, unit: str
) -> tuple[bool, str]:
    value = metrics.get(name)
    if value is None or bound is None:
        return False, f"{name}: failed, {name if value is None else bound_name} was not measured"
    passed = value >= bound
    sign = ">=" if passed else "<"
    return passed, (
        f"{name}: {_verdict(passed)}, {value:.2f}{unit} {sign} {bound:.2f}{unit} ({bound_name}), "
        f"by {value - bound:+.2f}{unit}"
    )


def _at_most(metrics: Mapping[str, float], name: str, bound: float, bound_name: str) -> tuple[bool, str]:
    value = metrics.get(name)
    if value is None:
        return False, f"{name}: failed, {name} was not measured"
    passed = value <= bound
    sign = "<=" if passed else ">"
    return passed, f"{name}: {_verdict(passed)}, {value:.1f} {sign} {bound:.1f} ({bound_name})"


def _all_judged(clips: Clips) -> tuple[bool, str]:
    # A network that breaks on one clip must not pass on the others.
    passed = 0 < clips.wanted == clips.judged
    return passed, f"clips_judged: {_verdict(passed)}, {clips.judged} of {clips.wanted}"


def _verdict(passed: bool) -> str:
    return "passed" if passed else "failed"

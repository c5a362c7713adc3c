"""Short phrases that the views share."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from autoisp.common.v1 import common_pb2
from autoisp.search.v1 import search_pb2
from autoisp_core.spec import Spec, SpecError

from autoisp_cli.report.figures import number


def cost_text(cost: common_pb2.Cost) -> str:
    """``2 881 MAC/px, 48.1 ms/MP``, as far as known."""
    parts = []
    if cost.HasField("macs_per_pixel"):
        parts.append(f"{number(cost.macs_per_pixel)} MAC/px")
    if cost.seconds_per_megapixel:
        parts.append(f"{number(cost.seconds_per_megapixel * 1e3)} ms/MP")
    return ", ".join(parts)


def budget_text(search: search_pb2.Search) -> str:
    """The budget in absolute terms."""
    parts = []
    if search.HasField("macs_per_pixel_limit"):
        parts.append(f"{number(search.macs_per_pixel_limit)} MAC/px")
    if search.HasField("seconds_per_megapixel_limit"):
        parts.append(f"{number(search.seconds_per_megapixel_limit * 1e3)} ms/MP")
    return " and ".join(parts) or "none"


def spec_text(trial: search_pb2.Trial) -> str:
    """``16 wide, 2×6 layers, 3 frames``; empty if the spec can't be read."""
    try:
        spec = Spec.from_json(trial.spec)
    except SpecError:
        return ""
    frames = f"{spec.frames} frame{'s' if spec.frames != 1 else ''}"
    return f"{spec.width} wide, {spec.repeats}×{len(spec.block) - 1} layers, {frames}"


def trial_line(trial: search_pb2.Trial) -> str:
    """One ended trial in one line."""
    name = trial.name.rsplit("/", 1)[-1]
    state = search_pb2.TrialState.Name(trial.state).removeprefix("TRIAL_STATE_").lower()
    if trial.state == search_pb2.TRIAL_STATE_SUCCEEDED:
        return f"{name}: {trial.quality.psnr_db:.2f} dB at {cost_text(trial.cost)}"
    return f"{name}: {state}" + (f" ({trial.failure.message})" if trial.failure.message else "")


def result_lines(figures: Mapping[str, Any]) -> list[str]:
    """The figures of a finished job, for a terminal."""
    lines = [
        f"PSNR {figures['psnr_prototype']:.2f} → {figures['psnr_model']:.2f} dB, "
        f"SSIM {figures['ssim_prototype']:.4f} → {figures['ssim_model']:.4f} "
        f"on {', '.join(figures['test_clips'])}"
    ]
    if figures["mac_ratio"]:
        macs, before = number(figures["macs_per_pixel"]), number(figures["macs_per_pixel_prototype"])
        lines.append(f"{before} → {macs} MAC per output pixel, 1/{figures['mac_ratio']:,.1f}")
    if figures["latency_ratio"]:
        slow, fast = figures["seconds_per_megapixel_prototype"], figures["seconds_per_megapixel"]
        lines.append(
            f"{number(slow * 1e3)} → {number(fast * 1e3)} ms per megapixel on one thread, "
            f"{figures['latency_ratio']:,.1f}× faster"
        )
    lines += [
        f"not judged: {clip['display_name'] or clip['clip']}, {clip['failure']}"
        for clip in figures["clips"]
        if clip["failure"]
    ]
    if not figures["passed"]:
        lines += [f"check: {check}" for check in figures["checks"]]
    return lines

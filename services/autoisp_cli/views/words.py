"""Short phrases that the views share."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from autoisp.common.v1 import common_pb2
from autoisp.prototype.v1 import prototype_pb2
from autoisp.search.v1 import search_pb2
from autoisp_core.spec import Spec, SpecError

from autoisp_cli.choice import Choice
from autoisp_cli.registry.short_names import short_version
from autoisp_cli.report.figures import figure, number
from autoisp_cli.tune.progress import RungProgress


def cost_text(cost: common_pb2.Cost) -> str:
    """``2 881 MAC/px, 48.1 ms/MP``, as far as known."""
    parts = []
    if cost.HasField("macs_per_pixel"):
        parts.append(f"{number(cost.macs_per_pixel)} MAC/px")
    if cost.seconds_per_megapixel:
        parts.append(f"{number(cost.seconds_per_megapixel * 1e3)} ms/MP")
    return ", ".join(parts)


def lessons_text(profile: prototype_pb2.PrototypeProfile) -> str:
    """``120 lessons, 40 of real raw, in 29 s``; empty if the prototype teaches nothing."""
    if not profile.HasField("lessons"):
        return ""
    lessons = profile.lessons
    real = f", {lessons.real} of real raw" if lessons.real else ""
    return f"{lessons.count} lessons{real}, in {figure(lessons.seconds)} s"


def budget_text(search: search_pb2.Search) -> str:
    """The budget in absolute terms."""
    parts = []
    if search.HasField("macs_per_pixel_limit"):
        parts.append(f"{number(search.macs_per_pixel_limit)} MAC/px")
    if search.HasField("seconds_per_megapixel_limit"):
        parts.append(f"{number(search.seconds_per_megapixel_limit * 1e3)} ms/MP")
    return " and ".join(parts) or "none"


def choice_lines(choices: Sequence[Choice]) -> list[str]:
    """One line each: name, value, and in brackets the reason and the option that decides it."""
    width = max(len(choice.name) for choice in choices)
    lines = []
    for choice in choices:
        after = "; ".join(word for word in (choice.why, choice.option) if word)
        lines.append(f"{choice.name:<{width}}  {choice.value}" + (f"  ({after})" if after else ""))
    return lines


def objectives_text(search: search_pb2.Search) -> str:
    """``quality`` or ``quality, macs``; what a service leaves empty is quality alone."""
    return ", ".join(search.objectives) or "quality"


def space_text(space: search_pb2.SearchSpace) -> str:
    """``blocks of 1–5 layers of 9 types, widths 8–64, …``: what a search may choose from."""
    parts = [f"up to {space.max_layers} layers of {len(space.types)} types"]
    parts.append(f"widths {_range(space.widths)}, repeats {_range(space.repeats)}")
    parts.append(f"packing {_either(space.packings)}, frames {_either(space.frames)}")
    for name, values, words in (
        ("state", space.recurrent, ("off", "on")),
        ("residual", space.residual, ("off", "on")),
        ("head", space.heads, ("shuffle", "kernels")),
    ):
        if any(values):
            parts.append(f"{name} {_either([words[value] for value in values])}")
    return ", ".join(parts)


def figures_text(figures: Mapping[str, float]) -> str:
    """What a strategy tells of itself: ``rank correlation 0.81, latency error 6 %``; empty if nothing."""
    return ", ".join(_figure_text(name, value) for name, value in sorted(figures.items()))


def rungs_text(rungs: Sequence[RungProgress]) -> str:
    """``14/16 · 3/4 (1 running) · 0/2``: each rung's trials done of those planned, cheapest rung first."""
    return " · ".join(
        f"{rung.done}/{rung.planned}" + (f" ({rung.running} running)" if rung.running else "")
        for rung in rungs
    )


def front_text(trials: Sequence[search_pb2.Trial]) -> str:
    """A front from its cheapest to its best: ``5 networks, 24.10 dB at 310 MAC/px … 27.90 dB at …``."""
    if not trials:
        return ""
    ends = [trials[0], trials[-1]][: len(trials)]
    words = [f"{trial.quality.psnr_db:.2f} dB at {cost_text(trial.cost)}" for trial in ends]
    return f"{len(trials)} network{'s' if len(trials) != 1 else ''}, {' … '.join(words)}"


def spec_text(trial: search_pb2.Trial) -> str:
    """``16 wide, 2×6 layers, 3 frames``; empty if the spec can't be read."""
    try:
        spec = Spec.from_json(trial.spec)
    except SpecError:
        return ""
    parts = [f"{spec.width} wide", f"{spec.repeats}×{len(spec.block) - 1} layers"]
    parts.append(f"{spec.frames} frame{'s' if spec.frames != 1 else ''}")
    parts += [word for on, word in ((spec.recurrent, "state"), (spec.residual, "residual")) if on]
    return ", ".join(parts + (["kernels"] if spec.head else []))


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
    elif version := figures.get("model_version"):
        short = short_version(version)
        lines.append(f"next: autoisp models show {short}, autoisp channels create --help")
    return lines


def _figure_text(name: str, value: float) -> str:
    words = name.removesuffix("_percent").replace("_", " ")
    return f"{words} {figure(value)} %" if name.endswith("_percent") else f"{words} {figure(value)}"


def _range(values: Sequence[int]) -> str:
    return f"{min(values)}–{max(values)}" if len(values) > 1 else _either(values)


def _either(values: Iterable[object]) -> str:
    return "/".join(map(str, values))

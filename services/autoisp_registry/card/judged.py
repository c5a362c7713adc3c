"""What an evaluation found: quality, cost, clips, gate."""

from __future__ import annotations

import math

from autoisp_core.quality.figures import COSTS
from autoisp_core.quality.metric import METRICS
from autoisp_core.quality.results import QUALITY_OF, ClipResult, Cost, Estimate, State, SubjectResult

from autoisp_registry.card.markdown import escaped, number, table
from autoisp_registry.lineage import Provenance

_WORDS = {
    "macs_per_pixel": "Arithmetic, MAC per pixel",
    "parameters": "Parameters",
    "size_bytes": "ONNX file, bytes",
    "seconds_per_megapixel": "Time on one thread, s per megapixel",
    "state_bytes_per_pixel": "State between frames, bytes per pixel",
    "bytes_per_pixel": "Memory traffic, bytes per pixel",
    "peak_activation_bytes_per_pixel": "Peak of feature maps, bytes per pixel",
    "latency_p50": "Latency, median, s per megapixel",
    "latency_p95": "Latency, 95th percentile, s per megapixel",
    "latency_p99": "Latency, 99th percentile, s per megapixel",
    "peak_memory_bytes": "Peak memory, bytes",
}


def quality(provenance: Provenance) -> str:
    """Every metric of the version beside what it replaces."""
    found = provenance.newest
    if found is None:
        return _registered_figures(provenance)
    evidence, judgement = found
    own, base = judgement.total(evidence.label), judgement.baseline(evidence.label)
    assert own is not None, "the newest evidence judged the version"
    other = escaped(base.label) if base else ""
    head = ["Metric", "This version", "95 % for other clips", *([other, "Difference"] if base else [])]
    rows = []
    for name in dict.fromkeys([*QUALITY_OF, *(result.metric for result in own.metrics)]):
        metric = METRICS.get(name)
        value, reference = _mean(own, name), _mean(base, name) if base else None
        row = [
            f"{escaped(name)}{f' ({metric.unit})' if metric and metric.unit else ''}",
            number(value),
            _interval(own, name),
        ]
        if base:
            row += [number(reference), _difference(name, value, reference)]
        rows.append(row)
    clips = sum(clip.state is State.SUCCEEDED for clip in judgement.clips)
    where = f"{clips} of {len(judgement.clips)} {judgement.split} clips of {escaped(judgement.dataset)}"
    return f"## Quality\n\nMeasured by {escaped(evidence.evaluation)} on {where}.\n\n{table(head, rows)}"


def costs(provenance: Provenance) -> str:
    """What it costs beside what it replaces, with latencies."""
    found = provenance.newest
    own = provenance.version.content.cost
    own_figures, base_figures, other = _costs_of(own, None), {}, ""
    if found is not None:
        evidence, judgement = found
        total, base = judgement.total(evidence.label), judgement.baseline(evidence.label)
        own_figures = {**own_figures, **(_costs_of(total.cost, total) if total else {})}
        if base is not None:
            base_figures, other = _costs_of(base.cost, base), escaped(base.label)
    if not own_figures:
        return ""
    head = ["Cost", "This version", *([other, "Ratio"] if other else [])]
    rows = []
    for name in (name for name in COSTS if name in own_figures):
        value, reference = own_figures[name], base_figures.get(name)
        row = [_WORDS.get(name, name), number(value)]
        if other:
            ratio = reference / value if reference is not None and value else None
            row += [number(reference), f"{number(ratio, 3)} ×" if ratio else "–"]
        rows.append(row)
    return f"## Cost\n\n{table(head, rows)}"


def clips(provenance: Provenance) -> str:
    """How it does clip by clip, and where it is weakest."""
    found = provenance.newest
    if found is None or not found[1].clips:
        return ""
    evidence, judgement = found
    base = judgement.baseline(evidence.label)
    label = evidence.label
    head = ["Clip", "PSNR, dB", "SSIM", *([f"PSNR of {escaped(base.label)}, dB"] if base else [])]
    good = [clip for clip in judgement.clips if clip.subject(label) is not None]
    rows = []
    for clip in sorted(good, key=lambda clip: _psnr(clip, label)):
        own = clip.subject(label)
        assert own is not None
        row = [
            escaped(clip.display_name or clip.clip),
            f"{_psnr(clip, label):.2f}",
            number(_mean(own, "ssim")),
        ]
        if base:
            row.append(f"{_psnr(clip, base.label):.2f}" if clip.subject(base.label) else "–")
        rows.append(row)
    limits = []
    if good:
        worst = min(good, key=lambda clip: _psnr(clip, label))
        name = escaped(worst.display_name or worst.clip)
        limits.append(f"- It does worst on {name}: {_psnr(worst, label):.2f} dB.")
        if base and (lost := [clip for clip in good if _loses(clip, label, base.label)]):
            names = ", ".join(escaped(clip.display_name or clip.clip) for clip in lost)
            limits.append(f"- It is below {escaped(base.label)} on {names}.")
    for clip in judgement.clips:
        if clip.state is not State.SUCCEEDED:
            why = escaped(clip.failure.message) if clip.failure else "it was not judged"
            limits.append(f"- {escaped(clip.display_name or clip.clip)} could not be judged: {why}")
    parts = ["## Clips and limits", "\n".join(limits), table(head, rows) if rows else ""]
    return "\n\n".join(part for part in parts if part)


def gate(provenance: Provenance) -> str:
    """What was checked before it could become champion."""
    result = provenance.version.content.gate
    found = provenance.newest
    passed, checks = (result.passed, result.checks) if result else (None, ())
    if result is None and found is not None:
        passed, checks = found[1].gate_passed, found[1].gate_checks
    if passed is None:
        return "## Gate\n\nNo gate was checked."
    lines = "\n".join(f"- {escaped(check)}" for check in checks)
    return f"## Gate\n\n**{'Passed' if passed else 'Failed'}.**\n\n{lines}".rstrip()


def _registered_figures(provenance: Provenance) -> str:
    metrics = provenance.version.content.metrics
    if not metrics:
        return "## Quality\n\nNot measured: no evaluation has judged this version."
    rows = [[escaped(name), number(value)] for name, value in sorted(metrics.items())]
    text = "As it was registered; no evaluation of it is kept here."
    return f"## Quality\n\n{text}\n\n{table(['Figure', 'This version'], rows)}"


def _estimate(result: SubjectResult, name: str) -> Estimate | None:
    found = next((metric for metric in result.metrics if metric.metric == name), None)
    return (found.across or found.within) if found else None


def _mean(result: SubjectResult, name: str) -> float | None:
    if (estimate := _estimate(result, name)) is not None:
        return estimate.mean
    return getattr(result.mean, QUALITY_OF[name]) if name in QUALITY_OF else None


def _interval(result: SubjectResult, name: str) -> str:
    estimate = _estimate(result, name)
    if estimate is None or abs(estimate.low) == float("inf") or abs(estimate.high) == float("inf"):
        return "–"
    return f"{number(estimate.low)} to {number(estimate.high)}"


def _difference(name: str, value: float | None, reference: float | None) -> str:
    if value is None or reference is None or not math.isfinite(value - reference):
        return "–"
    metric = METRICS.get(name)
    if metric is None:
        return f"{value - reference:+.4g}"
    better = metric.improvement(value, reference)
    return f"{value - reference:+.4g} ({'better' if better > 0 else 'worse' if better < 0 else 'same'})"


def _costs_of(cost: Cost | None, result: SubjectResult | None) -> dict[str, float]:
    found: dict[str, float] = {}
    if cost is not None:
        values = {name: getattr(cost, name, None) for name in COSTS}
        # A network may have no state; any other nought was not measured.
        known = {name: value for name, value in values.items() if value or name == "state_bytes_per_pixel"}
        found = {name: float(value) for name, value in known.items() if value is not None}
    if result is not None and (latency := result.latency) is not None:
        found |= {"latency_p50": latency.p50, "latency_p95": latency.p95, "latency_p99": latency.p99}
        if latency.peak_memory_bytes:
            found["peak_memory_bytes"] = float(latency.peak_memory_bytes)
    return found


def _psnr(clip: ClipResult, label: str) -> float:
    result = clip.subject(label)
    value = _mean(result, "psnr") if result else None
    return float("inf") if value is None else value


def _loses(clip: ClipResult, label: str, baseline: str) -> bool:
    return clip.subject(baseline) is not None and _psnr(clip, label) < _psnr(clip, baseline)

"""``result.json``: the report's figures for programs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from autoisp.evaluation.v1 import evaluation_pb2
from autoisp.search.v1 import search_pb2

from autoisp_cli.choice import Choice
from autoisp_cli.report.outcome import MODEL, PROTOTYPE, Outcome, failure_text, is_judged, macs, subject


def result(outcome: Outcome) -> dict[str, Any]:
    """The figures as plain JSON values; a figure that nobody could measure is None.

    Quality is the mean over the unseen clips of each clip's mean over frames; PSNR in dB, cost in
    multiply-accumulates per output pixel, time in seconds per output megapixel at one thread.
    """
    prototype, model = outcome.total(PROTOTYPE), outcome.total(MODEL)
    search = outcome.search
    return {
        "verdict": outcome.verdict(),
        "passed": outcome.passed,
        "checks": list(outcome.version.gate.checks),
        "psnr_prototype": prototype.quality.psnr_db,
        "psnr_model": model.quality.psnr_db,
        "ssim_prototype": prototype.quality.ssim,
        "ssim_model": model.quality.ssim,
        "macs_per_pixel": macs(model.cost),
        "macs_per_pixel_prototype": macs(prototype.cost),
        "mac_ratio": outcome.mac_ratio,
        "seconds_per_megapixel": model.cost.seconds_per_megapixel,
        "seconds_per_megapixel_prototype": prototype.cost.seconds_per_megapixel,
        "latency_ratio": outcome.latency_ratio,
        "parameters": model.cost.parameters,
        "size_bytes": model.cost.size_bytes,
        "budget": {
            "reduction": search.budget.reduction if search.budget.HasField("reduction") else None,
            "macs_per_pixel_limit": _optional(search, "macs_per_pixel_limit"),
            "seconds_per_megapixel_limit": _optional(search, "seconds_per_megapixel_limit"),
        },
        "test_clips": [clip.display_name or clip.clip for clip in outcome.judged_clips],
        "clips": [_clip(clip) for clip in outcome.evaluation.clips],
        "trials": len(outcome.trials),
        "trial_states": trial_states(outcome.trials),
        "strategy": search.strategy,
        "objectives": list(search.objectives) or ["quality"],
        "strategy_figures": dict(search.strategy_figures),
        "front": [trial_figures(trial) for trial in outcome.front],
        "choices": choice_dicts(outcome.settings),
        "search": search.name,
        "best_trial": search.best_trial,
        "evaluation": outcome.evaluation.name,
        "dataset": outcome.dataset.name,
        "model_version": outcome.version.name,
        "spec": outcome.version.spec or outcome.best_trial.spec,
        "onnx": str(outcome.onnx) if outcome.onnx else None,
        "onnx_sha256": outcome.version.onnx.sha256,
        "seed": search.seed,
        "seconds": round(outcome.seconds, 3),
        "resumed": outcome.resumed,
    }


def choice_dicts(choices: Sequence[Choice]) -> dict[str, dict[str, str]]:
    """Name to what was chosen, why, and the option that decides it."""
    return {
        choice.name: {"value": choice.value, "why": choice.why, "option": choice.option} for choice in choices
    }


def trial_figures(trial: search_pb2.Trial) -> dict[str, Any]:
    """What a trial came to on the validation frames."""
    return {
        "trial": trial.name,
        "rung": trial.rung,
        "psnr_db": trial.quality.psnr_db,
        "macs_per_pixel": macs(trial.cost),
        "seconds_per_megapixel": trial.cost.seconds_per_megapixel or None,
    }


def trial_states(trials: Any) -> dict[str, int]:
    """How many trials ended in which way, as ``{"succeeded": 12, "pruned": 3}``."""
    counts: dict[str, int] = {}
    for trial in trials:
        name = search_pb2.TrialState.Name(trial.state).removeprefix("TRIAL_STATE_").lower()
        counts[name] = counts.get(name, 0) + 1
    return dict(sorted(counts.items()))


def _clip(clip: evaluation_pb2.ClipResult) -> dict[str, Any]:
    prototype, model = subject(clip.subjects, PROTOTYPE), subject(clip.subjects, MODEL)
    judged = is_judged(clip)
    return {
        "clip": clip.clip,
        "display_name": clip.display_name,
        "frames": len(model.frames) if judged else 0,
        "psnr_prototype": prototype.quality.psnr_db if judged else None,
        "psnr_model": model.quality.psnr_db if judged else None,
        "ssim_prototype": prototype.quality.ssim if judged else None,
        "ssim_model": model.quality.ssim if judged else None,
        "failure": failure_text(clip),
    }


def _optional(search: search_pb2.Search, field: str) -> float | None:
    return float(getattr(search, field)) if search.HasField(field) else None  # type: ignore[arg-type]

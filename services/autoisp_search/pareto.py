"""Which trials are worth having: ranking within the budget, and the front of quality against cost."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from autoisp_search.domain import Search, Trial, TrialState


def succeeded(trials: Iterable[Trial], rung: int | None = None) -> list[Trial]:
    """The trials with a network and its quality; of one rung if it is given."""
    return [
        trial
        for trial in trials
        if trial.state is TrialState.SUCCEEDED and trial.quality and rung in (None, trial.rung)
    ]


def ranked(search: Search, trials: Sequence[Trial], measured: Iterable[Trial]) -> list[Trial]:
    """Best first: within the budget, then PSNR, then cost, then age.

    Args:
        search: its limits.
        trials: what to rank; all have a quality.
        measured: trials whose timings count. A spec is as fast as the fastest of its trials was: what else
            the machine had to do only ever adds time.
    """
    seconds: dict[str, float] = {}
    for trial in (*measured, *trials):
        if trial.cost is not None and trial.state is TrialState.SUCCEEDED:
            known = seconds.get(trial.spec_hash, math.inf)
            seconds[trial.spec_hash] = min(known, trial.cost.seconds_per_megapixel)

    def key(trial: Trial) -> tuple[object, ...]:
        fits = _within(search, trial, seconds.get(trial.spec_hash, math.inf))
        return (not fits, -_psnr(trial), _cost(trial), trial.trial_id)

    return sorted(trials, key=key)


def _within(search: Search, trial: Trial, seconds: float) -> bool:
    macs = trial.cost.macs_per_pixel if trial.cost else None
    if search.macs_limit is not None and (macs is None or macs > search.macs_limit):
        return False
    return search.seconds_limit is None or seconds <= search.seconds_limit


def pareto_front(trials: Iterable[Trial]) -> tuple[str, ...]:
    """Ids of the trials that no other beats in both PSNR and MAC per pixel, cheapest first.

    A spec counts once, with its highest fidelity.
    """
    latest: dict[str, Trial] = {}
    for trial in succeeded(trials):
        known = latest.get(trial.spec_hash)
        if known is None or trial.rung > known.rung:
            latest[trial.spec_hash] = trial
    front: list[str] = []
    best = float("-inf")
    for trial in sorted(latest.values(), key=lambda trial: (_cost(trial)[0], -_psnr(trial), trial.trial_id)):
        if _psnr(trial) > best:
            best = _psnr(trial)
            front.append(trial.trial_id)
    return tuple(front)


def _psnr(trial: Trial) -> float:
    # A thousandth of a decibel is noise: let the cost decide there.
    return round(trial.quality.psnr_db, 3) if trial.quality else float("-inf")


def _cost(trial: Trial) -> tuple[float, float]:
    cost = trial.cost
    if cost is None or cost.macs_per_pixel is None:
        return (float("inf"), cost.seconds_per_megapixel if cost else float("inf"))
    return (cost.macs_per_pixel, cost.seconds_per_megapixel)

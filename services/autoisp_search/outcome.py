"""Why a search found nothing, in words that say what to change."""

from __future__ import annotations

import math
from collections.abc import Sequence

from autoisp_core.spec import cost

from autoisp_search.domain import Failure, Search, Trial, TrialState

UNREACHABLE = "BUDGET_UNREACHABLE"


def unreachable_macs(search: Search) -> Failure | None:
    """The failure if not even the cheapest network of the space keeps the limit in MAC per pixel."""
    limit = search.macs_limit
    cheapest = cost(search.settings.space.cheapest()).macs_per_pixel
    if limit is None or cheapest <= limit:
        return None
    return Failure(
        UNREACHABLE,
        f"the budget is {limit:.6g} MAC per pixel and the cheapest network of the space takes "
        f"{cheapest:.6g}; " + _fix(search, cheapest / limit, f"--budget-macs {math.ceil(cheapest)}"),
    )


def first_rung_failure(search: Search, trials: Sequence[Trial]) -> Failure:
    """Why the first rung ended without a network."""
    failed = [trial for trial in trials if trial.state is TrialState.FAILED]
    pruned = [trial for trial in trials if trial.state is TrialState.PRUNED]
    if failed:
        last = max(failed, key=lambda trial: trial.told or 0)
        cause = last.failure or Failure("UNKNOWN", "the worker gave no cause; see its log")
        return Failure(
            "ALL_TRIALS_FAILED",
            f"none of {len(trials)} trials succeeded; {len(failed)} failed, the last ({last.trial_id}) with "
            f"{cause.reason}: {cause.message}",
        )
    if pruned:
        return _over_budget(search, pruned)
    return Failure(
        "SPACE_EXHAUSTED",
        "the space has no network within the budget that could be tried; allow more widths, repeats or types "
        "in search.space",
    )


def _over_budget(search: Search, pruned: Sequence[Trial]) -> Failure:
    if search.seconds_limit is None:
        costs = [trial.cost.macs_per_pixel for trial in pruned if trial.cost and trial.cost.macs_per_pixel]
        limit, unit = search.macs_limit or 0.0, "MAC per pixel"
    else:
        costs = [
            trial.cost.seconds_per_megapixel
            for trial in pruned
            if trial.cost and trial.cost.seconds_per_megapixel
        ]
        limit, unit = search.seconds_limit, "seconds per megapixel"
    if not costs or not limit:
        return Failure(
            UNREACHABLE, f"all {len(pruned)} candidates were over the budget; ask for a smaller reduction"
        )
    cheapest = min(costs)
    return Failure(
        UNREACHABLE,
        f"all {len(pruned)} candidates were over the budget of {limit:.4g} {unit}: the cheapest took "
        f"{cheapest:.4g}; " + _fix(search, cheapest / limit, f"--budget-macs {math.ceil(cheapest)}"),
    )


def _fix(search: Search, excess: float, macs_option: str) -> str:
    reduction = search.settings.budget.reduction
    if reduction is None:
        return f"ask for at least {macs_option}"
    reachable = reduction / excess
    shown = f"{math.floor(reachable)}" if reachable >= 10 else f"{math.floor(reachable * 10) / 10:g}"
    return f"ask for a reduction of at most {shown} instead of {reduction:g}"

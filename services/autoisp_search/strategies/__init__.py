"""How a search chooses what to try next. A strategy knows nothing that the trials table does not."""

from __future__ import annotations

from collections.abc import Iterable
from functools import lru_cache

from autoisp_core.spec import Spec

from autoisp_search.domain import Search, Trial, TrialState
from autoisp_search.strategies.base import BudgetedStrategy, SpaceExhaustedError, Strategy, TrialOutcome
from autoisp_search.strategies.budgets import budget_for
from autoisp_search.strategies.evolution import EvolutionStrategy
from autoisp_search.strategies.random import RandomStrategy

STRATEGIES: dict[str, type[BudgetedStrategy]] = {"evolution": EvolutionStrategy, "random": RandomStrategy}
"""Strategies by the name that a user gives."""

__all__ = [
    "STRATEGIES",
    "BudgetedStrategy",
    "SpaceExhaustedError",
    "Strategy",
    "TrialOutcome",
    "rebuild",
]


def rebuild(search: Search, trials: Iterable[Trial]) -> Strategy:
    """The strategy as it was before: all specs of the first rung, results in the order they came."""
    settings = search.settings
    budget = budget_for(settings.space, macs=search.macs_limit, seconds=search.seconds_limit)
    strategy = STRATEGIES[settings.strategy](budget, seed=settings.seed, planned=search.rungs[0].trials)
    first_rung = [trial for trial in trials if trial.rung == 0]
    specs = {trial.ordinal: _parsed(trial.spec) for trial in first_rung}
    for trial in first_rung:
        strategy.remember(specs[trial.ordinal], trial.spec_hash)
    told = [trial for trial in first_rung if trial.told is not None]
    for trial in sorted(told, key=lambda trial: trial.told or 0):
        strategy.tell(specs[trial.ordinal], outcome(trial))
    return strategy


@lru_cache(maxsize=8192)
def _parsed(spec: str) -> Spec:
    """Specs never change, so each is read once: a rebuild after each result then takes a few milliseconds."""
    return Spec.from_json(spec)


def outcome(trial: Trial) -> TrialOutcome:
    """What a strategy learns from a finished trial."""
    cost = trial.cost
    return TrialOutcome(
        psnr_db=trial.quality.psnr_db if trial.quality and trial.state is TrialState.SUCCEEDED else None,
        seconds_per_megapixel=(cost.seconds_per_megapixel or None) if cost else None,
        pruned=trial.state is TrialState.PRUNED,
    )

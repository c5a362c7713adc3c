"""How a search chooses what to try next. A strategy knows nothing that the trials table does not."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import lru_cache
from importlib.util import find_spec

from autoisp_core.errors import InvalidArgumentError
from autoisp_core.spec import Spec

from autoisp_search.domain import Search, Trial, TrialState
from autoisp_search.strategies.base import (
    BudgetedStrategy,
    SpaceExhaustedError,
    Strategy,
    Task,
    TrialOutcome,
    warmed,
)
from autoisp_search.strategies.blockqnn import BlockQNN
from autoisp_search.strategies.budgets import budget_for
from autoisp_search.strategies.evolution import EvolutionStrategy
from autoisp_search.strategies.predictor import PredictorStrategy
from autoisp_search.strategies.random import RandomStrategy

Prior = Iterable[tuple[Spec, TrialOutcome]]


def _peer(name: str) -> Callable[[Task], Strategy]:
    def made(task: Task) -> Strategy:
        # Optuna takes half a second to import: only those pay who ask for it.
        from autoisp_search.strategies.peers import peer

        return peer(name, task)

    return made


STRATEGIES: dict[str, Callable[[Task], Strategy]] = {
    "blockqnn": warmed(BlockQNN),
    "evolution": warmed(EvolutionStrategy),
    "nsga2": _peer("nsga2"),
    "tpe": _peer("tpe"),
    "gp": _peer("gp"),
    "predictor": warmed(PredictorStrategy),
    "random": RandomStrategy,
}
"""Strategies by the name that a user gives."""

_NEEDS = {"gp": ("torch", "scipy")}
"""What a strategy needs that a control service may have been installed without."""

__all__ = [
    "STRATEGIES",
    "BudgetedStrategy",
    "SpaceExhaustedError",
    "Strategy",
    "Task",
    "TrialOutcome",
    "check_strategy",
    "outcome",
    "rebuild",
    "task_of",
]


def check_strategy(name: str, field: str = "search.strategy") -> None:
    """Check that there is such a strategy and that it works here.

    Raises:
        InvalidArgumentError: there is none, or what it needs is not installed.
    """
    if name not in STRATEGIES:
        raise InvalidArgumentError(
            field, f"there is no strategy {name!r}; use one of {', '.join(STRATEGIES)}"
        )
    missing = [package for package in _NEEDS.get(name, ()) if find_spec(package) is None]
    if missing:
        raise InvalidArgumentError(
            field,
            f"strategy {name!r} needs {' and '.join(missing)}, which the search service was installed "
            "without; install autoisp as a whole there, or use tpe",
            reason="STRATEGY_UNAVAILABLE",
        )


def task_of(search: Search, prior: Prior = ()) -> Task:
    """What a running search asks of its strategy."""
    settings, quality = search.settings, search.profile.quality if search.profile else None
    return Task(
        budget=budget_for(settings.space, macs=search.macs_limit, seconds=search.seconds_limit),
        objectives=settings.objectives,
        seed=settings.seed,
        planned=search.rungs[0].trials,
        reference_db=quality.psnr_db if quality else None,
        prior=tuple(prior),
    )


def rebuild(search: Search, trials: Iterable[Trial], prior: Prior = ()) -> Strategy:
    """The strategy as it was: the first rung's trials in order, each after all that was told before it.

    One that was asked live and one that is rebuilt went through the same calls, so they go on the same.
    """
    trials = list(trials)
    strategy = STRATEGIES[search.settings.strategy](task_of(search, prior))
    results = sorted((trial for trial in trials if trial.told is not None), key=lambda trial: trial.told or 0)
    told = 0
    for trial in sorted((trial for trial in trials if trial.rung == 0), key=lambda trial: trial.ordinal):
        while told < len(results) and (results[told].told or 0) <= trial.told_before:
            strategy.tell(_parsed(results[told].spec), outcome(results[told]))
            told += 1
        strategy.replay(trial.ordinal, _parsed(trial.spec), trial.spec_hash)
    for trial in results[told:]:
        strategy.tell(_parsed(trial.spec), outcome(trial))
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
        rung=trial.rung,
    )

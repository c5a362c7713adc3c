"""How the search went, in sentences."""

from __future__ import annotations

from autoisp_cli.report.discovery import Origin, in_order, origin
from autoisp_cli.report.figures import duration, figure
from autoisp_cli.report.outcome import Outcome

_ROUND = {"quality": "quality", "macs": "arithmetic", "latency": "time"}
_FIGURES = {
    "epsilon": "Share of design decisions taken at random at the end",
    "visited_actions": "Design decisions whose value was learned",
}


def sentences(outcome: Outcome) -> list[str]:
    """What was wanted, when the best was found, and how far the strategy's predictions could be trusted."""
    told = [_wanted(outcome), *_found(outcome)]
    figures = dict(outcome.search.strategy_figures)
    if (rank := figures.pop("rank_correlation", None)) is not None:
        told.append(
            "The strategy put networks in order before they were trained; the rank correlation with what "
            f"was measured is {rank:.2f}, where 1 is the same order and 0 chance."
        )
    if (error := figures.pop("latency_error_percent", None)) is not None:
        told.append(
            "The time of each network was predicted before it was measured; the prediction was off by "
            f"{error:.0f} % (median)."
        )
    told += [f"{_figure_name(name)}: {figure(value)}." for name, value in sorted(figures.items())]
    return told


def _figure_name(name: str) -> str:
    return _FIGURES.get(name, name.replace("_", " ").capitalize())


def _wanted(outcome: Outcome) -> str:
    search = outcome.search
    names = [_ROUND.get(name, name) for name in search.objectives] or ["quality"]
    aim = "the one best network within the budget"
    if len(names) > 1:
        aim = f"a front of {', '.join(names[:-1])} and {names[-1]}"
    front = len(search.pareto_trials)
    return (
        f"Strategy {search.strategy}, seed {search.seed}, looked for {aim}; "
        f"{front} trial{'s' if front != 1 else ''} stand{'s' if front == 1 else ''} on the front."
    )


def _found(outcome: Outcome) -> list[str]:
    trials = in_order(outcome.trials)
    first = [trial for trial in trials if trial.rung == 0]
    openers = [trial.quality.psnr_db for trial in first if origin(trial) is Origin.OPENER]
    proposed = [trial.quality.psnr_db for trial in first if origin(trial) is Origin.PROPOSED]
    told = []
    if openers and proposed:
        gain = max(proposed) - max(openers)
        told.append(
            f"After equal training, the best proposed network (of {len(proposed)}) is {abs(gain):.2f} dB "
            f"{'above' if gain >= 0 else 'below'} the best known design (of {len(openers)})."
        )
    numbers = {trial.name: number for number, trial in enumerate(trials, 1)}
    if number := numbers.get(_beginning(outcome)):
        told.append(f"The chosen network was first tried as number {number} of {len(trials)}.")
    if outcome.search.HasField("start_time") and outcome.search.HasField("end_time"):
        took = outcome.search.end_time.ToNanoseconds() - outcome.search.start_time.ToNanoseconds()
        told.append(f"The search took {duration(took / 1e9)}.")
    return told


def _beginning(outcome: Outcome) -> str:
    """The first rung's trial that the chosen one continues."""
    trials = {trial.name: trial for trial in outcome.trials}
    name = outcome.search.best_trial
    while name in trials and trials[name].parent:
        name = trials[name].parent
    return name

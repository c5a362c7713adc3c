"""What runs over many seeds say of each strategy, as one document for people and charts."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Any

from autoisp_search.bench.hypervolume import Front, first_reaching, hypervolume, references
from autoisp_search.bench.peers import SAMPLERS, trained
from autoisp_search.bench.simulate import Run, run
from autoisp_search.bench.table import Table, shipped

RANDOMS = ("random", "optuna-random")
PEERS = ("random", *SAMPLERS)
"""What a strategy is compared with: Optuna as its users call it, and drawing at random, as Optuna does it and
as AutoISP does, evenly over the costs and nothing twice. None of them begins with known designs."""

_MARKS = (10, 25, 50, 100, 200, 400)


@dataclass(frozen=True)
class Curves:
    """One run, measured.

    Attributes:
        by_reference: hypervolume after 1, 2, 3, … whole trainings, as a share of the whole table's.
        distinct: how many different networks were trained to the end.
        figures: what the strategy said of itself.
        seconds: that the strategy took for itself, for each whole training.
    """

    by_reference: Mapping[str, tuple[float, ...]]
    distinct: int
    figures: Mapping[str, float]
    seconds: float


def curves(name: str, seed: int, trials: int, halving: bool) -> Curves:
    """One strategy or peer, one seed, on the shipped table; peers train everything to the end."""
    table = shipped()
    if name not in SAMPLERS:
        return measured(table, run(table, name, seed, trials, halving=halving), trials)
    rows = tuple(islice(trained(table, name, seed), trials))
    spent = tuple(float(number) for number in range(1, trials + 1))
    return measured(table, Run(spent, rows, {}, 0.0), trials)


def measured(table: Table, run: Run, trials: int) -> Curves:
    """Hypervolumes of one run."""
    curves = {}
    for name, reference in references(table).items():
        most = hypervolume(table.rows.values(), reference)
        front, values, position = Front(reference), [], 0
        for spent in range(1, trials + 1):
            while position < len(run.rows) and run.spent[position] <= spent + 1e-9:
                front.add(run.rows[position].quality(), run.rows[position].macs_per_pixel)
                position += 1
            values.append(front.hypervolume / most)
        curves[name] = tuple(values)
    distinct = len({row.spec.to_json() for row in run.rows})
    return Curves(curves, distinct, run.figures, run.strategy_seconds / trials)


def document(
    table: Table, runs: Mapping[str, Sequence[Curves]], *, trials: int, halving: bool
) -> dict[str, Any]:
    """All strategies' medians and spread, and how they compare.

    Args:
        table: what was replayed on.
        runs: by strategy, one for each seed; all as many.
        trials: whole trainings in each.
        halving: whether strategies trained at the low fidelity first; peers never do.
    """
    names = list(references(table))
    medians = {
        strategy: {name: _median_curve([one.by_reference[name] for one in curves]) for name in names}
        for strategy, curves in runs.items()
    }
    return {
        "table": {
            "networks": len(table.rows),
            "macs_per_pixel_limit": table.macs_limit,
            "steps": dict(table.steps),
        },
        "trials": trials,
        "seeds": max(len(curves) for curves in runs.values()),
        "halving": halving,
        "references": {
            name: {
                "quality_db": round(reference.quality_db, 3),
                "macs_per_pixel": reference.macs_per_pixel,
                "hypervolume": round(hypervolume(table.rows.values(), reference), 4),
            }
            for name, reference in references(table).items()
        },
        "peers": [name for name in PEERS if name in runs],
        "strategies": {
            strategy: _summary(strategy, curves, medians, trials) for strategy, curves in runs.items()
        },
    }


def _summary(
    strategy: str,
    curves: Sequence[Curves],
    medians: Mapping[str, Mapping[str, Sequence[float]]],
    trials: int,
) -> dict[str, Any]:
    main, *_ = names = list(curves[0].by_reference)
    finals = {name: [one.by_reference[name][-1] for one in curves] for name in names}
    marks = sorted({mark for mark in _MARKS if mark < trials} | {trials})
    low, high = _quartiles([one.by_reference[main] for one in curves])
    correlations = [one.figures["rank_correlation"] for one in curves if "rank_correlation" in one.figures]
    return {
        "hypervolume": {
            name: {"median": _round(statistics.median(finals[name])), "seeds": _rounded(finals[name])}
            for name in names
        },
        "at": {str(mark): _spread([one.by_reference[main][mark - 1] for one in curves]) for mark in marks},
        "ratio_to_best_peer": {name: dict(_ratios(strategy, medians, name, marks)) for name in names},
        "trials_to_front_of": {
            random: first_reaching(medians[strategy][main], medians[random][main][-1])
            for random in RANDOMS
            if random in medians
        },
        "distinct_networks": statistics.median(one.distinct for one in curves),
        "rank_correlation": _spread(correlations) if correlations else None,
        "seconds_per_trial": round(statistics.median(one.seconds for one in curves), 5),
        "curve": {"median": _rounded(medians[strategy][main]), "low": _rounded(low), "high": _rounded(high)},
    }


def _ratios(
    strategy: str, medians: Mapping[str, Mapping[str, Sequence[float]]], reference: str, marks: Sequence[int]
) -> Iterator[tuple[str, float]]:
    """Median against the best median of the peers, after so many trainings."""
    for mark in marks:
        best = max((medians[peer][reference][mark - 1] for peer in PEERS if peer in medians), default=0.0)
        if best > 0:
            yield str(mark), _round(medians[strategy][reference][mark - 1] / best)


def _median_curve(curves: Sequence[Sequence[float]]) -> list[float]:
    return [statistics.median(values) for values in zip(*curves, strict=True)]


def _quartiles(curves: Sequence[Sequence[float]]) -> tuple[list[float], list[float]]:
    pairs = [_quartile_pair(values) for values in zip(*curves, strict=True)]
    return [low for low, _ in pairs], [high for _, high in pairs]


def _quartile_pair(values: Sequence[float]) -> tuple[float, float]:
    if len(values) == 1:
        return values[0], values[0]
    low, _, high = statistics.quantiles(values, n=4, method="inclusive")
    return low, high


def _spread(values: Sequence[float]) -> dict[str, float]:
    low, high = _quartile_pair(values)
    named = {"median": statistics.median(values), "low": low, "high": high}
    named |= {"min": min(values), "max": max(values)}
    return {name: _round(value) for name, value in named.items()}


def _rounded(values: Sequence[float]) -> list[float]:
    return [_round(value) for value in values]


def _round(value: float) -> float:
    return round(value, 4)

"""Replays of strategies on the table: what they ask for is looked up instead of trained."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import count

from autoisp_core.spec import Spec, canonical_hash

from autoisp_search.bench.table import FIDELITIES, Row, Table
from autoisp_search.domain import Objective
from autoisp_search.ranking import FrontRanking, Standing
from autoisp_search.strategies import STRATEGIES, SpaceExhaustedError, Strategy, Task, TrialOutcome
from autoisp_search.strategies.budgets import budget_for

OBJECTIVES = (Objective.QUALITY, Objective.MACS)
PROMOTED_ONE_OF = 4

Replay = Iterator[tuple[float, Row]]
"""Networks in the order of the end of their training at the high fidelity, each with what all training until
then has cost, in whole trainings."""


@dataclass(frozen=True)
class Run:
    """One strategy, one seed.

    Attributes:
        spent: trainings until each network, in whole ones; 1, 2, 3, … where all are whole.
        rows: the networks.
        figures: what the strategy said of itself at the end.
        strategy_seconds: processor time that the strategy itself took in all.
    """

    spent: tuple[float, ...]
    rows: tuple[Row, ...]
    figures: dict[str, float]
    strategy_seconds: float


def run(table: Table, strategy: str, seed: int, trials: int, *, halving: bool = False) -> Run:
    """Replays one of :data:`STRATEGIES` for as much training as ``trials`` whole ones take.

    Args:
        table: all networks.
        strategy: its name.
        seed: of everything random.
        trials: whole trainings.
        halving: train at the low fidelity first, and one of four on to the high one.
    """
    budget = budget_for(table.space, macs=table.macs_limit, seconds=None)
    low = table.share(FIDELITIES[0])
    first_rung = round(trials / (low + (1 - low) / PROMOTED_ONE_OF)) if halving else trials
    made = STRATEGIES[strategy](Task(budget, OBJECTIVES, seed, first_rung))
    timed = _Timed(made)
    replay = list((_halved if halving else _whole)(table, timed, trials))
    spent, rows = tuple(cost for cost, _ in replay), tuple(row for _, row in replay)
    return Run(spent, rows, dict(made.figures()), timed.seconds)


class _Timed:
    """A strategy with a watch of its processor time."""

    def __init__(self, strategy: Strategy) -> None:
        self._strategy = strategy
        self.seconds = 0.0

    def ask(self, ordinal: int) -> Spec:
        begun = time.process_time()
        spec = self._strategy.ask(ordinal)
        self.seconds += time.process_time() - begun
        return spec

    def told(self, row: Row, outcome: TrialOutcome) -> None:
        begun = time.process_time()
        self._strategy.tell(row.spec, outcome)
        self.seconds += time.process_time() - begun


def _whole(table: Table, strategy: _Timed, trials: int) -> Replay:
    """Every network at the high fidelity, which is then the only rung."""
    for ordinal, row in zip(range(1, trials + 1), _asked(table, strategy), strict=False):
        strategy.told(row, TrialOutcome(row.quality(), row.seconds_per_megapixel))
        yield float(ordinal), row


def _halved(table: Table, strategy: _Timed, trials: int) -> Replay:
    """Of each four networks at the low fidelity the best that has not gone up yet goes on to the high one."""
    low = table.share(FIDELITIES[0])
    ranking, rows, spent = FrontRanking(), dict[str, Row](), 0.0
    for told, row in enumerate(_asked(table, strategy), start=1):
        if spent + low > trials:
            return
        spent += low
        strategy.told(row, _outcome(row, 0))
        name = canonical_hash(row.spec)
        rows[name] = row
        point = (-row.quality(FIDELITIES[0]), row.macs_per_pixel)
        ranking.add(Standing(aside=False, point=point, ties=(name,), trial_id=name))
        best = ranking.best() if told % PROMOTED_ONE_OF == 0 else None
        if best is None or spent + 1 - low > trials:
            continue
        spent += 1 - low
        ranking.promote(best)
        strategy.told(rows[best], _outcome(rows[best], 1))
        yield spent, rows[best]


def _asked(table: Table, strategy: _Timed) -> Iterator[Row]:
    """What the strategy asks for, until it has asked for all."""
    for ordinal in count(1):
        try:
            spec = strategy.ask(ordinal)
        except SpaceExhaustedError:
            return
        row = table.row(spec)
        if row is None:
            raise ValueError(
                f"the table lacks {spec.to_json()}, though it is of the space and within the limit"
            )
        yield row


def _outcome(row: Row, rung: int) -> TrialOutcome:
    return TrialOutcome(row.quality(FIDELITIES[rung]), row.seconds_per_megapixel, rung=rung)

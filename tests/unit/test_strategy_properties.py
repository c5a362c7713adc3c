"""What every strategy keeps to, whatever its budget, its objectives and the order in which results come."""

import importlib.util
import random
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace

import autoisp_search.strategies as strategies
import pytest
from autoisp_core.errors import InvalidArgumentError
from autoisp_core.spec import LayerType, SearchSpace, Spec, canonical_hash, cost
from autoisp_core.spec.enumeration import members
from autoisp_search.bench.table import shipped
from autoisp_search.domain import MeasuredCost, Objective, Quality, Rung, Search, Trial, TrialState
from autoisp_search.strategies import (
    STRATEGIES,
    SpaceExhaustedError,
    Strategy,
    Task,
    TrialOutcome,
    check_strategy,
    outcome,
    rebuild,
)
from autoisp_search.strategies.budgets import Budget, MacBudget
from search_fakes import START, quality_of, running_search, seconds_of

SPACE = SearchSpace()
SMALL = shipped().space
"""The space of the table benchmark."""

MACS, SECONDS = 2000.0, 0.06
FRONT = (Objective.QUALITY, Objective.MACS)
TRIALS = {"gp": 14, "predictor": 20, "tpe": 24}
"""Trials that a strategy is tested with where an ask takes long; others have 60."""

every = pytest.mark.parametrize("name", sorted(STRATEGIES))
budgets = pytest.mark.parametrize("timed", [False, True], ids=["macs", "seconds"])
objectives = pytest.mark.parametrize(
    "objectives",
    [(Objective.QUALITY,), FRONT, (Objective.QUALITY, Objective.LATENCY)],
    ids=["quality", "macs", "latency"],
)


def search_of(name: str, timed: bool, wanted: tuple[Objective, ...], seed: int = 3) -> Search:
    search = running_search(strategy=name, objectives=wanted, seed=seed, rungs=(Rung(40, steps=1),))
    return replace(search, macs_limit=None if timed else MACS, seconds_limit=SECONDS if timed else None)


class Journal:
    """A search with several workers: trials asked for and results told in any order, some of a second rung.

    Attributes:
        trials: all of them, as the table has them; first-rung ones in the order of asking.
    """

    def __init__(self, search: Search) -> None:
        self.search = search
        self.strategy = rebuild(search, [])
        self.trials: dict[tuple[int, int], Trial] = {}
        self._rng = random.Random(search.settings.seed)
        self._told = 0

    def grow(self, count: int) -> None:
        """Ask for so many more, with up to four at work, and tell some results in between."""
        first = sum(rung == 0 for rung, _ in self.trials)
        for ordinal in range(first + 1, first + count + 1):
            spec = self.strategy.ask(ordinal)
            self._put(self._trial(0, ordinal, spec))
            while len(waiting := [trial for trial in self.trials.values() if trial.told is None]) > 3 or (
                waiting and self._rng.random() < 0.3
            ):
                self._end(self._rng.choice(waiting))

    def _trial(self, rung: int, ordinal: int, spec: Spec) -> Trial:
        return Trial("s", rung, ordinal, spec.to_json(), canonical_hash(spec), START, told_before=self._told)

    def _put(self, trial: Trial) -> None:
        self.trials[trial.rung, trial.ordinal] = trial

    def _end(self, trial: Trial) -> None:
        spec, luck = Spec.from_json(trial.spec), self._rng.random()
        self._told += 1
        state = TrialState.FAILED if luck < 0.05 else TrialState.SUCCEEDED
        if self.search.seconds_limit and seconds_of(spec) > self.search.seconds_limit and not trial.rung:
            state = TrialState.PRUNED
        ended = replace(
            trial,
            state=state,
            told=self._told,
            quality=Quality(quality_of(spec) + trial.rung, 0.9) if state is TrialState.SUCCEEDED else None,
            cost=MeasuredCost(cost(spec).macs_per_pixel, 1, 1, seconds_of(spec)),
        )
        self._put(ended)
        self.strategy.tell(spec, outcome(ended))
        if luck > 0.8 and trial.rung == 0 and state is TrialState.SUCCEEDED:
            promoted = 1 + sum(rung == 1 for rung, _ in self.trials)
            self._put(self._trial(1, promoted, spec))


@every
@budgets
@objectives
def test_what_is_asked_is_new_and_allowed_and_rebuilt_exactly(
    name: str, timed: bool, objectives: tuple[Objective, ...]
) -> None:
    if name == "gp" and (timed, objectives) not in ((False, FRONT), (True, (Objective.QUALITY,))):
        pytest.skip("takes a second a trial")
    search = search_of(name, timed, objectives)
    total = TRIALS.get(name, 60)
    journal = Journal(search)
    for length in (total // 4, total // 2, total - 4):
        journal.grow(length - sum(rung == 0 for rung, _ in journal.trials))
        # As after a restart at this moment: the next choices are those of the one that went on.
        again = rebuild(search, list(journal.trials.values()))
        assert again.figures() == journal.strategy.figures()
        known = len(journal.trials)
        journal.grow(1)
        last = max(trial.ordinal for trial in journal.trials.values() if trial.rung == 0)
        assert again.ask(last).to_json() == journal.trials[0, last].spec
        assert len(journal.trials) > known
    specs = [Spec.from_json(trial.spec) for (rung, _), trial in journal.trials.items() if rung == 0]
    assert len({canonical_hash(spec) for spec in specs}) == len(specs)
    assert all(SPACE.contains(spec) for spec in specs)
    if not timed:
        assert max(cost(spec).macs_per_pixel for spec in specs) <= MACS


@pytest.mark.parametrize("name", sorted(STRATEGIES.keys() - {"gp"}))
def test_the_same_seed_makes_the_same_choices(name: str) -> None:
    count = min(20, TRIALS.get(name, 20))
    runs = []
    for seed in (1, 1, 2):
        journal = Journal(search_of(name, False, FRONT, seed))
        journal.grow(count)
        runs.append([trial.spec for trial in journal.trials.values()])
    assert runs[0] == runs[1] != runs[2]


@pytest.mark.parametrize("name", sorted(STRATEGIES.keys() - {"gp"}))
def test_a_small_space_is_gone_through_to_the_end(name: str) -> None:
    space = replace(SMALL, max_layers=2, types=(LayerType.CONV,), widths=(8,), packings=(2,))
    every_one = {canonical_hash(spec) for spec in members(space, 1e4)}
    strategy = STRATEGIES[name](Task(MacBudget(space, 1e4), FRONT, planned=len(every_one)))
    found: set[str] = set()
    while (spec := next_of(strategy, len(found) + 1)) is not None:
        assert canonical_hash(spec) not in found
        found.add(canonical_hash(spec))
        strategy.tell(spec, TrialOutcome(quality_of(spec)))
    assert found <= every_one
    assert len(found) > 0.7 * len(every_one)


def next_of(strategy: Strategy, ordinal: int) -> Spec | None:
    try:
        return strategy.ask(ordinal)
    except SpaceExhaustedError:
        return None


def starts(name: str, task: Task, count: int) -> Iterator[Spec]:
    strategy = STRATEGIES[name](task)
    for ordinal in range(1, count + 1):
        yield strategy.ask(ordinal)


@pytest.mark.parametrize("name", sorted(STRATEGIES.keys() - {"random", "gp"}))
def test_earlier_trials_change_what_is_asked(name: str) -> None:
    """What an earlier search learned counts; its specs may be asked for again."""
    rng = random.Random(5)
    earlier = [SPACE.sample_within(rng, MACS) for _ in range(60)]
    prior = tuple((spec, TrialOutcome(quality_of(spec), seconds_of(spec))) for spec in earlier)

    def budget() -> Budget:
        return MacBudget(SPACE, MACS)

    plain = Task(budget(), FRONT, planned=60)
    cold = list(starts(name, plain, 12))
    warm = list(starts(name, replace(plain, budget=budget(), prior=prior), 12))
    assert warm != cold
    if name in ("blockqnn", "evolution"):
        # The best of what is known is trained first: a front of quality and cost.
        assert set(warm[:4]) <= set(earlier)


def test_earlier_trials_are_nsga2s_first_generation() -> None:
    rng = random.Random(5)
    earlier = [SPACE.sample_within(rng, MACS) for _ in range(60)]
    prior = tuple((spec, TrialOutcome(quality_of(spec))) for spec in earlier)
    inherited = 0
    for seed in range(3):
        task = Task(MacBudget(SPACE, MACS), FRONT, seed=seed, prior=prior)
        for spec in starts("nsga2", task, 20):
            inherited += any(spec.block == parent.block for parent in earlier)
    assert inherited >= 5  # by chance hardly any


@pytest.mark.parametrize("name", ["tpe", "nsga2", "evolution"])
def test_learns_what_is_good(name: str) -> None:
    def worth(spec: Spec) -> float:
        return 20 + 3 * (spec.frames == 3) + sum(layer.type == LayerType.GATE for layer in spec.block)

    late = {}
    for kind in (name, "random"):
        total = 0.0
        for seed in range(3):
            strategy = STRATEGIES[kind](Task(MacBudget(SPACE, MACS), seed=seed, planned=120))
            for ordinal in range(1, 121):
                spec = strategy.ask(ordinal)
                strategy.tell(spec, TrialOutcome(worth(spec)))
                total += worth(spec) if ordinal > 80 else 0
        late[kind] = total / 120
    assert late[name] > late["random"] + 0.8


def test_gp_without_torch_is_refused_and_the_field_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in STRATEGIES:
        check_strategy(name)
    found = importlib.util.find_spec
    monkeypatch.setattr(
        strategies, "find_spec", lambda package: None if package == "torch" else found(package)
    )
    with pytest.raises(InvalidArgumentError, match="needs torch") as refused:
        check_strategy("gp")
    assert refused.value.field == "search.strategy"
    assert refused.value.reason == "STRATEGY_UNAVAILABLE"
    check_strategy("tpe")
    with pytest.raises(InvalidArgumentError, match="there is no strategy 'hope'"):
        check_strategy("hope")


QUIET = """
import sys, warnings
warnings.simplefilter("error")
from autoisp_core.spec import SearchSpace
from autoisp_search.domain import Objective
from autoisp_search.strategies import STRATEGIES, Task, TrialOutcome
from autoisp_search.strategies.budgets import MacBudget
assert not {"optuna", "torch", "scipy"} & sys.modules.keys(), "slow to import, and seldom needed"
for name in ("nsga2", "tpe"):
    task = Task(MacBudget(SearchSpace(), 2000.0), (Objective.QUALITY, Objective.MACS))
    strategy = STRATEGIES[name](task)
    for ordinal in range(1, 15):
        strategy.tell(strategy.ask(ordinal), TrialOutcome(20.0 + ordinal))
assert not {"torch", "scipy"} & sys.modules.keys(), "a control service has none"
"""


def test_optuna_is_loaded_late_and_says_nothing() -> None:
    done = subprocess.run([sys.executable, "-c", QUIET], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")

"""Strategies: plain stacks first, never twice, within the budget, the same choices again."""

import time
from dataclasses import replace

import pytest
from autoisp_core.spec import LayerType, SearchSpace, Spec, anchor_specs, canonical_hash, cost
from autoisp_search.domain import MeasuredCost, Quality, Rung, Search, Trial, TrialState
from autoisp_search.halving import advance
from autoisp_search.strategies import STRATEGIES, SpaceExhaustedError, Strategy, TrialOutcome, rebuild
from autoisp_search.strategies.limits import MacLimit
from search_fakes import START, quality_of, running_search, seconds_of

LIMIT = 2000.0
both = pytest.mark.parametrize("name", sorted(STRATEGIES))


def make(name: str, *, planned: int = 40, seed: int = 0, macs: float | None = LIMIT) -> Strategy:
    space = SearchSpace()
    return STRATEGIES[name](space, MacLimit(space, macs=macs, seconds=None), seed=seed, planned=planned)


def outcome(spec: Spec) -> TrialOutcome:
    return TrialOutcome(quality_of(spec), cost(spec).macs_per_pixel, seconds_of(spec))


def walk(strategy: Strategy, count: int) -> list[Spec]:
    specs = []
    for ordinal in range(1, count + 1):
        spec = strategy.ask(ordinal)
        strategy.tell(spec, outcome(spec))
        specs.append(spec)
    return specs


@both
def test_begins_with_plain_stacks_scaled_to_the_budget(name: str) -> None:
    specs = walk(make(name, planned=16), 5)
    assert tuple(specs[:4]) == anchor_specs(LIMIT)[:4]


@both
def test_never_asks_twice_and_keeps_the_budget(name: str) -> None:
    specs = walk(make(name), 120)
    assert len({canonical_hash(spec) for spec in specs}) == 120
    shares = [cost(spec).macs_per_pixel / LIMIT for spec in specs]
    assert max(shares) <= 1
    assert min(shares) >= 0.3


@both
def test_the_same_seed_makes_the_same_choices(name: str) -> None:
    assert walk(make(name, seed=7), 20) == walk(make(name, seed=7), 20)
    assert walk(make(name, seed=7), 20) != walk(make(name, seed=8), 20)


@both
def test_a_pruned_anchor_is_replaced_by_a_smaller_one(name: str) -> None:
    space = SearchSpace()
    limit = MacLimit(space, macs=None, seconds=0.1)
    strategy = STRATEGIES[name](space, limit, seed=0, planned=8)
    before = limit.value
    first = strategy.ask(1)
    slow = TrialOutcome(None, cost(first).macs_per_pixel, 1.0, pruned=True)
    strategy.tell(first, slow)
    strategy.tell(strategy.ask(2), slow)
    assert limit.value < before
    third = strategy.ask(3)
    assert third in anchor_specs(limit.value)


def test_measurements_move_the_limit_in_macs() -> None:
    space = SearchSpace()
    limit = MacLimit(space, macs=None, seconds=0.1)
    assert limit.value == pytest.approx(1500)
    for _ in range(10):
        limit.measured(1000, 0.2)  # 5 GMAC/s
    assert limit.value == pytest.approx(500)
    for _ in range(30):
        limit.measured(1000, 1e4)
    assert limit.value == cost(space.cheapest()).macs_per_pixel


def test_evolution_finds_better_specs_than_chance() -> None:
    total = dict.fromkeys(STRATEGIES, 0.0)
    for name in STRATEGIES:
        for seed in range(6):
            strategy = make(name, seed=seed, planned=60)
            scores = []
            for ordinal in range(1, 61):
                spec = strategy.ask(ordinal)
                # Something that a child inherits and that chance rarely finds.
                score = sum(layer.type == LayerType.GATE for layer in spec.block) + spec.repeats / 10
                strategy.tell(spec, TrialOutcome(score, cost(spec).macs_per_pixel))
                scores.append(score)
            total[name] += sum(sorted(scores)[-3:])
    assert total["evolution"] > 1.15 * total["random"]


@both
def test_a_space_that_is_used_up_says_so(name: str) -> None:
    space = SearchSpace(
        types=(LayerType.CONV,),
        kernels=(3,),
        max_layers=1,
        widths=(8,),
        repeats=(1, 2),
        packings=(2,),
        frames=(1,),
        stem_kernels=(3,),
        head_kernels=(3,),
    )
    strategy = STRATEGIES[name](space, MacLimit(space, macs=1e9, seconds=None), seed=0, planned=10)
    specs = [strategy.ask(1), strategy.ask(2)]
    assert {spec.repeats for spec in specs} == {1, 2}
    with pytest.raises(SpaceExhaustedError):
        strategy.ask(3)


def finished(ordinal: int, spec: Spec, told: int) -> Trial:
    return Trial(
        "s",
        0,
        ordinal,
        spec.to_json(),
        canonical_hash(spec),
        START,
        state=TrialState.SUCCEEDED,
        quality=Quality(quality_of(spec), 0.9),
        cost=MeasuredCost(cost(spec).macs_per_pixel, 1, 1, seconds_of(spec)),
        told=told,
    )


def searched(name: str, trials: int) -> tuple[Search, list[Trial]]:
    search = running_search(strategy=name, rungs=(Rung(2 * trials, steps=1),), max_parallel_trials=1)
    search = replace(search, macs_limit=LIMIT, seconds_limit=None)
    strategy = rebuild(search, [])
    known = []
    for ordinal in range(1, trials + 1):
        spec = strategy.ask(ordinal)
        strategy.tell(spec, outcome(spec))
        known.append(finished(ordinal, spec, ordinal))
    return search, known


@both
def test_rebuilt_from_the_trials_it_goes_on_the_same(name: str) -> None:
    search, known = searched(name, 30)
    for length in (0, 1, 7, 29):
        rebuilt = rebuild(search, known[:length])
        assert rebuilt.ask(length + 1).to_json() == known[length].spec


def test_a_decision_over_hundreds_of_trials_takes_milliseconds() -> None:
    search, known = searched("random", 300)
    advance(search, known, START)  # reads the specs once, as a running service has
    begin = time.perf_counter()
    for _ in range(5):
        assert len(advance(search, known, START).start) == 1
    # 3 ms on one core of 2020; the limit leaves room for a busy machine.
    assert (time.perf_counter() - begin) / 5 < 0.05

"""Strategies: known designs first, never twice, within the budget, the same choices again."""

import random
from dataclasses import replace

import pytest
from autoisp_core.spec import LayerType, SearchSpace, Spec, SpecError, anchor_specs, canonical_hash, cost
from autoisp_search.domain import MeasuredCost, Quality, Rung, Search, Trial, TrialState
from autoisp_search.strategies import STRATEGIES, SpaceExhaustedError, Strategy, Task, TrialOutcome, rebuild
from autoisp_search.strategies.budgets import MacBudget, TimeBudget, budget_for
from autoisp_search.strategies.latency import LatencyModel, reference_seconds
from autoisp_search.strategies.predictor_candidates import all_of
from search_fakes import START, quality_of, running_search, seconds_of

LIMIT = 2000.0
both = pytest.mark.parametrize("name", ["evolution", "random"])
with_designs = pytest.mark.parametrize("name", ["predictor", "evolution", "blockqnn"])


def make(name: str, *, planned: int = 40, seed: int = 0) -> Strategy:
    return STRATEGIES[name](Task(MacBudget(SearchSpace(), LIMIT), seed=seed, planned=planned))


def outcome(spec: Spec) -> TrialOutcome:
    return TrialOutcome(quality_of(spec), seconds_of(spec))


def walk(strategy: Strategy, count: int) -> list[Spec]:
    specs = []
    for ordinal in range(1, count + 1):
        spec = strategy.ask(ordinal)
        strategy.tell(spec, outcome(spec))
        specs.append(spec)
    return specs


@with_designs
def test_begins_with_known_designs_scaled_to_the_budget(name: str) -> None:
    specs = walk(make(name, planned=16), 5)
    assert tuple(specs[:4]) == anchor_specs(LIMIT)[:4]


@pytest.mark.parametrize("name", ["random", "nsga2", "tpe"])
def test_baselines_begin_with_chance_alone(name: str) -> None:
    assert not set(walk(make(name, planned=16), 5)) & set(anchor_specs(LIMIT))


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


@with_designs
def test_a_pruned_anchor_is_replaced_by_a_smaller_one(name: str) -> None:
    budget = TimeBudget(SearchSpace(), 0.06)
    strategy = STRATEGIES[name](Task(budget, planned=8))
    before = budget.anchors()
    for ordinal in (1, 2):
        spec = strategy.ask(ordinal)
        assert spec == before[ordinal - 1]
        # This machine is twice as slow as the reference.
        strategy.tell(spec, TrialOutcome(None, 2 * reference_seconds(spec), pruned=True))
    third = strategy.ask(3)
    assert third in budget.anchors()
    assert third not in before


def test_time_goes_as_far_as_the_network_is_fast() -> None:
    budget = TimeBudget(SearchSpace(), 0.045)
    rng = random.Random(0)
    specs = [budget.sample(rng) for _ in range(60)]
    specs += [budget.mutate(spec, rng) for spec in specs]
    shares = [reference_seconds(spec) / 0.045 for spec in specs]
    assert min(shares) >= 0.55
    assert max(shares) <= 1.0
    macs = sorted(cost(spec).macs_per_pixel for spec in specs)
    assert macs[-1] > 3 * macs[0]  # the same time, three times the arithmetic
    assert max(reference_seconds(spec) for spec in budget.anchors()) <= 0.045


NARROW = SearchSpace(widths=(8,), max_layers=2, repeats=(1, 2))


@pytest.mark.parametrize(
    ("budget", "plenty"),
    [
        (MacBudget(SearchSpace(), 1e9), 30_000),
        (MacBudget(NARROW, 3554.4), 500),
        (TimeBudget(SearchSpace(), 5.0), 30_000),
        (TimeBudget(NARROW, 5.0), 500),
    ],
)
def test_a_budget_beyond_the_space_is_spent_as_far_as_it_goes(
    budget: MacBudget | TimeBudget, plenty: float
) -> None:
    """Drawing the cheapest network again and again would end the search after its anchors."""
    rng = random.Random(0)
    specs = [budget.sample(rng) for _ in range(20)]
    specs += [budget.mutate(spec, rng) for spec in specs]
    assert len({canonical_hash(spec) for spec in specs}) > 20
    assert min(cost(spec).macs_per_pixel for spec in specs) > plenty


def test_the_few_fast_networks_of_a_space_are_found() -> None:
    """A sample of the candidates may have none of them."""
    space = SearchSpace(types=(LayerType.CONV, LayerType.DEPTHWISE), kernels=(3,), max_layers=3)
    space = replace(space, widths=(8, 12, 16, 24, 32), repeats=(1, 2, 3), recurrent=(0,), frames=(3,))
    space = replace(space, packings=(2, 4), stem_kernels=(1, 3), head_kernels=(1,))
    found = all_of(space)
    assert found
    fast = sorted(map(reference_seconds, found.specs))[:12]
    assert len(found.specs) > 1000
    strategy = STRATEGIES["predictor"](Task(TimeBudget(space, fast[-1]), planned=12))
    assert len({canonical_hash(strategy.ask(ordinal)) for ordinal in range(1, 13)}) == 12


def test_measurements_tell_how_fast_the_machine_is() -> None:
    model = LatencyModel()
    spec = SearchSpace().cheapest()
    model.measured(spec, 100 * reference_seconds(spec))
    assert model.predict(spec) == pytest.approx(reference_seconds(spec))  # one measurement may be a hiccup
    for _ in range(4):
        model.measured(spec, 2 * reference_seconds(spec))
    assert model.predict(spec) == pytest.approx(2 * reference_seconds(spec))


def test_lanes_that_stay_empty_cost_time() -> None:
    block = SearchSpace().cheapest().block
    eight, sixteen, twenty, odd = (
        reference_seconds(Spec(block, width)) / cost(Spec(block, width)).macs_per_pixel
        for width in (8, 16, 20, 32)
    )
    assert eight > sixteen
    assert twenty > sixteen
    assert twenty > odd


def test_without_a_limit_there_is_no_budget() -> None:
    with pytest.raises(SpecError):
        budget_for(SearchSpace(), macs=None, seconds=None)


def test_evolution_finds_better_specs_than_chance() -> None:
    total = dict.fromkeys(("evolution", "random"), 0.0)
    for name in total:
        for seed in range(6):
            strategy = make(name, seed=seed, planned=60)
            scores = []
            for ordinal in range(1, 61):
                spec = strategy.ask(ordinal)
                # Something that a child inherits and that chance rarely finds.
                score = sum(layer.type == LayerType.GATE for layer in spec.block) + spec.repeats / 10
                strategy.tell(spec, TrialOutcome(score))
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
        recurrent=(0,),
    )
    strategy = STRATEGIES[name](Task(MacBudget(space, 1e9), planned=10))
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
        told_before=ordinal - 1,
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

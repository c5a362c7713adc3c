"""The table benchmark: hypervolume by hand, replays, and the predictor on small problems."""

from __future__ import annotations

import json
import math
from itertools import islice

import numpy as np
import pytest
from autoisp_cli.report.bench_chart import bench_chart
from autoisp_core.spec import LayerType, SearchSpace, Spec, canonical_hash, cost
from autoisp_core.spec.enumeration import members
from autoisp_search.bench.hypervolume import Front, Reference, first_reaching, hypervolume, references
from autoisp_search.bench.lines import summary_lines
from autoisp_search.bench.peers import SAMPLERS, trained
from autoisp_search.bench.results import Curves, document, measured
from autoisp_search.bench.simulate import OBJECTIVES, run
from autoisp_search.bench.table import Row, Table, pack, read
from autoisp_search.domain import Objective
from autoisp_search.strategies import STRATEGIES, SpaceExhaustedError, Task, TrialOutcome
from autoisp_search.strategies.budgets import MacBudget
from autoisp_search.strategies.predictor import PredictorStrategy, rank_correlation
from autoisp_search.strategies.predictor_features import features
from autoisp_search.strategies.predictor_gain import expected_gain, staircase
from autoisp_search.strategies.predictor_model import Posterior, Scaling, fitted
from autoisp_search.strategies.predictor_results import KEPT, Result, Results, Units

SPACE = SearchSpace(
    types=(LayerType.CONV, LayerType.DEPTHWISE, LayerType.ADD),
    kernels=(1, 3),
    max_layers=2,
    widths=(8, 16),
    repeats=(1, 2),
    packings=(2, 4),
    frames=(3,),
    stem_kernels=(3,),
    head_kernels=(1,),
    recurrent=(0,),
)
LIMIT = 3000.0
CORNER = Reference(quality_db=20.0, macs_per_pixel=math.e**8)


def _quality(spec: Spec) -> float:
    """Dense 3 × 3 convolutions and width are worth something, packing costs something."""
    dense = sum(layer.type is LayerType.CONV and layer.kernel == 3 for layer in spec.block)
    return 24 + dense + spec.width / 8 + 0.4 * spec.repeats - 0.5 * spec.packing + len(spec.block) % 3 / 10


def _row(spec: Spec) -> Row:
    priced, quality = cost(spec), _quality(spec)
    return Row(
        spec=spec,
        clips={"low": (quality - 2, quality - 1), "high": (quality - 0.5, quality + 0.5)},
        train_seconds={"low": 1.0, "high": 4.0},
        macs_per_pixel=priced.macs_per_pixel,
        parameters=priced.parameters,
        bytes_per_pixel=priced.bytes_per_pixel,
        seconds_per_megapixel=0.02,
    )


@pytest.fixture(scope="module")
def table() -> Table:
    rows = {canonical_hash(spec): _row(spec) for spec in members(SPACE, LIMIT)}
    return Table(SPACE, LIMIT, {"low": 120, "high": 480}, rows)


@pytest.mark.parametrize("name", ["predictor", "evolution", "blockqnn", "random", "tpe"])
def test_who_begins_with_plain_stacks_is_as_the_guide_says(table: Table, name: str) -> None:
    begun = {tuple(row.spec for row in run(table, name, seed, 2).rows) for seed in range(3)}
    assert (len(begun) == 1) == (name in ("predictor", "evolution", "blockqnn"))


@pytest.mark.parametrize(
    ("points", "expected"),
    [
        ([], 0.0),
        ([(22.0, 6)], 4.0),  # 2 dB over 2 units of ln MAC
        ([(22.0, 6), (21.0, 7)], 4.0),  # dominated
        ([(22.0, 6), (25.0, 7)], 7.0),  # 2·1 + 5·1
        ([(25.0, 7), (22.0, 6), (21.0, 5)], 8.0),  # a cheaper step below: + 1·1
        ([(22.0, 6), (23.0, 6)], 6.0),  # the better of equal costs
        ([(20.0, 6), (30.0, 8), (30.0, 9)], 0.0),  # on the corner's edges and outside
    ],
)
def test_hypervolume_by_hand(points: list[tuple[float, float]], expected: float) -> None:
    front = Front(CORNER)
    for quality, log_macs in points:
        front.add(quality, math.e**log_macs)
    assert front.hypervolume == pytest.approx(expected)


def test_hypervolume_only_grows_and_a_level_is_reached_once() -> None:
    front = Front(CORNER)
    curve = [front.add(quality, math.e**cost) for quality, cost in [(21, 7), (22, 7.5), (21, 6), (19, 5)]]
    assert curve == pytest.approx([1.0, 1.5, 2.5, 2.5])
    assert first_reaching(curve, 1.4) == 2
    assert first_reaching(curve, 2.6) is None


def test_expected_gain_by_hand() -> None:
    front = staircase(np.array([2.0, 1.0, 1.5]), np.array([3.0, 1.0, 0.5]), floor=0.0)
    assert [list(axis) for axis in front] == [[1.0, 2.0], [1.0, 3.0]]
    sure = np.full(3, 1e-9)
    gains = expected_gain(
        np.array([0.5, 1.0, 2.5]),
        np.array([2.0, 4.0, 3.5]),
        sure,
        front=front,
        floor=0.0,
        edge=3.0,
    )
    # 0.5·2 below the first step and 1·1 beside it; 1·3 and 1·1; 0.5·0.5.
    assert gains == pytest.approx([2.0, 4.0, 0.25])


def test_expected_gain_agrees_with_sampling() -> None:
    front = (np.array([1.0, 2.0]), np.array([1.0, 3.0]))
    arguments = {"front": front, "floor": 0.0, "edge": 3.0}
    drawn = np.random.default_rng(1).normal(2.5, 0.8, 20_000)
    sampled = expected_gain(np.full(20_000, 0.5), drawn, np.full(20_000, 1e-9), **arguments).mean()
    exact = expected_gain(np.array([0.5]), np.array([2.5]), np.array([0.8]), **arguments)[0]
    assert exact == pytest.approx(sampled, rel=0.02)


def test_a_packed_table_reads_back(table: Table) -> None:
    packed = pack(list(table.rows.values()), ["a", "b"])
    recipe = {
        "space": json.loads(SPACE.to_json()),
        "macs_limit": LIMIT,
        "steps": dict(table.steps),
        "clips": ["a", "b"],
    }
    again = read(packed, recipe)
    assert again.rows.keys() == table.rows.keys()
    for name, row in table.rows.items():
        assert again.rows[name].spec.to_json() == row.spec.to_json()
        assert again.rows[name].quality() == pytest.approx(row.quality())
        assert again.rows[name].macs_per_pixel == row.macs_per_pixel
    assert pack(list(reversed(again.rows.values())), ["a", "b"]) == packed


@pytest.mark.parametrize("halving", [False, True])
def test_a_replay_repeats_itself(table: Table, halving: bool) -> None:
    first, second = (run(table, "predictor", 3, 12, halving=halving) for _ in range(2))
    assert first.rows == second.rows
    assert first.spent == second.spent
    assert first.spent[-1] <= 12
    if not halving:
        assert first.rows != run(table, "predictor", 4, 12).rows


def test_halving_pays_for_what_it_trains(table: Table) -> None:
    found = run(table, "random", 0, 7, halving=True)
    # Four at a quarter each, and three quarters more for the one that goes on.
    assert found.spent == pytest.approx((1.75, 3.5, 5.25, 7.0))
    assert len({canonical_hash(row.spec) for row in found.rows}) == 4


@pytest.mark.parametrize("peer", SAMPLERS)
def test_peers_train_networks_of_the_table(table: Table, peer: str) -> None:
    rows = list(islice(trained(table, peer, 1), 15))
    assert rows == list(islice(trained(table, peer, 1), 15))
    assert all(row.macs_per_pixel <= LIMIT for row in rows)


def test_the_document_compares_with_the_best_peer(table: Table) -> None:
    def curves(*values: float) -> Curves:
        return Curves({"cheapest": values, "lowest": values}, 3, {"rank_correlation": 0.5}, 0.01)

    runs = {"predictor": [curves(0.5, 0.8, 0.9)], "random": [curves(0.2, 0.4, 0.6)]}
    result = document(table, runs, trials=3, halving=False)
    found = result["strategies"]["predictor"]
    assert found["ratio_to_best_peer"]["cheapest"]["3"] == 1.5
    assert found["trials_to_front_of"] == {"random": 2}
    assert result["strategies"]["random"]["trials_to_front_of"] == {"random": 3}
    assert any(line.startswith("predictor") for line in summary_lines(result))
    chart = bench_chart(result)
    assert chart.count("<polyline") == 2
    assert "random 0.600" in chart


def test_the_predictor_beats_random(table: Table) -> None:
    corner = references(table)["cheapest"]
    best = hypervolume(table.rows.values(), corner)

    def median(strategy: str) -> float:
        finals = [hypervolume(run(table, strategy, seed, 20).rows, corner) for seed in range(5)]
        return float(np.median(finals)) / best

    assert median("predictor") > max(0.97, median("random") + 0.01)


def test_the_predictor_finds_the_best_network_where_quality_alone_counts(table: Table) -> None:
    strategy = PredictorStrategy(Task(MacBudget(SPACE, LIMIT), seed=1, planned=16))
    best = max(_quality(row.spec) for row in table.rows.values())
    found = 0.0
    for ordinal in range(1, 17):
        spec = strategy.ask(ordinal)
        found = max(found, _quality(spec))
        strategy.tell(spec, TrialOutcome(_quality(spec)))
    assert found == pytest.approx(best)
    assert -1 <= strategy.figures()["rank_correlation"] <= 1


def test_a_rebuilt_predictor_goes_on_as_the_live_one() -> None:
    """Three workers in a large space, results of two fidelities, a failure and a pruned one."""
    space = SearchSpace()

    def made() -> PredictorStrategy:
        objectives = (Objective.QUALITY, Objective.MACS, Objective.LATENCY)
        return PredictorStrategy(Task(MacBudget(space, 900.0), objectives, seed=5, planned=20))

    live, calls = made(), list[tuple[str, int, Spec, TrialOutcome]]()
    running: list[Spec] = []
    for ordinal in range(1, 11):
        spec = live.ask(ordinal)
        calls.append(("ask", ordinal, spec, TrialOutcome()))
        running.append(spec)
        if len(running) < 3:
            continue
        ended = running.pop(0)
        outcomes = [TrialOutcome(_quality(ended), 0.03, rung=ordinal % 5 == 0)]
        if ordinal in (4, 7):
            outcomes = [TrialOutcome(pruned=ordinal == 4)]
        for outcome in outcomes:
            live.tell(ended, outcome)
            calls.append(("tell", 0, ended, outcome))
    rebuilt = made()
    for call, ordinal, spec, outcome in calls:
        if call == "ask":
            rebuilt.replay(ordinal, spec, canonical_hash(spec))
        else:
            rebuilt.tell(spec, outcome)
    assert [live.ask(n) for n in (11, 12)] == [rebuilt.ask(n) for n in (11, 12)]
    assert live.figures() == rebuilt.figures()


def test_specs_in_training_are_not_proposed_nor_their_twins(table: Table) -> None:
    strategy = PredictorStrategy(Task(MacBudget(SPACE, LIMIT), seed=2, planned=40))
    asked = [strategy.ask(ordinal) for ordinal in range(1, len(table.rows) + 1)]
    assert len({canonical_hash(spec) for spec in asked}) == len(table.rows)
    with pytest.raises(SpaceExhaustedError):
        strategy.ask(len(table.rows) + 1)


def test_the_posterior_knows_what_it_was_told_and_what_it_could_have_foretold(table: Table) -> None:
    specs = [row.spec for row in list(table.rows.values())[:40]]
    parts = [np.stack(part) for part in zip(*(features(spec) for spec in specs), strict=True)]
    inputs = Scaling.of(parts)(parts, np.zeros(40, dtype=np.int64))
    qualities = np.array([_quality(spec) for spec in specs])
    targets = Units.of(qualities)(qualities)
    theta = fitted(inputs, targets)
    some, last = np.arange(39), np.array([39])
    before = Posterior(theta, inputs.only(some), targets[:39])
    means, spreads = before.predict(inputs.only(last))
    after = Posterior(theta, inputs, targets)
    assert after.foretold[-1] == pytest.approx(means[0])
    told, closer = after.predict(inputs.only(last))
    assert abs(told[0] - targets[-1]) < 0.1
    assert closer[0] < spreads[0]
    believed, _ = before.believing(inputs.only(last)).predict(inputs)
    assert believed == pytest.approx(before.predict(inputs)[0], abs=1e-3)


def test_the_same_network_told_many_times_breaks_nothing() -> None:
    strategy = PredictorStrategy(Task(MacBudget(SPACE, LIMIT), OBJECTIVES, seed=1, planned=20))
    spec = strategy.ask(1)
    for _ in range(40):
        strategy.tell(spec, TrialOutcome(26.0))
    assert strategy.ask(2) != spec


def test_earlier_searches_inform_the_choices(table: Table) -> None:
    """Their trainings were worth 3 dB less; what is good among them is good here."""
    rows = list(table.rows.values())
    prior = tuple((row.spec, TrialOutcome(row.quality() - 3)) for row in rows[::2])

    def twelve(task: Task) -> float:
        strategy = STRATEGIES["predictor"](task)
        corner, trained = references(table)["cheapest"], []
        for ordinal in range(1, 13):
            row = table.row(strategy.ask(ordinal))
            assert row is not None
            trained.append(row)
            strategy.tell(row.spec, TrialOutcome(row.quality()))
        return hypervolume(trained, corner)

    cold = twelve(Task(MacBudget(SPACE, LIMIT), OBJECTIVES, seed=1, planned=20))
    warm = twelve(Task(MacBudget(SPACE, LIMIT), OBJECTIVES, seed=1, planned=20, prior=prior))
    assert warm > cold


def test_results_stay_bounded_and_keep_the_best() -> None:
    spec = SPACE.cheapest()
    results = Results()
    for number in range(5 * KEPT):
        quality = 50.0 if number == 3 else 20 + number % 7
        results.add(Result(spec, features(spec), 0, quality, (1.0,)))
    assert len(results) <= KEPT + 64
    assert results.qualities().max() == 50.0
    assert results.told == 5 * KEPT


def test_units_tame_diverged_networks_and_come_back() -> None:
    qualities = np.array([11.7, 25.0, 26.0, 26.5, 27.0, 28.0])
    units = Units.of(qualities)
    values = units(qualities)
    assert values[0] > -6
    assert list(np.argsort(values)) == list(range(6))
    assert units.decibels(values) == pytest.approx(qualities)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ([1, 2, 3, 4], [10, 20, 30, 40], 1.0),
        ([1, 2, 3, 4], [4, 3, 2, 1], -1.0),
        ([1, 2, 3, 4], [1, 3, 2, 4], 0.8),
        ([1, 1, 2], [5, 5, 6], 1.0),
        ([1, 1, 1], [1, 2, 3], 0.0),
    ],
)
def test_rank_correlation_by_hand(one: list[float], other: list[float], expected: float) -> None:
    assert rank_correlation(np.array(one), np.array(other)) == pytest.approx(expected)


def test_isomorphic_blocks_look_alike() -> None:
    one = Spec.code((1, 1, 3, 0, 0), (2, 8, 3, 0, 0), (3, 5, 0, 1, 2), (4, 7, 0, 0, 0))
    other = Spec.code((1, 8, 3, 0, 0), (2, 1, 3, 0, 0), (3, 5, 0, 2, 1), (4, 7, 0, 0, 0))
    for first, second in zip(features(Spec(one, 8)), features(Spec(other, 8)), strict=True):
        assert first == pytest.approx(second)


def test_the_predictor_is_offered() -> None:
    assert isinstance(STRATEGIES["predictor"](Task(MacBudget(SPACE, LIMIT))), PredictorStrategy)


def test_a_run_is_measured_at_whole_trainings(table: Table) -> None:
    found = run(table, "random", 1, 6)
    curves = measured(table, found, 6)
    for name, corner in references(table).items():
        assert curves.by_reference[name][-1] == pytest.approx(
            hypervolume(found.rows, corner) / hypervolume(table.rows.values(), corner)
        )
        assert list(curves.by_reference[name]) == sorted(curves.by_reference[name])

"""BlockQNN against values worked out by hand from the paper, and on a space whose optimum is known."""

import random

import pytest
from autoisp_core.spec import LayerType, SearchSpace, Spec, SpecError, canonical_hash, cost, validate
from autoisp_core.spec.enumeration import distinct_blocks
from autoisp_search.domain import Objective
from autoisp_search.strategies import Task, TrialOutcome
from autoisp_search.strategies.blockqnn import BlockQNN
from autoisp_search.strategies.blockqnn.decisions import START, Decisions, layer_actions
from autoisp_search.strategies.blockqnn.qtable import QTable
from autoisp_search.strategies.blockqnn.reward import density, percent, reward
from autoisp_search.strategies.blockqnn.schedule import ITERATIONS, epsilon, iteration_size
from autoisp_search.strategies.budgets import MacBudget

PAPER = SearchSpace(
    types=tuple(LayerType(code) for code in range(1, 7)),
    kernels=(1, 3, 5),
    max_layers=22,
    widths=(8,),
    repeats=(1,),
    packings=(2,),
    frames=(1,),
    stem_kernels=(3,),
    head_kernels=(3,),
    recurrent=(0,),
)
"""The paper's types, and nothing around the block to choose."""

TINY = SearchSpace(
    types=(LayerType.CONV, LayerType.ADD),
    kernels=(1, 3),
    max_layers=3,
    widths=(4, 8, 16),
    repeats=(1, 2),
    packings=(2,),
    frames=(1,),
    stem_kernels=(1,),
    head_kernels=(1,),
    recurrent=(0,),
)
CONV, ADD, END = int(LayerType.CONV), int(LayerType.ADD), int(LayerType.TERMINAL)


@pytest.mark.parametrize(
    ("layer", "valid"),
    [
        ((2, 1, 1, 0, 0), True),  # convolutions of 1, 3 and 5
        ((2, 1, 5, 1, 0), True),
        ((2, 1, 7, 1, 0), False),
        ((2, 2, 3, 1, 0), True),  # pools of 1 and 3
        ((2, 3, 1, 1, 0), True),
        ((2, 2, 5, 1, 0), False),
        ((2, 4, 0, 1, 0), True),  # the identity has no kernel
        ((2, 4, 3, 1, 0), False),
        ((2, 5, 0, 0, 1), True),  # sums and concatenations read two
        ((2, 6, 0, 1, 0), True),
        ((2, 1, 3, 0, 1), False),  # others one
        ((2, 5, 0, 0, 2), False),  # never themselves or what follows
        ((2, 1, 3, 2, 0), False),
        ((3, 1, 3, 0, 0), False),  # indices count on
    ],
)
def test_network_structure_code(layer: tuple[int, ...], valid: bool) -> None:
    spec = Spec(Spec.code((1, 1, 3, 0, 0), layer, (3, 7, 0, 0, 0)), width=8)
    if valid:
        validate(spec)
    else:
        with pytest.raises(SpecError):
            validate(spec)


def test_actions_are_the_next_layers_tuples() -> None:
    choices = ((LayerType.CONV, 3), (LayerType.ADD, 0), (LayerType.GATE, 0))
    assert layer_actions(choices, 1, 2) == ((1, 1, 3, 0, 0),)  # nothing to add yet, and no empty block
    assert layer_actions(choices, 2, 2) == (
        (2, 1, 3, 0, 0),
        (2, 1, 3, 1, 0),
        (2, 5, 0, 0, 1),  # a sum of two is one action,
        (2, 11, 0, 0, 1),  # but a gate has an order
        (2, 11, 0, 1, 0),
        (2, 7, 0, 0, 0),
    )
    assert layer_actions(choices, 3, 2) == ((3, 7, 0, 0, 0),)


def test_the_papers_space_has_only_layers_to_decide() -> None:
    decisions = Decisions(PAPER)
    assert all(action[0] == 1 for action in decisions.after(START))
    last = (22, 1, 3, 0, 0)
    assert decisions.after(last) == ((23, 7, 0, 0, 0),)
    assert decisions.after((23, 7, 0, 0, 0)) == ()


def test_numbers_are_decided_before_layers_the_width_last() -> None:
    decisions = Decisions(TINY)
    assert decisions.after(START) == (("repeats", 1), ("repeats", 2))
    assert decisions.after(("repeats", 2)) == (("width", 4), ("width", 8), ("width", 16))
    assert decisions.after(("width", 8)) == ((1, 1, 1, 0, 0), (1, 1, 3, 0, 0))


def test_decisions_lead_back_to_the_network() -> None:
    space, rng = SearchSpace(), random.Random(0)
    decisions = Decisions(space)
    for _ in range(100):
        spec = space.sample(rng)
        actions = decisions.taken(spec)
        assert canonical_hash(decisions.spec(actions)) == canonical_hash(spec)
        for state, action in zip((START, *actions), actions, strict=False):
            assert action in decisions.after(state)


def test_reward_by_hand() -> None:
    assert reward(70.0, 1000.0, 1.25) == pytest.approx(70 - 6.907755 - 8 * 0.223144, abs=1e-4)
    chain = Spec.code((1, 1, 3, 0, 0), (2, 1, 3, 1, 0), (3, 7, 0, 0, 0))
    diamond = Spec.code((1, 1, 3, 0, 0), (2, 1, 3, 0, 0), (3, 5, 0, 1, 2), (4, 7, 0, 0, 0))
    assert density(chain) == 1.0
    assert density(diamond) == pytest.approx(4 / 3)
    assert [percent(db, 27.0) for db in (27.0, 28.0, 26.5, 50.0, 5.0)] == [50.0, 55.0, 47.5, 100.0, 0.0]
    assert percent(28.0, None) == 50.0


def test_epsilon_follows_the_papers_schedule() -> None:
    course = [epsilon(iteration) for iteration in range(ITERATIONS)]
    stages = [(1.0, 95), (0.9, 7), (0.8, 7), (0.7, 7), (0.6, 10), (0.5, 10), (0.4, 10), (0.3, 10), (0.2, 10)]
    assert course == [value for value, count in [*stages, (0.1, 12)] for _ in range(count)]
    assert ITERATIONS == 178
    assert iteration_size(178 * 64) == 64


def test_a_shorter_schedule_has_the_same_shape() -> None:
    assert iteration_size(40) == iteration_size(300) == 1
    course = [epsilon(iteration, 40) for iteration in range(40)]
    assert course == sorted(course, reverse=True)
    assert course.count(1.0) == 22  # 95 of 178
    assert course[-1] == 0.1
    assert epsilon(1000, 40) == 0.1


def test_q_update_by_hand() -> None:
    decisions = Decisions(PAPER)
    table = QTable(decisions)
    first, second, end = (1, CONV, 3, 0, 0), (2, CONV, 3, 1, 0), (3, END, 0, 0, 0)
    table.learn((first, second, end), 60.0)
    # The terminal: 0.99 · 0.5 + 0.01 · 60.
    assert table.value(second, end) == pytest.approx(1.095)
    # Before it: 0.99 · 0.5 + 0.01 · (60 / 3 + max Q), with max Q = 1.095, then 0.71595.
    assert table.value(first, second) == pytest.approx(0.495 + 0.01 * 21.095)
    assert table.value(START, first) == pytest.approx(0.495 + 0.01 * (20 + 0.70595))
    # Once more: all have moved on.
    table.learn((first, second, end), 60.0)
    assert table.value(second, end) == pytest.approx(0.99 * 1.095 + 0.6)
    assert table.value(first, second) == pytest.approx(0.99 * 0.70595 + 0.01 * (20 + 1.68405))
    assert len(table) == 3


def test_what_was_never_visited_counts_as_a_half() -> None:
    table = QTable(Decisions(PAPER))
    first, end = (1, CONV, 3, 0, 0), (2, END, 0, 0, 0)
    assert table.best(START) == 0.5
    table.learn((first, end), -100.0)  # worse than the unknown
    assert table.value(first, end) == pytest.approx(0.495 - 1)
    assert table.best(first) == 0.5
    # 0.495 + 0.01 · (−50 + 0.5): the unvisited is the best that can follow.
    assert table.value(START, first) == pytest.approx(0.0)
    assert table.preferred(START, random.Random(0))[-1] == first


def trained(strategy: BlockQNN, count: int, quality: object = None) -> list[Spec]:
    specs = []
    for ordinal in range(1, count + 1):
        spec = strategy.ask(ordinal)
        strategy.tell(spec, TrialOutcome(quality(spec) if callable(quality) else 28.0))
        specs.append(spec)
    return specs


def test_replay_draws_64_pairs_of_block_and_reward(monkeypatch: pytest.MonkeyPatch) -> None:
    learned: list[tuple[object, float]] = []
    plain = QTable.learn
    monkeypatch.setattr(QTable, "learn", lambda self, *args: (learned.append(args), plain(self, *args))[1])
    strategy = BlockQNN(Task(MacBudget(SearchSpace(), 2000.0), planned=3 * 178))
    specs = trained(strategy, 2)
    assert len(learned) == 2  # an iteration has three blocks
    specs += trained(strategy, 1)
    assert len(learned) == 3 + 64
    own = {(actions, worth) for actions, worth in learned[:3]}
    assert {(actions, worth) for actions, worth in learned[3:]} == own
    expected = reward(50.0, cost(specs[0]).macs_per_pixel, density(specs[0].block))
    assert learned[0][1] == pytest.approx(expected)


def test_failed_pruned_and_promoted_trials_teach_nothing() -> None:
    strategy = BlockQNN(Task(MacBudget(SearchSpace(), 2000.0), planned=10))
    spec = strategy.ask(1)
    for result in (TrialOutcome(), TrialOutcome(pruned=True), TrialOutcome(40.0, rung=1)):
        strategy.tell(spec, result)
    assert strategy.figures()["visited_actions"] == 0


def test_solves_a_space_whose_optimum_is_known() -> None:
    members = [spec for block in distinct_blocks(TINY) for spec in TINY.sizes(block)]

    def quality(spec: Spec) -> float:
        sums = sum(layer.type == LayerType.ADD for layer in spec.block)
        return 24 + 2.0 * sums + (spec.width == 8) + 0.5 * spec.repeats

    def worth(spec: Spec) -> float:
        return reward(percent(quality(spec), 27.0), cost(spec).macs_per_pixel, density(spec.block))

    best, planned = max(map(worth, members)), 100
    assert len(members) == 396
    solved, learned = 0, 0.0
    for seed in range(10):
        strategy = BlockQNN(Task(MacBudget(TINY, 1e9), seed=seed, planned=planned, reference_db=27.0))
        specs = trained(strategy, planned, quality)
        solved += max(map(worth, specs)) == pytest.approx(best)
        # What it designs when it has learned, against what it designed by chance.
        learned += (sum(map(worth, specs[-20:])) / 20 - sum(map(worth, specs[4:54])) / 50) / 10
    assert solved >= 7  # a hundred draws without any learning find it in 4 seeds of 10
    assert learned > 3


def test_a_front_is_spread_over_the_budget() -> None:
    objectives = (Objective.QUALITY, Objective.MACS)
    strategy = BlockQNN(Task(MacBudget(SearchSpace(), 3000.0), objectives, planned=100))
    shares = [cost(spec).macs_per_pixel / 3000 for spec in trained(strategy, 100)]
    assert max(shares) <= 1
    for low, high in ((0.0, 0.1), (0.1, 0.3), (0.3, 1.0)):
        assert sum(low < share <= high for share in shares) >= 15

"""Drawing, changing and combining specs inside a space and a budget."""

import random

import pytest
from autoisp_core.spec import (
    RESIDUAL_PAIR,
    RESIDUAL_SINGLE,
    LayerType,
    SearchSpace,
    Spec,
    SpecError,
    anchor_specs,
    canonical_hash,
    cost,
    plain_stacks,
    validate,
)

SPACE = SearchSpace()
PLAIN = Spec(Spec.code((1, 1, 3, 0, 0), (2, 7, 0, 0, 0)), 20, repeats=3, head_kernel=1)


def test_contains_the_plain_three_frame_stack() -> None:
    assert SPACE.contains(PLAIN)
    assert cost(PLAIN).macs_per_pixel == 540 + 3 * 900 + 60 + 9


def test_every_sample_is_a_valid_member() -> None:
    rng = random.Random(1)
    specs = [SPACE.sample(rng) for _ in range(300)]
    for spec in specs:
        validate(spec)
        assert SPACE.contains(spec)
    assert {layer.type for spec in specs for layer in spec.block} == {*SPACE.types, LayerType.TERMINAL}
    assert len({canonical_hash(spec) for spec in specs}) > 280


@pytest.mark.parametrize("budget", [100.0, 355.44, 710.88, 1500.0, 3554.4])
def test_draws_within_a_budget_nearly_spend_it(budget: float) -> None:
    rng = random.Random(2)
    specs = [SPACE.sample_within(rng, budget) for _ in range(60)]
    specs += [SPACE.mutate_within(spec, rng, budget) for spec in specs]
    shares = [cost(spec).macs_per_pixel / budget for spec in specs]
    assert max(shares) <= 1
    assert min(shares) >= 0.35
    assert all(SPACE.contains(spec) for spec in specs)
    assert len({canonical_hash(spec) for spec in specs}) > 80


def test_the_same_seed_draws_the_same_specs() -> None:
    def draw(seed: int) -> list[Spec]:
        rng = random.Random(seed)
        first = SPACE.sample_within(rng, 1000)
        return [first, SPACE.mutate_within(first, rng, 1000)]

    assert draw(5) == draw(5)
    assert draw(5) != draw(6)


def test_mutation_changes_little_and_stays_inside() -> None:
    rng = random.Random(3)
    spec = PLAIN
    for _ in range(200):
        child = SPACE.mutate(spec, rng)
        assert child != spec
        assert SPACE.contains(child)
        assert abs(len(child.block) - len(spec.block)) <= 2
        spec = child


def test_nothing_is_cheaper_than_the_cheapest() -> None:
    rng = random.Random(5)
    least = cost(SPACE.cheapest()).macs_per_pixel
    assert SPACE.contains(SPACE.cheapest())
    assert all(cost(SPACE.sample(rng)).macs_per_pixel >= least for _ in range(200))


def test_an_impossible_budget_says_so() -> None:
    for draw in (SPACE.sample_within, lambda rng, macs: SPACE.mutate_within(PLAIN, rng, macs)):
        with pytest.raises(SpecError, match="below the cheapest") as caught:
            draw(random.Random(0), 10.0)
        assert caught.value.field == "max_macs"


@pytest.mark.parametrize("budget", [150.0, 355.44, 710.88, 3554.4])
def test_anchors_spend_the_budget_and_lie_in_the_space(budget: float) -> None:
    anchors = anchor_specs(budget)
    assert anchors
    assert all(SPACE.contains(spec) and cost(spec).macs_per_pixel <= budget for spec in anchors)
    assert anchors[0].frames == 3
    assert cost(anchors[0]).macs_per_pixel > 0.75 * budget


def test_anchors_obey_a_narrower_space() -> None:
    space = SearchSpace(frames=(1,), packings=(2,))
    assert {(spec.frames, spec.packing) for spec in anchor_specs(2000, space)} == {(1, 2)}
    assert anchor_specs(1.0) == ()


def test_anchors_are_residual_pairs_and_singles_where_pairs_do_not_fit() -> None:
    assert {spec.block for spec in anchor_specs(3500)} == {RESIDUAL_PAIR}
    assert {spec.block for spec in anchor_specs(3500, SearchSpace(max_layers=1))} == {RESIDUAL_SINGLE}


def test_plain_stacks_come_cheapest_first() -> None:
    stacks = plain_stacks(SPACE)
    costs = [cost(spec).macs_per_pixel for spec in stacks]
    assert costs == sorted(costs)
    assert len(set(stacks)) == len(stacks)


def test_json_round_trips() -> None:
    space = SearchSpace(types=(LayerType.CONV, LayerType.GATE), widths=(8,), max_layers=3)
    assert SearchSpace.from_json(space.to_json()) == space
    assert SearchSpace.from_json("{}") == SPACE


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("nonsense", "space"),
        ('{"depth":3}', "space"),
        ('{"widths":"wide"}', "space"),
        ('{"widths":[]}', "space.widths"),
        ('{"widths":[2]}', "space.widths"),
        ('{"types":[99]}', "space"),
        ('{"types":[9]}', "space.types"),
        ('{"types":[7]}', "space.types"),
        ('{"frames":[2]}', "space.frames"),
        ('{"kernels":[9],"types":[1]}', "space.kernels"),
        ('{"max_layers":23}', "space.max_layers"),
    ],
)
def test_bad_spaces_name_the_key(text: str, field: str) -> None:
    with pytest.raises(SpecError) as caught:
        SearchSpace.from_json(text)
    assert caught.value.field == field

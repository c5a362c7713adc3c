"""Drawing, changing and combining specs inside a space and a budget."""

import random
from dataclasses import replace

import pytest
from autoisp_core.spec import (
    ANCHOR_BLOCKS,
    RESIDUAL_PAIR,
    RESIDUAL_SINGLE,
    LayerType,
    SearchSpace,
    Spec,
    SpecError,
    anchor_specs,
    anchor_stacks,
    canonical_hash,
    cost,
    validate,
)
from autoisp_core.spec.enumeration import distinct_blocks, members

SPACE = SearchSpace()
WIDE = SearchSpace(
    types=(*SPACE.types, LayerType.GROUPED),
    widths=(6, 7, 8, 16, 24),
    packings=(2, 4, 8),
    recurrent=(0, 1),
    residual=(0, 1),
    heads=(0, 1),
)
"""Every choice there is."""
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


def test_the_whole_space_is_drawn_from_and_changed_within() -> None:
    rng = random.Random(4)
    specs = [WIDE.sample(rng) for _ in range(300)]
    for spec in list(specs):
        validate(spec)
        specs.append(WIDE.mutate(spec, rng))
    assert all(WIDE.contains(spec) for spec in specs)
    for name, values in (
        ("packing", {2, 4, 8}),
        ("recurrent", {0, 1}),
        ("residual", {0, 1}),
        ("head", {0, 1}),
    ):
        assert {getattr(spec, name) for spec in specs} == values
    assert any(layer.type == LayerType.GROUPED for spec in specs for layer in spec.block)
    least = cost(WIDE.cheapest()).macs_per_pixel
    assert min(cost(spec).macs_per_pixel for spec in specs) >= least


def test_the_default_space_has_what_pays_only() -> None:
    spec = SPACE.sample(random.Random(0))
    assert {
        replace(spec, recurrent=on).recurrent for on in (0, 1) if SPACE.contains(replace(spec, recurrent=on))
    } == {0, 1}
    for changes in ({"residual": 1}, {"head": 1}, {"packing": 8}):
        changed = replace(spec, **changes)
        assert not SPACE.contains(changed)
        assert WIDE.contains(replace(changed, width=8))


def test_no_member_reads_the_same_layer_twice() -> None:
    twice = Spec(Spec.code((1, 1, 3, 0, 0), (2, 5, 0, 1, 1), (3, 7, 0, 0, 0)), 16)
    validate(twice)
    assert not SPACE.contains(twice)
    rng = random.Random(6)
    sums = SearchSpace(types=(LayerType.IDENTITY, LayerType.ADD))
    specs = [sums.sample(rng) for _ in range(200)]
    specs += [sums.mutate(spec, rng) for spec in specs]
    layers = [layer for spec in specs for layer in spec.block if layer.type == LayerType.ADD]
    assert len(layers) > 100
    assert all(layer.pred1 != layer.pred2 for layer in layers)


def test_blocks_grow_to_the_index_that_the_space_allows() -> None:
    layers = [(index, 1, 3, index - 1, 0) for index in range(1, 23)]
    longest = Spec(Spec.code(*layers, (23, 7, 0, 0, 0)), 8)
    assert SearchSpace(max_layers=22).contains(longest)
    assert not SearchSpace(max_layers=21).contains(longest)
    rng = random.Random(8)
    drawn = [SearchSpace(max_layers=22).sample(rng) for _ in range(200)]
    assert max(spec.block[-1].index for spec in drawn) == 23


def test_a_space_of_one_network_size_still_changes_blocks() -> None:
    numbers = {"widths": (8,), "repeats": (1,), "packings": (2,), "frames": (3,)}
    space = SearchSpace(**numbers, stem_kernels=(3,), head_kernels=(1,))
    spec = space.sample(random.Random(0))
    assert space.mutate(spec, random.Random(0)).block != spec.block


def test_members_are_every_network_once() -> None:
    space = SearchSpace(
        types=(LayerType.CONV, LayerType.ADD),
        kernels=(3,),
        max_layers=2,
        widths=(8,),
        repeats=(1,),
        packings=(2,),
        frames=(3,),
        stem_kernels=(1,),
        head_kernels=(1,),
        recurrent=(0, 1),
        residual=(0, 1),
        heads=(0, 1),
    )
    # Blocks: a convolution; two in a row; two side by side; a convolution added to the input.
    blocks = distinct_blocks(space)
    assert len(blocks) == 4
    found = list(members(space, 1e9))
    assert len(found) == len({canonical_hash(spec) for spec in found}) == 4 * 8
    assert all(space.contains(spec) for spec in found)
    assert all(cost(spec).macs_per_pixel <= 100 for spec in members(space, 100))


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
    assert (anchors[0].recurrent, anchors[0].frames) == (1, 1)
    assert cost(anchors[0]).macs_per_pixel > 0.7 * budget


def test_anchors_obey_a_narrower_space() -> None:
    space = SearchSpace(frames=(1,), packings=(2,), recurrent=(0,))
    assert {(spec.frames, spec.packing) for spec in anchor_specs(2000, space)} == {(1, 2)}
    assert anchor_specs(1.0) == ()


@pytest.mark.parametrize(
    "switches", [{"residual": (1,)}, {"heads": (1,)}, {"residual": (1,), "heads": (0, 1)}]
)
def test_spaces_upon_a_demosaic_have_anchors_too(switches: dict[str, tuple[int, ...]]) -> None:
    space = SearchSpace(**switches)  # type: ignore[arg-type]
    anchors = anchor_specs(3554, space)
    assert len(anchors) == len(anchor_specs(3554))
    assert all(space.contains(spec) and cost(spec).macs_per_pixel <= 3554 for spec in anchors)


def test_anchors_are_of_every_known_block_and_singles_only_where_pairs_do_not_fit() -> None:
    assert {spec.block for spec in anchor_specs(3500)} == set(ANCHOR_BLOCKS) - {RESIDUAL_SINGLE}
    assert [spec.block for spec in anchor_specs(3500)[:3]] == list(ANCHOR_BLOCKS[:3])
    three_layers = SearchSpace(max_layers=3)
    assert {spec.block for spec in anchor_specs(3500, three_layers)} == {RESIDUAL_PAIR}
    assert {spec.block for spec in anchor_specs(3500, SearchSpace(max_layers=1))} == {RESIDUAL_SINGLE}


def test_anchor_stacks_come_cheapest_first() -> None:
    stacks = anchor_stacks(SPACE)
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
        ('{"types":[1,7]}', "space.types"),
        ('{"types":[7]}', "space.types"),
        ('{"frames":[2]}', "space.frames"),
        ('{"kernels":[9],"types":[1]}', "space.kernels"),
        ('{"kernels":[2,3]}', "space.kernels"),
        ('{"kernels":[7],"types":[1]}', "space.kernels"),
        ('{"widths":[Infinity]}', "space"),
        ('{"max_layers":23}', "space.max_layers"),
        ('{"recurrent":[2]}', "space.recurrent"),
        ('{"residual":[]}', "space.residual"),
        ('{"heads":[3]}', "space.heads"),
        ('{"packings":[16]}', "space.packings"),
        ('{"types":[5,6]}', "space.types"),
    ],
)
def test_bad_spaces_name_the_key(text: str, field: str) -> None:
    with pytest.raises(SpecError) as caught:
        SearchSpace.from_json(text)
    assert caught.value.field == field

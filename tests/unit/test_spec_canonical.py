"""One network, one hash."""

import random
import time
from dataclasses import replace
from itertools import product

import pytest
from autoisp_core.spec import Layer, LayerType, SearchSpace, Spec, canonical_hash, validate
from autoisp_core.spec.isomorphism import canonical_rows
from autoisp_core.spec.layers import BINARY, COMMUTATIVE
from hypothesis import given, settings
from hypothesis import strategies as st

SPACE = SearchSpace(max_layers=8)


def renumbered(spec: Spec, rng: random.Random) -> Spec:
    """The same network with layers in another topological order and commutative predecessors swapped."""
    waiting = list(spec.block[:-1])
    numbers, layers = {0: 0}, []
    while waiting:
        ready = [layer for layer in waiting if all(pred in numbers for pred in layer.predecessors)]
        chosen = rng.choice(ready)
        waiting.remove(chosen)
        numbers[chosen.index] = len(layers) + 1
        preds = [numbers[pred] for pred in chosen.predecessors]
        if chosen.type in COMMUTATIVE:
            rng.shuffle(preds)
        layers.append(Layer(len(layers) + 1, chosen.type, chosen.kernel, *preds))
    return replace(spec, block=(*layers, Layer(len(layers) + 1, LayerType.TERMINAL)))


@given(st.integers(0, 10**9))
@settings(deadline=None, max_examples=150)
def test_renumbering_keeps_the_hash(seed: int) -> None:
    rng = random.Random(seed)
    spec = SPACE.sample(rng)
    other = renumbered(spec, rng)
    validate(other)
    assert canonical_hash(other) == canonical_hash(spec)


@given(st.integers(0, 10**9))
@settings(deadline=None, max_examples=100)
def test_a_changed_number_changes_the_hash(seed: int) -> None:
    spec = replace(SPACE.sample(random.Random(seed)), recurrent=0)
    others = [
        replace(spec, width=spec.width + 1),
        replace(spec, repeats=spec.repeats + 1),
        replace(spec, packing=6 - spec.packing),
        replace(spec, frames=4 - spec.frames if spec.frames != 5 else 3),
        replace(spec, stem_kernel=4 - spec.stem_kernel),
        replace(spec, head_kernel=4 - spec.head_kernel),
        replace(spec, recurrent=1),
        replace(spec, residual=1),
        replace(spec, head=1),
        replace(spec, recurrent=1, residual=1),
    ]
    assert len({canonical_hash(one) for one in (spec, *others)}) == 1 + len(others)


def code(*tuples: tuple[int, ...]) -> str:
    end = (len(tuples) + 1, 7, 0, 0, 0)
    return canonical_hash(Spec(Spec.code(*tuples, end), width=16))


def test_the_gate_is_not_commutative() -> None:
    assert code((1, 1, 3, 0, 0), (2, 11, 0, 0, 1)) != code((1, 1, 3, 0, 0), (2, 11, 0, 1, 0))


def test_shared_and_separate_predecessors_differ() -> None:
    shared = [
        (1, 1, 3, 0, 0),
        (2, 1, 3, 0, 0),
        (3, 1, 1, 1, 0),
        (4, 1, 1, 1, 0),
        (5, 2, 3, 2, 0),
        (6, 2, 3, 2, 0),
    ]
    separate = [*shared[:3], (4, 1, 1, 2, 0), (5, 2, 3, 1, 0), (6, 2, 3, 2, 0)]
    assert code(*shared) != code(*separate)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        # Each sum reads both convolutions once, or one of them twice.
        ([(3, 5, 0, 1, 2), (4, 5, 0, 1, 2)], [(3, 5, 0, 1, 1), (4, 5, 0, 2, 2)]),
        # Each sum joins a convolution with its own pool, or with the other one's.
        (
            [(3, 2, 3, 1, 0), (4, 2, 3, 2, 0), (5, 5, 0, 1, 3), (6, 5, 0, 2, 4)],
            [(3, 2, 3, 1, 0), (4, 2, 3, 2, 0), (5, 5, 0, 1, 4), (6, 5, 0, 2, 3)],
        ),
    ],
)
def test_networks_that_look_alike_from_every_layer_differ(
    one: list[tuple[int, ...]], other: list[tuple[int, ...]]
) -> None:
    stems = [(1, 1, 3, 0, 0), (2, 1, 3, 0, 0)]
    assert code(*stems, *one) != code(*stems, *other)
    blocks = [Spec(Spec.code(*stems, *rest, (len(rest) + 3, 7, 0, 0, 0)), 16) for rest in (one, other)]
    for seed in range(20):
        again = [canonical_hash(renumbered(spec, random.Random(seed))) for spec in blocks]
        assert again == [canonical_hash(spec) for spec in blocks]


def test_a_ring_of_six_is_not_two_rings_of_three() -> None:
    """Sums of pairs of six equal convolutions: the largest case that fits the paper's 23 tuples easily."""
    stems = [(index, 1, 3, 0, 0) for index in range(1, 7)]

    def sums(pairs: list[tuple[int, int]]) -> str:
        layers = [(index, 5, 0, *pair) for index, pair in enumerate(pairs, start=7)]
        return code(*stems, *layers)

    ring = [(1, 2), (2, 3), (3, 4), (4, 5), (5, 6), (6, 1)]
    assert sums(ring) == sums(ring[::-1])
    assert sums(ring) == sums([(1, 4), (4, 2), (2, 6), (6, 3), (3, 5), (5, 1)])
    assert sums(ring) != sums([(1, 2), (2, 3), (3, 1), (4, 5), (5, 6), (6, 4)])


def test_long_rings_are_told_apart_at_once() -> None:
    """Trying every order of eleven equal convolutions would take hours."""

    def rings(*lengths: int) -> Spec:
        around = [(start, length) for start, length in zip((0, lengths[0]), lengths, strict=False)]
        pairs = [
            (start + one, start + (one + 1) % length) for start, length in around for one in range(length)
        ]
        stems = [(index, 1, 3, 0, 0) for index in range(1, len(pairs) + 1)]
        sums = [(len(pairs) + place, 5, 0, a + 1, b + 1) for place, (a, b) in enumerate(pairs, start=1)]
        end = (2 * len(pairs) + 1, 7, 0, 0, 0)
        return Spec(Spec.code(*stems, *sums, end), 16)

    begun = time.perf_counter()
    hashes = {canonical_hash(rings(*lengths)) for lengths in ((11,), (4, 7), (5, 6), (3, 8))}
    assert len(hashes) == 4
    for seed in range(3):
        assert canonical_hash(renumbered(rings(11), random.Random(seed))) == canonical_hash(rings(11))
    assert time.perf_counter() - begun < 5


def test_small_blocks_of_equal_hash_are_isomorphic() -> None:
    """Every block of at most three layers, two unary and all binary kinds, against the exact comparison."""
    kinds = ((LayerType.CONV, 3), (LayerType.IDENTITY, 0), *((kind, 0) for kind in BINARY))
    found: dict[str, set[object]] = {}
    for length in (1, 2, 3):
        for layers in product(*(every_layer(kinds, index) for index in range(1, length + 1))):
            block = (*layers, Layer(length + 1, LayerType.TERMINAL))
            blind = dict.fromkeys(range(length + 1), "")
            found.setdefault(canonical_hash(Spec(block, 16)), set()).add(canonical_rows(block, blind))
    assert len(found) > 500
    assert {len(rows) for rows in found.values()} == {1}
    assert len({rows for same in found.values() for rows in same}) == len(found)


def every_layer(kinds: tuple[tuple[LayerType, int], ...], index: int) -> list[Layer]:
    every = range(index)
    return [
        Layer(index, kind, kernel, first, second)
        for kind, kernel in kinds
        for first in every
        for second in (every if kind in BINARY else (0,))
    ]


def test_the_most_symmetric_block_of_the_paper_is_quick() -> None:
    chains = [(index, 1, 3, 0 if index % 2 else index - 1, 0) for index in range(1, 23)]
    begun = time.perf_counter()
    assert code(*chains) == code(*chains)
    assert time.perf_counter() - begun < 2


def test_kernels_and_depth_matter() -> None:
    blocks = [
        [(1, 1, 3, 0, 0)],
        [(1, 1, 5, 0, 0)],
        [(1, 1, 3, 0, 0), (2, 1, 3, 1, 0)],
        [(1, 1, 3, 0, 0), (2, 1, 3, 0, 0)],
        [(1, 1, 3, 0, 0), (2, 4, 0, 1, 0)],
    ]
    assert len({code(*block) for block in blocks}) == len(blocks)

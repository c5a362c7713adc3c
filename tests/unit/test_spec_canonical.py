"""One network, one hash."""

import random
from dataclasses import replace

from autoisp_core.spec import Layer, LayerType, SearchSpace, Spec, canonical_hash, validate
from autoisp_core.spec.layers import COMMUTATIVE
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
    spec = SPACE.sample(random.Random(seed))
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


def test_kernels_and_depth_matter() -> None:
    blocks = [
        [(1, 1, 3, 0, 0)],
        [(1, 1, 5, 0, 0)],
        [(1, 1, 3, 0, 0), (2, 1, 3, 1, 0)],
        [(1, 1, 3, 0, 0), (2, 1, 3, 0, 0)],
        [(1, 1, 3, 0, 0), (2, 4, 0, 1, 0)],
    ]
    assert len({code(*block) for block in blocks}) == len(blocks)

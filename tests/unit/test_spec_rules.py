"""Which specs are well formed, and how errors speak of those that aren't.

The validity of BlockQNN's Network Structure Code is written out by hand, tuple by tuple.
"""

from itertools import product

import pytest
from autoisp_core.errors import InvalidArgumentError
from autoisp_core.spec import Layer, LayerType, Spec, SpecError, is_valid, loose_ends, validate

END = (2, 7, 0, 0, 0)


def spec(*tuples: tuple[int, ...], **numbers: int) -> Spec:
    return Spec(Spec.code(*tuples), **{"width": 16, **numbers})


@pytest.mark.parametrize(
    "layer",
    [
        *((1, 1, kernel, 0, 0) for kernel in (1, 3, 5)),
        *((1, 2, kernel, 0, 0) for kernel in (1, 3)),
        *((1, 3, kernel, 0, 0) for kernel in (1, 3)),
        (1, 4, 0, 0, 0),
        (1, 5, 0, 0, 0),
        (1, 6, 0, 0, 0),
        *((1, 8, kernel, 0, 0) for kernel in (3, 5, 7)),
        *((1, 9, kernel, 0, 0) for kernel in (3, 5)),
        (1, 11, 0, 0, 0),
        *((1, 12, kernel, 0, 0) for kernel in (1, 3, 5)),
    ],
)
def test_accepts_every_tuple_of_the_code(layer: tuple[int, ...]) -> None:
    validate(spec(layer, END))


@pytest.mark.parametrize(
    ("layer", "field"),
    [
        ((1, 1, 2, 0, 0), "spec.block[0].kernel"),
        ((1, 1, 7, 0, 0), "spec.block[0].kernel"),
        ((1, 2, 5, 0, 0), "spec.block[0].kernel"),
        ((1, 4, 3, 0, 0), "spec.block[0].kernel"),
        ((1, 5, 1, 0, 0), "spec.block[0].kernel"),
        ((1, 8, 1, 0, 0), "spec.block[0].kernel"),
        ((1, 1, 3, 0, 1), "spec.block[0].pred2"),
        ((1, 1, 3, 1, 0), "spec.block[0].pred1"),
        ((1, 1, 3, -1, 0), "spec.block[0].pred1"),
        ((1, 5, 0, 0, 1), "spec.block[0].pred2"),
        ((2, 1, 3, 0, 0), "spec.block[0].index"),
        ((1, 7, 0, 0, 0), "spec.block[0].type"),
        ((1, 9, 1, 0, 0), "spec.block[0].kernel"),
        ((1, 9, 3, 0, 1), "spec.block[0].pred2"),
        ((1, 10, 5, 0, 0), "spec.block[0].kernel"),
        ((1, 10, 3, 0, 1), "spec.block[0].pred2"),
    ],
)
def test_refuses_a_wrong_tuple_and_quotes_it(layer: tuple[int, ...], field: str) -> None:
    with pytest.raises(SpecError) as caught:
        validate(spec(layer, END))
    assert caught.value.field == field
    assert caught.value.reason == "INVALID_SPEC"
    assert str(Spec.code(layer)[0]) in str(caught.value)
    assert isinstance(caught.value, InvalidArgumentError)
    assert not is_valid(spec(layer, END))


NSC_KERNELS = {1: {1, 3, 5}, 2: {1, 3}, 3: {1, 3}, 4: {0}, 5: {0}, 6: {0}}
"""BlockQNN's table: convolution, max pool, average pool, identity, elemental add, concat."""
NSC_TWO_PREDECESSORS = {5, 6}


@pytest.mark.parametrize("code", NSC_KERNELS)
def test_the_whole_validity_table_of_the_paper(code: int) -> None:
    """Every combination of kernel and predecessors for a third layer, whose index is 3."""
    before = [(1, 1, 3, 0, 0), (2, 1, 3, 1, 0)]
    for kernel, first, second in product(range(8), range(-1, 5), range(-1, 5)):
        block = spec(*before, (3, code, kernel, first, second), (4, 7, 0, 0, 0))
        second_fits = 0 <= second <= 2 if code in NSC_TWO_PREDECESSORS else second == 0
        expected = kernel in NSC_KERNELS[code] and 0 <= first <= 2 and second_fits
        assert is_valid(block) == expected, (code, kernel, first, second)


def test_the_terminal_has_neither_kernel_nor_predecessors_and_comes_last_and_once() -> None:
    layer = (1, 1, 3, 0, 0)
    assert is_valid(spec(layer, END))
    for end in ((2, 7, 1, 0, 0), (2, 7, 0, 1, 0), (2, 7, 0, 0, 1), (3, 7, 0, 0, 0), (1, 7, 0, 0, 0)):
        assert not is_valid(spec(layer, end)), end
    assert not is_valid(spec(layer, END, (3, 7, 0, 0, 0)))
    assert not is_valid(spec(layer, END, (3, 1, 3, 1, 0)))


def test_the_paper_allows_twice_the_same_predecessor() -> None:
    validate(spec((1, 1, 3, 0, 0), (2, 5, 0, 1, 1), (3, 6, 0, 2, 2), (4, 7, 0, 0, 0)))


@pytest.mark.parametrize(
    ("numbers", "field"),
    [
        ({"width": 3}, "spec.width"),
        ({"repeats": 0}, "spec.repeats"),
        ({"packing": 3}, "spec.packing"),
        ({"frames": 2}, "spec.frames"),
        ({"stem_kernel": 2}, "spec.stem_kernel"),
        ({"head_kernel": 0}, "spec.head_kernel"),
        ({"recurrent": 2}, "spec.recurrent"),
        ({"residual": -1}, "spec.residual"),
        ({"head": 2}, "spec.head"),
    ],
)
def test_refuses_wrong_numbers(numbers: dict[str, int], field: str) -> None:
    with pytest.raises(SpecError) as caught:
        validate(spec((1, 1, 3, 0, 0), END, **numbers))
    assert caught.value.field == field


def test_a_block_ends_in_a_terminal_and_has_a_layer() -> None:
    for tuples in ([(1, 1, 3, 0, 0)], [(1, 7, 0, 0, 0)], [(1, 1, 3, 0, 0), (2, 1, 3, 1, 0)], []):
        assert not is_valid(spec(*tuples))
    assert not is_valid(spec((1, 1, 3, 0, 0), (2, 7, 0, 1, 0)))


def test_the_largest_index_is_23_and_configurable() -> None:
    layers = [(index, 1, 1, index - 1, 0) for index in range(1, 23)]
    validate(spec(*layers, (23, 7, 0, 0, 0)))
    with pytest.raises(SpecError, match="at most 23"):
        validate(spec(*layers, (23, 1, 1, 22, 0), (24, 7, 0, 0, 0)))
    with pytest.raises(SpecError, match="at most 2"):
        validate(spec((1, 1, 3, 0, 0), (2, 1, 3, 1, 0), (3, 7, 0, 0, 0)), max_index=2)


def test_loose_ends_are_the_layers_nobody_reads() -> None:
    block = Spec.code((1, 1, 3, 0, 0), (2, 1, 3, 0, 0), (3, 5, 0, 1, 0), (4, 4, 0, 0, 0), (5, 7, 0, 0, 0))
    assert loose_ends(block) == (2, 3, 4)


def test_layers_may_be_loose_in_any_number_up_to_all() -> None:
    layers = [(index, 1, 1, 0, 0) for index in range(1, 23)]
    block = Spec.code(*layers, (23, 7, 0, 0, 0))
    validate(Spec(block, 16))
    assert loose_ends(block) == tuple(range(1, 23))


def test_codes_are_those_of_blockqnn_and_never_renumbered() -> None:
    assert {kind.name: int(kind) for kind in LayerType} == {
        "CONV": 1,
        "MAX_POOL": 2,
        "AVG_POOL": 3,
        "IDENTITY": 4,
        "ADD": 5,
        "CONCAT": 6,
        "TERMINAL": 7,
        "DEPTHWISE": 8,
        "GROUPED": 9,
        "DYNAMIC": 10,
        "GATE": 11,
        "COARSE": 12,
    }


def test_json_is_stable_and_round_trips() -> None:
    one = spec((1, 1, 3, 0, 0), END, frames=5, packing=4)
    text = one.to_json()
    assert text == (
        '{"block":[[1,1,3,0,0],[2,7,0,0,0]],"width":16,"repeats":1,"packing":4,"frames":5,'
        '"stem_kernel":3,"head_kernel":3}'
    )
    assert Spec.from_json(text) == one
    assert Spec.from_json('{"block":[[1,1,3,0,0],[2,7,0,0,0]],"width":16,"frames":5,"packing":4}') == one


def test_json_tells_extensions_only_where_they_are_on() -> None:
    one = spec((1, 1, 3, 0, 0), END, recurrent=1, head=1)
    assert one.to_json() == (
        '{"block":[[1,1,3,0,0],[2,7,0,0,0]],"width":16,"repeats":1,"packing":2,"frames":3,'
        '"stem_kernel":3,"head_kernel":3,"recurrent":1,"head":1}'
    )
    assert Spec.from_json(one.to_json()) == one
    explicit = '{"block":[[1,1,3,0,0],[2,7,0,0,0]],"width":16,"recurrent":0,"residual":0,"head":0}'
    assert Spec.from_json(explicit) == spec((1, 1, 3, 0, 0), END)


@pytest.mark.parametrize(
    ("text", "field"),
    [
        ("no json", "spec"),
        ("[]", "spec"),
        ('{"width":16}', "spec"),
        ('{"block":[]}', "spec.width"),
        ('{"block":[],"width":16,"depth":1}', "spec.depth"),
        ('{"block":[],"width":"16"}', "spec.width"),
        ('{"block":[],"width":true}', "spec.width"),
        ('{"block":[],"width":16,"recurrent":true}', "spec.recurrent"),
        ('{"block":[3],"width":16}', "spec.block[0]"),
        ('{"block":[[1,1,3,0]],"width":16}', "spec.block[0]"),
        ('{"block":[[1,1,3,0,0.5]],"width":16}', "spec.block[0]"),
        ('{"block":[[1,13,3,0,0]],"width":16}', "spec.block[0].type"),
    ],
)
def test_bad_json_names_the_key(text: str, field: str) -> None:
    with pytest.raises(SpecError) as caught:
        Spec.from_json(text)
    assert caught.value.field == field


def test_layers_print_as_tuples() -> None:
    assert str(Layer(1, LayerType.CONV, 3)) == "(1, CONV=1, 3, 0, 0)"

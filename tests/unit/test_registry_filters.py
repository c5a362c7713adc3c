"""Filters and orders of the registry's lists: what they mean, and what is said of nonsense."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from autoisp_core.errors import InvalidArgumentError
from autoisp_registry.filters import (
    MODEL_FIELDS,
    VERSION_FIELDS,
    And,
    Comparison,
    Expression,
    Field,
    Kind,
    Not,
    Operator,
    Or,
    Text,
    parse_filter,
    parse_order,
)
from autoisp_registry.filters.syntax import MAX_CHARS, MAX_DEPTH, MAX_TERMS
from hypothesis import example, given, settings
from hypothesis import strategies as st

PSNR = Field("metrics.psnr", Kind.NUMBER)
A, B, C = (Text((word,)) for word in "abc")


def parsed(text: str) -> Expression | None:
    return parse_filter(text, VERSION_FIELDS)


def compared(name: str, kind: Kind, operator: Operator, value: object) -> Comparison:
    return Comparison(Field(name, kind), operator, value)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        (
            "metrics.psnr > 30 AND cost.macs_per_pixel < 3600",
            And(
                (
                    Comparison(PSNR, Operator.GT, 30.0),
                    compared("cost.macs_per_pixel", Kind.NUMBER, Operator.LT, 3600.0),
                )
            ),
        ),
        ("metrics.psnr>=-3.5e1", Comparison(PSNR, Operator.GE, -35.0)),
        ("metrics:psnr", Comparison(PSNR, Operator.HAS, None)),
        ("metrics.psnr:30", Comparison(PSNR, Operator.EQ, 30.0)),
        ("tags.\"my key\" = 'it\\'s'", compared("tags.my key", Kind.TEXT, Operator.EQ, "it's")),
        ("tags.sensor:pho", compared("tags.sensor", Kind.TEXT, Operator.HAS, "pho")),
        ("name != models/m/versions/3", compared("name", Kind.TEXT, Operator.NE, "models/m/versions/3")),
        ("passed = true", compared("passed", Kind.FLAG, Operator.EQ, True)),
        (
            "create_time < 2026-01-31T12:00:00+02:00",
            compared("create_time", Kind.TIME, Operator.LT, datetime(2026, 1, 31, 10, tzinfo=UTC)),
        ),
        (
            'create_time >= "2026-01-31"',
            compared("create_time", Kind.TIME, Operator.GE, datetime(2026, 1, 31, tzinfo=UTC)),
        ),
        ("night-mode", Text(("night", "mode"))),
        ('"Low light"', Text(("low", "light"))),
        ("a b AND c", And((A, B, C))),
        ("a AND b OR c", And((A, Or((B, C))))),
        ("(a AND b) OR c", Or((And((A, B)), C))),
        ("NOT a -b", And((Not(A), Not(B)))),
        ("-(a b)", Not(And((A, B)))),
        ("ANDROID", Text(("android",))),
        ("", None),
        (" \n", None),
    ],
)
def test_filters_mean(text: str, expected: Expression | None) -> None:
    assert parsed(text) == expected


def test_conversion_is_one_of_its_states() -> None:
    assert parsed("conversion = FAILED") == parsed("conversion:failed")
    with pytest.raises(InvalidArgumentError, match="one of running, succeeded, failed"):
        parsed("conversion = done")


@pytest.mark.parametrize(
    ("text", "position", "said"),
    [
        ("metrics.psnr >", 15, "it ends, where"),
        ("a AND", 6, "it ends"),
        ("(a", 3, r"'\)' was expected"),
        ("a)", 2, "the end was expected"),
        ("= 3", 1, "a word"),
        ('name = "open', 8, "a quoted text"),
        ("metrics.psnr > abc", 16, "a number and abc is none"),
        ("metrics.psnr = nan", 16, "a number"),
        ("metrics.psnr = 1e999", 16, "a number"),
        ("passed > true", 8, "compare it with = or !="),
        ("passed = 3", 10, "true or false"),
        ("create_time > yesterday", 15, "2026-01-31T12:00:00Z"),
        ("create_time > 0001-01-01T00:00:00+23:00", 15, "a time"),
        ("colour = red", 1, "there are name, model"),
        ("cost.beauty > 3", 1, "macs_per_pixel"),
        ("cost:beauty", 6, "macs_per_pixel"),
        ("tags. = 3", 1, "no field"),
        ("tags:*", 6, "tags:stage"),
        ("***", 1, "no letter and no digit"),
        ("NOT NOT a", 5, "a word"),
    ],
)
def test_nonsense_is_told_where_and_what_was_expected(text: str, position: int, said: str) -> None:
    with pytest.raises(InvalidArgumentError, match=said) as raised:
        parsed(text)
    assert raised.value.field == "filter"
    assert raised.value.metadata.get("position", str(position)) == str(position)
    assert f"position {position}" in raised.value.message


def test_a_filter_has_its_limits() -> None:
    assert parsed("a " * MAX_TERMS) is not None
    assert parsed("(" * MAX_DEPTH + "a" + ")" * MAX_DEPTH) == A
    for text in (
        "a " * (MAX_TERMS + 1),
        "(" * (MAX_DEPTH + 1) + "a" + ")" * (MAX_DEPTH + 1),
        "(" * 900 + "a" + ")" * 900,
        "a" * (MAX_CHARS + 1),
        "a\0b",
    ):
        with pytest.raises(InvalidArgumentError) as raised:
            parsed(text)
        assert raised.value.field == "filter"
        assert len(raised.value.message) < 500


_WORDS = """AND OR NOT ( ) - = != : > metrics.psnr tags.x passed true 3 "a-b" ' " \\ * a create_time .
tags."k" ſ ß 2026-01-31T00:00:00Z"""
_PIECES = st.sampled_from(_WORDS.split())
_TEXTS = st.one_of(
    st.text(max_size=60), st.lists(_PIECES, max_size=25).map(" ".join), st.lists(_PIECES).map("".join)
)


@given(_TEXTS)
@example("-" * 1000)
@example('"' * 1999)
@example("\\" * 1999)
@settings(max_examples=400, deadline=None)
def test_any_text_is_a_filter_or_an_invalid_argument(text: str) -> None:
    for fields in (VERSION_FIELDS, MODEL_FIELDS):
        try:
            parse_filter(text, fields)
        except InvalidArgumentError as error:
            refused = error.field
        else:
            refused = "filter"
        assert refused == "filter"


@pytest.mark.parametrize(
    "text", ["metrics.psnr", "metrics.psnr desc", "create_time asc", "cost.macs_per_pixel"]
)
def test_orders_are_read(text: str) -> None:
    order = parse_order(text, VERSION_FIELDS)
    assert order is not None
    assert (order.field.name, order.descending) == (text.split()[0], text.endswith("desc"))


@pytest.mark.parametrize(
    "text", ["psnr", "metrics.psnr down", "tags.x", "alias", "passed", "name", "cost.x", "."]
)
def test_other_orders_are_refused(text: str) -> None:
    with pytest.raises(InvalidArgumentError, match=r"create_time.*metrics\.NAME") as raised:
        parse_order(text, VERSION_FIELDS)
    assert raised.value.field == "order_by"


def test_no_order_is_oldest_first() -> None:
    assert parse_order("  ", MODEL_FIELDS) is None

"""What a filter means: a tree whose names and values have been checked."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from autoisp_registry.filters.fields import Field


class Operator(StrEnum):
    """How a field is compared; HAS (``:``) means contains, or is one of."""

    EQ = "="
    NE = "!="
    LT = "<"
    LE = "<="
    GT = ">"
    GE = ">="
    HAS = ":"


@dataclass(frozen=True)
class Comparison:
    """A field against a value; false, whatever the operator, where the field is not set.

    Of a field with several values, one that fits is enough.

    Attributes:
        value: of the field's kind; None with HAS: whether the field is set at all.
    """

    field: Field
    operator: Operator
    value: str | float | bool | datetime | None


@dataclass(frozen=True)
class Text:
    """These words, side by side, somewhere in what people wrote of it.

    Attributes:
        words: as :func:`autoisp_registry.filters.words.words_of` makes them; at least one.
    """

    words: tuple[str, ...]


@dataclass(frozen=True)
class Not:
    """True where the operand is false, also because its field is not set."""

    operand: Expression


@dataclass(frozen=True)
class And:
    """All operands, two or more."""

    operands: tuple[Expression, ...]


@dataclass(frozen=True)
class Or:
    """One operand at least, of two or more."""

    operands: tuple[Expression, ...]


Expression = Comparison | Text | Not | And | Or

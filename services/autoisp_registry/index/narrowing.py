"""The parts of a filter, and which of them leave few entries."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from autoisp_registry.filters import And, Comparison, Expression, Not, Or, Text
from autoisp_registry.index.conditions import COLUMNS, Leaf


def parts_of(expression: Expression | None) -> tuple[Expression, ...]:
    """What has to be fulfilled all at once."""
    if isinstance(expression, And):
        return expression.operands
    return () if expression is None else (expression,)


def leaves_of(expression: Expression) -> Iterator[Leaf]:
    """All leaves, also those that may not be fulfilled."""
    match expression:
        case And(operands=operands) | Or(operands=operands):
            for operand in operands:
                yield from leaves_of(operand)
        case Not(operand=operand):
            yield from leaves_of(operand)
        case Comparison() | Text():
            yield expression


def in_entry(expression: Expression) -> bool:
    """Whether the entry itself tells, without another table."""
    leaves = leaves_of(expression)
    return all(isinstance(leaf, Comparison) and leaf.field.name in COLUMNS for leaf in leaves)


def narrowest(expression: Expression, sizes: Mapping[Leaf, int]) -> tuple[int, tuple[Leaf, ...]] | None:
    """The fewest leaves whose hits together have all that fulfil the expression.

    Args:
        sizes: how many hits leaves have; those that are not in it have too many.

    Returns:
        At most how many hits, and the leaves; None if it has to be too many.
    """
    match expression:
        case And(operands=operands):
            found = [part for operand in operands if (part := narrowest(operand, sizes))]
            return min(found, key=lambda part: part[0], default=None)
        case Or(operands=operands):
            every = [narrowest(operand, sizes) for operand in operands]
            parts = [part for part in every if part]
            if len(parts) < len(every):
                return None
            return sum(size for size, _ in parts), tuple(leaf for _, leaves in parts for leaf in leaves)
        case Not():
            return None
    return (sizes[expression], (expression,)) if expression in sizes else None

"""Reading ``order_by``."""

from __future__ import annotations

from dataclasses import dataclass

from autoisp_core.errors import InvalidArgumentError

from autoisp_registry.filters.fields import Field, Fields, Kind


@dataclass(frozen=True)
class Order:
    """By which field a list is ordered; what lacks it comes last, and the oldest first among equals.

    Attributes:
        descending: the largest, or the newest, first; then the newest first among equals.
    """

    field: Field
    descending: bool = False


def parse_order(text: str, fields: Fields) -> Order | None:
    """Read an order; None if it is empty: oldest first.

    Raises:
        InvalidArgumentError: of ``order_by``.
    """
    words = text.split()
    if not words:
        return None
    field = fields.sortable(words[0])
    if field is None or words[1:] not in ([], ["asc"], ["desc"]):
        maps = (f"{name}.NAME" for name, kind in fields.maps.items() if kind is Kind.NUMBER)
        raise InvalidArgumentError(
            "order_by",
            f"order_by {text[:100]!r} is not understood; give one of {', '.join([*fields.orders, *maps])}, "
            "with ' desc' after it for the largest first",
        )
    return Order(field, words[1:] == ["desc"])

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
    field = fields.find(words[0])
    if field is None or not _sortable(field) or words[1:] not in ([], ["asc"], ["desc"]):
        plain = [name for name, known in fields.plain.items() if _sortable(known)]
        maps = [f"{name}.NAME" for name, kind in fields.maps.items() if kind is Kind.NUMBER]
        raise InvalidArgumentError(
            "order_by",
            f"order_by {text[:100]!r} is not understood; give one of {', '.join([*plain, *maps])}, with ' desc' "
            "after it for the largest first",
        )
    return Order(field, words[1:] == ["desc"])


def _sortable(field: Field) -> bool:
    return field.kind in (Kind.NUMBER, Kind.TIME) or field.name == "name"

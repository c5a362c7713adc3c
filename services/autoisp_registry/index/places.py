"""Where a page of a list ended, as its token says."""

from __future__ import annotations

import json
import math
from dataclasses import dataclass

from autoisp_core.errors import InvalidArgumentError

from autoisp_registry.filters import Kind
from autoisp_registry.filters.listing import Listing


@dataclass(frozen=True)
class Place:
    """The value that the last row was sorted by, None where it has none, and its entry."""

    value: float | int | str | None
    entry_id: int


def place_of(listing: Listing) -> Place | None:
    """Where the listing's page begins; None: at the start.

    Raises:
        InvalidArgumentError: ``page_token`` was forged.
    """
    if listing.page.after is None:
        return None
    order = listing.order
    kinds: tuple[type, ...] = (type(None),)
    if order is not None:
        numeric = order.field.kind is Kind.NUMBER
        kinds = (float, int, type(None)) if numeric else (str,) if order.field.name == "name" else (int,)
    try:
        value, entry_id = json.loads(listing.page.after)
    except (ValueError, TypeError, RecursionError):
        value, entry_id = object(), 0
    # Whoever forges a token can put anything into it.
    good = type(value) in kinds and type(entry_id) is int and 0 < entry_id < 1 << 63
    if good and type(value) is int:
        good = abs(value) < 1 << 63
    if good and type(value) is float:
        good = math.isfinite(value)
    if good and type(value) is str:
        good = "\0" not in value and value.isprintable()
    if not good:
        raise InvalidArgumentError(
            "page_token",
            "page_token is not one this list gave out; leave it empty",
            reason="INVALID_PAGE_TOKEN",
        )
    return Place(value, entry_id)

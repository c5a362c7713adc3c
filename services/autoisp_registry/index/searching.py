"""Answering lists from the index: a page of keys, whose rows are elsewhere."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from autoisp_core.errors import InvalidArgumentError
from autoisp_core.pagination import Page
from sqlalchemy import ColumnElement, Select, func, literal, not_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from autoisp_registry.filters import And, Comparison, Expression, Kind, Or, Order, Text
from autoisp_registry.filters.listing import Listing
from autoisp_registry.index.conditions import Conditions, Leaf, Way
from autoisp_registry.index.tables import MODEL, VERSION, entries, numbers
from autoisp_registry.tables import models

NARROW = 5_000
"""A leaf with at most so many hits may drive the search."""
LISTED = 65_000
"""A leaf with at most so many hits is listed, where the order is by a figure: an entry's other figures lie
elsewhere then, and looking at each costs more."""
_COUNTED = 8
"""Leaves whose hits are counted before; the others are taken for wide."""
_SORTED = {"name": entries.c.name, "create_time": entries.c.created, "update_time": entries.c.updated}


@dataclass(frozen=True)
class Hit:
    """A row that a list has: a version's key, or a model's with number 0, and its entry."""

    model_id: int
    number: int
    entry_id: int


@dataclass(frozen=True)
class _Place:
    """Where a page ended: the value that it was sorted by, None where it has none, and the entry."""

    value: float | int | str | None
    entry_id: int


async def search(session: AsyncSession, listing: Listing) -> Page[Hit]:
    """The page that the listing asks for.

    Raises:
        InvalidArgumentError: ``page_token`` was forged.
    """
    place = _place(listing)
    kind = VERSION if listing.versions else MODEL
    fixed = await _fixed(session, listing, kind)
    ways = await _ways(session, listing, kind)
    rows: list[Any] = []
    for statement, entry_id in _statements(listing, place):
        wanted = listing.page.size + 1 - len(rows)
        if wanted > 0:
            statement = statement.where(*fixed)
            if listing.expression is not None:
                conditions = Conditions(_dialect(session), kind, entry_id, ways)
                statement = statement.where(conditions.of(listing.expression))
            rows.extend((await session.execute(statement.limit(wanted))).all())
    found = listing.page.page(rows, lambda row: json.dumps([row.value, row.id]))
    return Page(tuple(Hit(row.model_id, row.number, row.id) for row in found.items), found.next_page_token)


async def _fixed(session: AsyncSession, listing: Listing, kind: int) -> list[ColumnElement[bool]]:
    conditions = [entries.c.kind == kind]
    if listing.model:
        model_id = await session.scalar(select(models.c.id).where(models.c.name == listing.model))
        conditions.append(entries.c.model_id == (model_id or 0))
    if not listing.show_deleted:
        conditions.append(not_(entries.c.hidden))
    return conditions


async def _ways(session: AsyncSession, listing: Listing, kind: int) -> dict[Leaf, Way]:
    """How the filter's leaves are checked, by how many entries fulfil each; the others are probed."""
    leaves = list(dict.fromkeys(_leaves(listing.expression)))[:_COUNTED] if listing.expression else []
    if not leaves:
        return {}
    by_figure = listing.order is not None and listing.order.field.kind is Kind.NUMBER
    most = LISTED if by_figure else NARROW
    conditions = Conditions(_dialect(session), kind)
    counts = (
        select(func.count()).select_from(conditions.hits(leaf).limit(most + 1).subquery()).scalar_subquery()
        for leaf in leaves
    )
    found = zip(leaves, (await session.execute(select(*counts))).one(), strict=True)
    return {leaf: Way.DRIVING if n <= NARROW else Way.LISTED for leaf, n in found if n <= most}


def _dialect(session: AsyncSession) -> str:
    return session.get_bind().dialect.name


def _leaves(expression: Expression) -> Iterator[Leaf]:
    match expression:
        case And(operands=operands) | Or(operands=operands):
            for operand in operands:
                yield from _leaves(operand)
        case Comparison() | Text():
            yield expression


def _statements(listing: Listing, place: _Place | None) -> Iterator[tuple[Select[Any], Any]]:
    """One after the other they give the whole list: what has the value that sorts it, then the rest.

    With each comes the column of the entry's id, in the table that gives the order.
    """
    order, own = listing.order, entries.c.id
    columns = (entries.c.model_id, entries.c.number, own)
    valueless = select(literal(None).label("value"), *columns)
    if order is None:
        yield _sorted(valueless, [own], place, descending=False), own
    elif order.field.kind is not Kind.NUMBER:
        value = _SORTED[order.field.name]
        statement = select(value.label("value"), *columns)
        yield _sorted(statement, [value, own], place, descending=order.descending), own
    else:
        if place is None or place.value is not None:
            statement = select(numbers.c.value.label("value"), *columns)
            statement = statement.join_from(numbers, entries, numbers.c.entry_id == own)
            statement = statement.where(numbers.c.key == order.field.name)
            keys = [numbers.c.value, numbers.c.entry_id]
            yield _sorted(statement, keys, place, descending=order.descending), numbers.c.entry_id
        rest = place if place is not None and place.value is None else None
        yield _sorted(valueless.where(_lacks(order)), [own], rest, descending=order.descending), own


def _lacks(order: Order) -> ColumnElement[bool]:
    own = (numbers.c.entry_id == entries.c.id) & (numbers.c.key == order.field.name)
    return not_(select(numbers.c.entry_id).where(own).correlate(entries).exists())


def _sorted(
    statement: Select[Any], keys: list[Any], place: _Place | None, *, descending: bool
) -> Select[Any]:
    """By the keys, of which the last one is the entry's id, after the place."""
    if place is not None:
        at = [literal(place.entry_id, keys[-1].type)]
        if len(keys) == 2:
            at.insert(0, literal(place.value, keys[0].type))
        left, right = (tuple_(*keys), tuple_(*at)) if len(keys) == 2 else (keys[0], at[0])
        statement = statement.where(left < right if descending else left > right)
    return statement.order_by(*(key.desc() if descending else key for key in keys))


def _place(listing: Listing) -> _Place | None:
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
    return _Place(value, entry_id)

"""Answering lists from the index: a page of keys, whose rows are elsewhere."""

from __future__ import annotations

import json
import math
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from autoisp_core.errors import InvalidArgumentError
from autoisp_core.pagination import Page
from sqlalchemy import ColumnElement, Select, and_, func, literal, not_, select, tuple_
from sqlalchemy.ext.asyncio import AsyncSession

from autoisp_registry.filters import And, Comparison, Expression, Kind, Or, Order, Text
from autoisp_registry.filters.listing import Listing
from autoisp_registry.index.conditions import Conditions, Leaf
from autoisp_registry.index.tables import MODEL, VERSION, entries, numbers
from autoisp_registry.tables import models

NARROW = 5_000
"""A leaf with at most so many hits is looked up first."""
_COUNTED = 8
"""Leaves whose hits are counted before; the others are taken for wide."""
_SORTED = {"name": entries.c.name, "create_time": entries.c.created, "update_time": entries.c.updated}


@dataclass(frozen=True)
class Hit:
    """A row that a list has: a version's key, or a model's with number 0."""

    model_id: int
    number: int


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
    conditions = await _conditions(session, listing)
    rows: list[Any] = []
    for statement in _statements(listing, place):
        wanted = listing.page.size + 1 - len(rows)
        if wanted > 0:
            rows.extend((await session.execute(statement.where(*conditions).limit(wanted))).all())
    found = listing.page.page(rows, lambda row: json.dumps([row.value, row.id]))
    return Page(tuple(Hit(row.model_id, row.number) for row in found.items), found.next_page_token)


async def _conditions(session: AsyncSession, listing: Listing) -> list[ColumnElement[bool]]:
    conditions = [entries.c.kind == (VERSION if listing.versions else MODEL)]
    if listing.model:
        model_id = await session.scalar(select(models.c.id).where(models.c.name == listing.model))
        conditions.append(entries.c.model_id == (model_id or 0))
    if not listing.show_deleted:
        conditions.append(not_(entries.c.hidden))
    if listing.expression is not None:
        dialect = session.get_bind().dialect.name
        narrow = await _narrow(session, Conditions(dialect), listing.expression)
        conditions.append(Conditions(dialect, narrow).of(listing.expression))
    return conditions


async def _narrow(session: AsyncSession, conditions: Conditions, expression: Expression) -> frozenset[Leaf]:
    """The leaves that few entries fulfil, of those that could be looked up first."""
    leaves = list(dict.fromkeys(_leaves(expression)))[:_COUNTED]
    if not leaves:
        return frozenset()
    counts = (
        select(func.count()).select_from(conditions.hits(leaf).limit(NARROW + 1).subquery()).scalar_subquery()
        for leaf in leaves
    )
    row = (await session.execute(select(*counts))).one()
    return frozenset(leaf for leaf, count in zip(leaves, row, strict=True) if count <= NARROW)


def _leaves(expression: Expression) -> Iterator[Leaf]:
    match expression:
        case And(operands=operands) | Or(operands=operands):
            for operand in operands:
                yield from _leaves(operand)
        case Comparison() | Text():
            yield expression


def _statements(listing: Listing, place: _Place | None) -> Iterator[Select[Any]]:
    """One after the other they give the whole list: what has the value that sorts it, then the rest."""
    order = listing.order
    columns = (entries.c.model_id, entries.c.number, entries.c.id)
    if order is None:
        yield _sorted(select(literal(None).label("value"), *columns), [entries.c.id], place, descending=False)
        return
    if order.field.kind is not Kind.NUMBER:
        value = _SORTED[order.field.name]
        statement = select(value.label("value"), *columns)
        yield _sorted(statement, [value, entries.c.id], place, descending=order.descending)
        return
    if place is None or place.value is not None:
        statement = select(numbers.c.value.label("value"), *columns).join(
            numbers, numbers.c.entry_id == entries.c.id
        )
        statement = statement.where(numbers.c.key == order.field.name)
        yield _sorted(statement, [numbers.c.value, numbers.c.entry_id], place, descending=order.descending)
    rest = place if place is not None and place.value is None else None
    yield _sorted(
        select(literal(None).label("value"), *columns).where(_lacks(order)),
        [entries.c.id],
        rest,
        descending=order.descending,
    )


def _lacks(order: Order) -> ColumnElement[bool]:
    own = and_(numbers.c.entry_id == entries.c.id, numbers.c.key == order.field.name)
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

"""Answering lists from the index: a page of keys, whose rows are elsewhere."""

from __future__ import annotations

import json
from collections.abc import Collection
from dataclasses import dataclass
from typing import Any

from autoisp_core.pagination import Page
from sqlalchemy import Select, func, select
from sqlalchemy.ext.asyncio import AsyncSession

from autoisp_registry.filters.listing import Listing
from autoisp_registry.index.conditions import Leaf
from autoisp_registry.index.narrowing import in_entry, leaves_of, narrowest
from autoisp_registry.index.places import place_of
from autoisp_registry.index.statements import Statements
from autoisp_registry.tables import models

NARROW = 5_000
"""Part of a filter with at most so many hits drives the search: all of them are fetched, then sorted."""
LOOKED_AT = 20
"""So many entries are looked at first for each that the page takes; most lists are done then."""
RARE = 200
"""Where fewer than one of so many fits, hits are listed: the walk is long, and looking at each costs more."""
_COUNTED = 8
"""Leaves whose hits are counted; the others are taken for wide."""
_LISTED = 3
"""Leaves whose hits are listed at most."""


@dataclass(frozen=True)
class Hit:
    """A row that a list has: a version's key, or a model's with number 0, and its entry."""

    model_id: int
    number: int
    entry_id: int


async def search(session: AsyncSession, listing: Listing) -> Page[Hit]:
    """The page that the listing asks for.

    Raises:
        InvalidArgumentError: ``page_token`` was forged.
    """
    place = place_of(listing)
    model_id = None
    if listing.model:
        # No model has the id 0.
        model_id = await session.scalar(select(models.c.id).where(models.c.name == listing.model)) or 0
    statements = Statements(session.get_bind().dialect.name, listing, place, model_id)
    rows = await _rows(session, listing, statements)
    found = listing.page.page(rows, lambda row: json.dumps([row.value, row.id]))
    return Page(tuple(Hit(row.model_id, row.number, row.id) for row in found.items), found.next_page_token)


async def _rows(session: AsyncSession, listing: Listing, statements: Statements) -> list[Any]:
    """Up to one more than the page takes; what is cheap is tried first."""
    wanted, expression = listing.page.size + 1, listing.expression
    if expression is None and not listing.model:
        return await _walk(session, statements, wanted)
    if statements.by_entry and (expression is None or in_entry(expression)):
        return await _walk(session, statements, wanted)
    looked_at = wanted * LOOKED_AT
    look = statements.look(looked_at)
    rows = await _all(session, look.limit(wanted)) if look is not None else []
    if len(rows) == wanted:
        return rows
    few = await _few(session, listing, statements)
    if few is not None:
        return await _all(session, statements.fetch(few).limit(wanted))
    listed: list[Leaf] = []
    if expression is not None and len(rows) * RARE < looked_at:
        listed = [leaf for leaf in dict.fromkeys(leaves_of(expression)) if not in_entry(leaf)]
    return await _walk(session, statements, wanted, listed[:_LISTED])


async def _walk(
    session: AsyncSession, statements: Statements, wanted: int, listed: Collection[Leaf] = ()
) -> list[Any]:
    rows: list[Any] = []
    for statement in statements.walk(listed):
        if len(rows) < wanted:
            rows += await _all(session, statement.limit(wanted - len(rows)))
    return rows


async def _few(session: AsyncSession, listing: Listing, statements: Statements) -> list[Select[Any]] | None:
    """Hits that together have the whole list and little else; None if there are no such."""
    conditions = statements.conditions()
    leaves = list(dict.fromkeys(leaves_of(listing.expression)))[:_COUNTED] if listing.expression else []
    hits = [conditions.hits(leaf) for leaf in leaves]
    if listing.model:
        hits.append(statements.of_model())
    counts = (
        select(func.count()).select_from(one.limit(NARROW + 1).subquery()).scalar_subquery() for one in hits
    )
    counted = (await session.execute(select(*counts))).one()
    sizes = {leaf: n for leaf, n in zip(leaves, counted, strict=False) if n <= NARROW}
    best = narrowest(listing.expression, sizes) if listing.expression else None
    if listing.model and counted[-1] <= min(NARROW, best[0] if best else NARROW):
        return [statements.of_model()]
    return [conditions.hits(leaf) for leaf in best[1]] if best and best[0] <= NARROW else None


async def _all(session: AsyncSession, statement: Select[Any]) -> list[Any]:
    return list((await session.execute(statement)).all())

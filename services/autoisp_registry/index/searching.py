"""Answering lists from the index: a page of keys, whose rows are elsewhere."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from autoisp_core.pagination import Page
from sqlalchemy import Select, func, select, true
from sqlalchemy.ext.asyncio import AsyncSession

from autoisp_registry.filters import Expression, Text
from autoisp_registry.filters.listing import Listing
from autoisp_registry.index.conditions import Leaf
from autoisp_registry.index.narrowing import in_entry, leaves_of, narrowest, parts_of
from autoisp_registry.index.places import place_of
from autoisp_registry.index.statements import Statements
from autoisp_registry.tables import models

NARROW = 5_000
"""Part of a filter with at most so many hits drives the search: all of them are fetched, then sorted."""
LOOKED_AT = 10
"""So many entries are looked at first for each that the page takes; most lists are done then."""
RARE = 200
"""Where fewer than one of so many fits, hits are listed: the walk is long, and looking at each costs more."""
_COUNTED = 8
"""Leaves whose hits are counted; the others are taken for wide."""
_LISTED = 3
"""Leaves whose hits are listed at most."""

# After a statement's fifth time PostgreSQL plans for any values; how many hits a list has depends on them. To
# compile or to start processes takes longer than the whole list.
_SETTINGS = select(
    func.set_config("plan_cache_mode", "force_custom_plan", true()),
    func.set_config("jit", "off", true()),
    func.set_config("max_parallel_workers_per_gather", "0", true()),
)


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
    dialect = session.get_bind().dialect.name
    if dialect == "postgresql":
        await session.execute(_SETTINGS)
    model_id = None
    if listing.model:
        # No model has the id 0.
        model_id = await session.scalar(select(models.c.id).where(models.c.name == listing.model)) or 0
    statements = Statements(dialect, listing, place, model_id)
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
    look = None if _dear(expression, statements) else statements.look(looked_at)
    rows = await _all(session, look.limit(wanted)) if look is not None else []
    if len(rows) == wanted:
        return rows
    narrow = await _narrow(session, listing, statements)
    if narrow is not None:
        return await _all(session, statements.fetch(narrow).limit(wanted))
    listed: list[Leaf] = []
    if expression is not None and len(rows) * RARE < looked_at:
        listed = [leaf for leaf in dict.fromkeys(leaves_of(expression)) if not in_entry(leaf)]
    return await _walk(session, statements, wanted, listed[:_LISTED])


def _dear(expression: Expression | None, statements: Statements) -> bool:
    """Whether to look at one entry is dear: at its words for a phrase, and on SQLite out of their order."""
    out_of_order = statements.dialect == "sqlite" and not statements.by_entry
    texts = (part for part in parts_of(expression) if isinstance(part, Text))
    return any(out_of_order or len(part.words) > 1 for part in texts)


async def _walk(
    session: AsyncSession, statements: Statements, wanted: int, listed: Collection[Leaf] = ()
) -> list[Any]:
    rows: list[Any] = []
    for statement in statements.walk(listed):
        if len(rows) < wanted:
            rows += await _all(session, statement.limit(wanted - len(rows)))
    return rows


async def _narrow(session: AsyncSession, listing: Listing, statements: Statements) -> Sequence[Leaf] | None:
    """Leaves whose hits have the whole list and little else; none of them if the model has.

    None if there are no such.
    """
    expression, conditions = listing.expression, statements.conditions()
    leaves = list(dict.fromkeys(leaves_of(expression)))[:_COUNTED] if expression else []
    hits = [conditions.hits(leaf) for leaf in leaves] + ([statements.of_model()] if listing.model else [])
    few = (one.limit(NARROW + 1).subquery() for one in hits)
    counts = (select(func.count()).select_from(one).scalar_subquery() for one in few)
    counted = (await session.execute(select(*counts))).one()
    sizes = {leaf: n for leaf, n in zip(leaves, counted, strict=False) if n <= NARROW}
    size, best = (narrowest(expression, sizes) if expression else None) or (NARROW + 1, ())
    if listing.model and counted[-1] <= min(size, NARROW):
        return ()
    return best if size <= NARROW else None


async def _all(session: AsyncSession, statement: Select[Any]) -> list[Any]:
    return list((await session.execute(statement)).all())

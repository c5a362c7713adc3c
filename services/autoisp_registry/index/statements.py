"""The statements that answer a list, each in its own way.

All of them give rows of ``value`` (that sorts the list), ``model_id``, ``number`` and ``id``.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any

from sqlalchemy import ColumnElement, FromClause, Select, literal, not_, null, select, tuple_, union

from autoisp_registry.filters import Comparison, Kind
from autoisp_registry.filters.listing import Listing
from autoisp_registry.index.conditions import Conditions, Leaf
from autoisp_registry.index.narrowing import in_entry, parts_of
from autoisp_registry.index.places import Place
from autoisp_registry.index.tables import MODEL, VERSION, entries, numbers

_KEY = (entries.c.model_id, entries.c.number, entries.c.id)
_SORTED = {"name": "name", "create_time": "created", "update_time": "updated"}
_MOST = 10_000
"""More than what is fetched, as some may come after they were counted."""


class Statements:
    """The statements of one list.

    Args:
        dialect: ``sqlite`` or ``postgresql``.
        place: where the page before ended.
        model_id: of the listing's model; None: all models.
    """

    def __init__(self, dialect: str, listing: Listing, place: Place | None, model_id: int | None) -> None:
        self.dialect = dialect
        self._expression = listing.expression
        self._place = place
        self._kind = VERSION if listing.versions else MODEL
        order = listing.order
        self._order = order
        self._descending = order is not None and order.descending
        self._figure = order.field.name if order and order.field.kind is Kind.NUMBER else None
        self._column = _SORTED[order.field.name] if order and self._figure is None else ""
        self._value = (entries.c[self._column] if self._column else null()).label("value")
        # Nearly all entries are versions: SQLite, without statistics, would take the index on the kind, and
        # look each up in the table that it could read in the order of ids. None is on a sum.
        whole = dialect == "sqlite" and listing.versions and model_id is None and order is None
        kind = entries.c.kind + 0 if whole else entries.c.kind
        self._own: list[ColumnElement[bool]] = [kind == self._kind]
        if model_id is not None:
            self._own.append(entries.c.model_id == model_id)
        self._fixed = self._own if listing.show_deleted else [*self._own, not_(entries.c.hidden)]

    @property
    def by_entry(self) -> bool:
        """Whether the order is by what the entries themselves have."""
        return self._figure is None

    def conditions(self, listed: Collection[Leaf] = (), entry_id: Any = entries.c.id) -> Conditions:
        """Of entries of the list's kind."""
        return Conditions(self.dialect, self._kind, entry_id, listed)

    def of_model(self) -> Select[Any]:
        """The ids of all entries of the list's model."""
        return select(entries.c.id).where(*self._own)

    def look(self, looked_at: int) -> Select[Any] | None:
        """Of the first entries in the list's order those that fit.

        None where the place is among those that lack the figure which sorts the list.
        """
        if self._figure is None:
            cheap = [part for part in parts_of(self._expression) if in_entry(part)]
            first = select(self._value, entries.c.id)
            first = first.where(*self._fixed, *map(self.conditions().of, cheap))
            first = self._sorted(first, self._keys(entries))
        elif self._place is None or self._place.value is not None:
            first = select(numbers.c.value, numbers.c.entry_id.label("id"))
            first = first.where(numbers.c.key == self._figure)
            first = self._sorted(first, [numbers.c.value, numbers.c.entry_id])
        else:
            return None
        looked = first.limit(looked_at).subquery("looked")
        statement = select(looked.c.value, *_KEY).join_from(looked, entries, entries.c.id == looked.c.id)
        return self._in_order(statement.where(*self._fits()), self._keys(looked))

    def fetch(self, narrow: Sequence[Leaf]) -> Select[Any]:
        """All hits of these leaves that fit, then sorted, whatever the planner thinks of it.

        Args:
            narrow: none: all entries of the model.
        """
        hits = [self.conditions().hits(leaf) for leaf in narrow] or [self.of_model()]
        ids = [one.with_only_columns(next(iter(one.selected_columns)).label("id")) for one in hits]
        every = union(*ids) if len(ids) > 1 else ids[0].distinct()
        # The limit tells PostgreSQL that they are few.
        few = every.limit(_MOST).cte("few").prefix_with("MATERIALIZED")
        fits = [self.conditions().of(part) for part in parts_of(self._expression) if (part,) != tuple(narrow)]
        source = few.join(entries, entries.c.id == few.c.id)
        if self._figure is None:
            statement = select(self._value, *_KEY).select_from(source)
        else:
            own = (numbers.c.entry_id == entries.c.id) & (numbers.c.key == self._figure)
            statement = select(numbers.c.value, *_KEY).select_from(source.outerjoin(numbers, own))
        found = statement.where(*self._fixed, *fits).cte("found").prefix_with("MATERIALIZED")
        if self._figure is None:
            return self._sorted(select(found), self._keys(found))
        every_one = select(found)
        if self._place is not None:
            lacks = found.c.value.is_(None)
            after = self._after(self._keys(found) if self._place.value is not None else [found.c.id])
            every_one = every_one.where(lacks | after if self._place.value is not None else lacks & after)
        return self._in_order(every_one.order_by(found.c.value.is_(None)), self._keys(found))

    def walk(self, listed: Collection[Leaf] = ()) -> Iterator[Select[Any]]:
        """In the list's order, each entry that fits; one statement after the other gives the whole list."""
        if self._figure is None:
            statement = select(self._value, *_KEY).where(*self._fits(listed))
            yield self._sorted(statement, self._keys(entries))
            return
        if self._place is None or self._place.value is not None:
            statement = select(numbers.c.value, *_KEY)
            statement = statement.join_from(numbers, entries, numbers.c.entry_id == entries.c.id)
            statement = statement.where(numbers.c.key == self._figure)
            statement = statement.where(*self._fits(listed, numbers.c.entry_id))
            yield self._sorted(statement, [numbers.c.value, numbers.c.entry_id])
        if not self._needs_figure():
            rest = select(null().label("value"), *_KEY).where(self._lacks(), *self._fits(listed))
            if self._place is not None and self._place.value is None:
                rest = rest.where(self._after([entries.c.id]))
            yield self._in_order(rest, [entries.c.id])

    def _fits(self, listed: Collection[Leaf] = (), entry_id: Any = entries.c.id) -> list[ColumnElement[bool]]:
        if self._expression is None:
            return self._fixed
        return [*self._fixed, self.conditions(listed, entry_id).of(self._expression)]

    def _needs_figure(self) -> bool:
        """Whether the filter lets nothing through that lacks the figure which sorts the list."""
        parts = parts_of(self._expression)
        return any(isinstance(part, Comparison) and part.field.name == self._figure for part in parts)

    def _lacks(self) -> ColumnElement[bool]:
        own = (numbers.c.entry_id == entries.c.id) & (numbers.c.key == self._figure)
        return not_(select(numbers.c.entry_id).where(own).correlate(entries).exists())

    def _keys(self, rows: FromClause) -> list[Any]:
        """What the list is sorted by, of rows that have it."""
        if self._order is None:
            return [rows.c.id]
        return [rows.c[self._column] if rows is entries else rows.c.value, rows.c.id]

    def _sorted(self, statement: Select[Any], keys: list[Any]) -> Select[Any]:
        """By the keys, after the place."""
        if self._place is not None:
            statement = statement.where(self._after(keys))
        return self._in_order(statement, keys)

    def _after(self, keys: list[Any]) -> ColumnElement[bool]:
        assert self._place is not None
        at = [literal(self._place.entry_id, keys[-1].type)]
        if len(keys) == 2:
            at.insert(0, literal(self._place.value, keys[0].type))
        left, right = (tuple_(*keys), tuple_(*at)) if len(keys) == 2 else (keys[0], at[0])
        after: ColumnElement[bool] = left < right if self._descending else left > right
        return after

    def _in_order(self, statement: Select[Any], keys: list[Any]) -> Select[Any]:
        return statement.order_by(*(key.desc() if self._descending else key for key in keys))

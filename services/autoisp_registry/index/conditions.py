"""From checked expressions to conditions of SQL."""

from __future__ import annotations

import operator
from collections.abc import Callable, Collection
from datetime import datetime
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Double,
    Integer,
    Select,
    and_,
    cast,
    exists,
    false,
    func,
    literal,
    literal_column,
    not_,
    or_,
    select,
    true,
)
from sqlalchemy.dialects.postgresql import TSQUERY

from autoisp_registry.filters import And, Comparison, Expression, Kind, Not, Operator, Or, Text
from autoisp_registry.index.entries import cut, microseconds
from autoisp_registry.index.tables import (
    MODEL,
    WORDS,
    aliases,
    entries,
    numbers,
    texts,
    words_postgresql,
    words_sqlite,
)
from autoisp_registry.index.words import fts5, tsquery
from autoisp_registry.tables import models

_COMPARE: dict[Operator, Callable[[Any, Any], ColumnElement[bool]]] = {
    Operator.EQ: operator.eq,
    Operator.NE: operator.ne,
    Operator.LT: operator.lt,
    Operator.LE: operator.le,
    Operator.GT: operator.gt,
    Operator.GE: operator.ge,
}
COLUMNS: dict[str, Callable[[Any], Any]] = {
    "name": lambda table: table.c.name,
    "number": lambda table: table.c.number,
    "latest_version": lambda table: table.c.latest,
    "create_time": lambda table: table.c.created,
    "update_time": lambda table: table.c.updated,
    "passed": lambda table: table.c.passed,
}
"""Fields that are in the entry itself."""
_OTHER = entries.alias("other")

Leaf = Comparison | Text


class Conditions:
    """Makes conditions on a row of ``search_entries``.

    Args:
        dialect: ``sqlite`` or ``postgresql``.
        kind: of the entries.
        entry_id: the column with the row's id: of the table that gives the list its order, if it is another.
        listed: leaves whose hits are listed once, through their index. The others are probed: each entry is
            looked at.
    """

    def __init__(
        self,
        dialect: str,
        kind: int,
        entry_id: Any = entries.c.id,
        listed: Collection[Leaf] = (),
    ) -> None:
        self._dialect = dialect
        self._kind = kind
        self._entry_id = entry_id
        self._listed = listed

    def of(self, expression: Expression) -> ColumnElement[bool]:
        """The condition of an expression; never NULL."""
        match expression:
            case And(operands=operands):
                return and_(*(self.of(operand) for operand in operands))
            case Or(operands=operands):
                return or_(*(self.of(operand) for operand in operands))
            case Not(operand=operand):
                return not_(self.of(operand))
        if expression in self._listed:
            # Of a sum SQLite has no index to drive with; inside a function PostgreSQL makes no join of it
            # but asks a hash table row by row, in the order's index.
            if self._dialect == "sqlite":
                return (self._entry_id + 0).in_(self.hits(expression))  # type: ignore[no-any-return]
            return func.coalesce(self._entry_id.in_(self.hits(expression)), false())
        return self._probe(expression)

    def hits(self, leaf: Leaf) -> Select[Any]:
        """The ids of all entries that fulfil a leaf, through the leaf's own index; one can come twice."""
        if isinstance(leaf, Text):
            return self._word_hits(leaf)
        name = leaf.field.name
        if name in COLUMNS:
            return select(_OTHER.c.id).where(
                _OTHER.c.kind == self._kind, self._compare(leaf, COLUMNS[name](_OTHER))
            )
        if name == "model":
            joined = select(_OTHER.c.id).join(models, models.c.id == _OTHER.c.model_id)
            return joined.where(_OTHER.c.kind == self._kind, self._compare(leaf, models.c.name))
        if name == "alias":
            joined = select(_OTHER.c.id).join(aliases, aliases.c.model_id == _OTHER.c.model_id)
            return joined.where(self._at_alias(_OTHER), self._compare(leaf, aliases.c.alias))
        table = numbers if leaf.field.kind is Kind.NUMBER else texts
        return select(table.c.entry_id).where(table.c.key == name, self._compare(leaf, table.c.value))

    def _probe(self, leaf: Leaf) -> ColumnElement[bool]:
        """Whether one entry fulfils a leaf; through no index of the leaf's values."""
        if isinstance(leaf, Text):
            return self._any(self._word_hits(leaf, of_entry=True))
        name = leaf.field.name
        if name in COLUMNS:
            column = COLUMNS[name](entries)
            nullable = column.nullable
            if self._dialect == "sqlite" and isinstance(column.type, Integer):
                # Without statistics it takes the column's index away from the list's order; none is on a sum.
                column = column + 0
            compared = self._compare(leaf, column)
            return func.coalesce(compared, false()) if nullable else compared
        if name == "model":
            probe = select(models.c.id).where(
                models.c.id == entries.c.model_id, self._compare(leaf, models.c.name)
            )
        elif name == "alias":
            probe = select(aliases.c.alias).where(
                aliases.c.model_id == entries.c.model_id,
                self._at_alias(entries),
                self._compare(leaf, aliases.c.alias),
            )
        else:
            table = (numbers if leaf.field.kind is Kind.NUMBER else texts).alias("probed")
            probe = select(table.c.entry_id).where(
                table.c.entry_id == self._entry_id, table.c.key == name, self._compare(leaf, table.c.value)
            )
        return self._any(probe.correlate(entries, self._entry_id.table))

    def _any(self, probe: Select[Any]) -> ColumnElement[bool]:
        if self._dialect == "sqlite":
            return exists(probe)
        # Of EXISTS PostgreSQL makes a join, or a hash table of all hits, for a page of 50. Not so of a value.
        return func.coalesce(probe.with_only_columns(true()).limit(1).scalar_subquery(), false())

    def _compare(self, leaf: Comparison, column: Any) -> ColumnElement[bool]:
        value: Any = leaf.value
        if value is None:
            return column.is_not(None)  # type: ignore[no-any-return]
        if leaf.operator is Operator.HAS:
            contains = func.instr if self._dialect == "sqlite" else func.strpos
            return contains(column, cut(str(value))) > 0
        if leaf.field.name == "model":
            value = f"models/{str(value).removeprefix('models/')}"
        if isinstance(value, datetime):
            value = microseconds(value)
        elif isinstance(value, float):
            value = literal(value, Double)
            column = cast(column, Double) if isinstance(column.type, Integer) else column
        elif isinstance(value, str):
            value = cut(value)
        return _COMPARE[leaf.operator](column, value)

    def _word_hits(self, leaf: Text, *, of_entry: bool = False) -> Select[Any]:
        if self._dialect == "sqlite":
            rowid = words_sqlite.c.rowid
            hits = select(rowid).where(literal_column(WORDS).op("MATCH")(fts5(leaf.words)))
            hits = hits.select_from(words_sqlite)
        else:
            rowid = words_postgresql.c.entry_id
            query = cast(tsquery(leaf.words), TSQUERY)
            hits = select(rowid).where(words_postgresql.c.words.op("@@")(query))
        return (
            hits.where(rowid == self._entry_id).correlate(entries, self._entry_id.table) if of_entry else hits
        )

    def _at_alias(self, table: Any) -> ColumnElement[bool]:
        """An entry of a version is where the alias is; one of a model has all of its model's."""
        number = 0 if self._kind == MODEL else aliases.c.number
        return table.c.number == number  # type: ignore[no-any-return]

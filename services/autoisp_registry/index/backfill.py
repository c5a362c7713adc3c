"""Filling the index from what was there before it: for its migration.

What is in the index follows from the rest of the database. So this may use the code that keeps it, as the
migration runs with; the rows are read by columns that were there at that time.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from autoisp.registry.v1 import registry_pb2
from sqlalchemy import Connection, Row, column, insert, select, table, tuple_

from autoisp_registry import wire
from autoisp_registry.domain import Model
from autoisp_registry.index.entries import Entry, cut, entry_of_model, entry_of_version
from autoisp_registry.index.tables import MODEL, VERSION, aliases, entries, numbers, texts
from autoisp_registry.index.writing import PUT_WORDS, entry_row, number_rows, text_rows, words_row

_AT_ONCE = 500

_MODELS = table("models", column("id"), column("name"), column("body"))
_VERSIONS = table(
    "model_versions", column("model_id"), column("number"), column("body"), column("changeable")
)


def backfill(connection: Connection) -> None:
    """Index all models and versions, the oldest first as far as can be told: by model, then by number."""
    found: dict[int, Model] = {}
    for row in connection.execute(select(_MODELS).order_by(_MODELS.c.id)).all():
        model = wire.model_from(registry_pb2.Model.FromString(row.body), 0)
        found[row.id] = model
        put_entries(connection, [(row.id, MODEL, entry_of_model(model))])
        if model.aliases:
            connection.execute(
                insert(aliases),
                [
                    {"model_id": row.id, "alias": cut(alias), "number": number}
                    for alias, number in model.aliases.items()
                ],
            )
    for rows in _versions(connection):
        put_entries(connection, [(row.model_id, VERSION, _entry(row)) for row in rows])
    for model_id, model in found.items():
        if model.deleted:
            own = entries.c.model_id == model_id
            connection.execute(entries.update().where(own).values(hidden=True))


def put_entries(connection: Connection, new: list[tuple[int, int, Entry]]) -> None:
    """Insert entries that are not there yet: each with its model's id and its kind."""
    dialect = connection.dialect.name
    names = [entry.name for _, _, entry in new]
    connection.execute(insert(entries), [entry_row(entry, model_id, kind) for model_id, kind, entry in new])
    ids = {
        row.name: row.id
        for row in connection.execute(select(entries.c.name, entries.c.id).where(entries.c.name.in_(names)))
    }
    by_id = [(ids[entry.name], entry) for _, _, entry in new]
    if rows := [row for entry_id, entry in by_id for row in text_rows(entry_id, entry)]:
        connection.execute(insert(texts), rows)
    if rows := [row for entry_id, entry in by_id for row in number_rows(entry_id, entry)]:
        connection.execute(insert(numbers), rows)
    connection.execute(PUT_WORDS[dialect], [words_row(entry_id, entry, dialect) for entry_id, entry in by_id])


def _entry(row: Row[Any]) -> Entry:
    version = wire.registered_from(registry_pb2.ModelVersion.FromString(row.body))
    if row.changeable is not None:
        version = wire.changeable_from(registry_pb2.ModelVersion.FromString(row.changeable), version)
    return entry_of_version(replace(version, number=row.number))


def _versions(connection: Connection) -> Iterator[list[Row[Any]]]:
    key, after = (_VERSIONS.c.model_id, _VERSIONS.c.number), (0, 0)
    while rows := list(
        connection.execute(select(_VERSIONS).where(tuple_(*key) > after).order_by(*key).limit(_AT_ONCE)).all()
    ):
        yield rows
        after = (rows[-1].model_id, rows[-1].number)

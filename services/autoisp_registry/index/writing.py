"""Keeping the index: called in the transaction that changes what it is of."""

from __future__ import annotations

from collections.abc import Sequence

from sqlalchemy import delete, insert, select, text, update
from sqlalchemy.ext.asyncio import AsyncSession

from autoisp_registry.domain import Model, ModelVersion
from autoisp_registry.index.entries import Entry, cut, entry_of_model, entry_of_version
from autoisp_registry.index.tables import MODEL, VERSION, WORDS, aliases, entries, numbers, texts
from autoisp_registry.index.words import tsvector
from autoisp_registry.tables import models

PUT_WORDS = {
    "sqlite": text(f"INSERT INTO {WORDS} (rowid, words) VALUES (:entry_id, :words)"),
    "postgresql": text(f"INSERT INTO {WORDS} (entry_id, words) VALUES (:entry_id, CAST(:words AS tsvector))"),
}
_DROP_WORDS = {
    "sqlite": text(f"DELETE FROM {WORDS} WHERE rowid = :entry_id"),
    "postgresql": text(f"DELETE FROM {WORDS} WHERE entry_id = :entry_id"),
}


async def index_version(session: AsyncSession, version: ModelVersion) -> None:
    """Write a version's entry, new or over the one that is there; its aliases are its model's."""
    # Formats and evidence come in while a model is deleted, too.
    hidden = await session.scalar(select(entries.c.hidden).where(entries.c.name == version.model))
    await _write(session, entry_of_version(version), version.model, VERSION, hidden=bool(hidden))


async def index_model(session: AsyncSession, model: Model) -> None:
    """Write a model's entry and where its aliases are; hide its versions, or show them again."""
    was_deleted = await session.scalar(select(entries.c.deleted).where(entries.c.name == model.name))
    model_id = await _write(session, entry_of_model(model), model.name, MODEL)
    if (was_deleted or False) != model.deleted:
        own = (entries.c.model_id == model_id) & (entries.c.kind == VERSION)
        hidden = True if model.deleted else entries.c.deleted
        await session.execute(update(entries).where(own).values(hidden=hidden))
    await session.execute(delete(aliases).where(aliases.c.model_id == model_id))
    if model.aliases:
        rows = [
            {"model_id": model_id, "alias": cut(alias), "number": number}
            for alias, number in model.aliases.items()
        ]
        await session.execute(insert(aliases), rows)


async def forget_version(session: AsyncSession, name: str) -> None:
    """Take a version that is purged out of the index."""
    entry_id = await session.scalar(select(entries.c.id).where(entries.c.name == name))
    if entry_id is not None:
        await _drop_words(session, [entry_id])
        await session.execute(delete(entries).where(entries.c.id == entry_id))


async def forget_model(session: AsyncSession, model: str) -> None:
    """Take a model that is purged out of the index, with its versions, before the model's row goes."""
    own = entries.c.model_id == select(models.c.id).where(models.c.name == model).scalar_subquery()
    await _drop_words(session, (await session.scalars(select(entries.c.id).where(own))).all())
    await session.execute(delete(entries).where(own))


async def _write(session: AsyncSession, entry: Entry, model: str, kind: int, *, hidden: bool = False) -> int:
    model_id = (await session.execute(select(models.c.id).where(models.c.name == model))).scalar_one()
    values = entry_row(entry, model_id, kind)
    values["hidden"] = hidden or entry.deleted
    entry_id = await session.scalar(select(entries.c.id).where(entries.c.name == entry.name))
    if entry_id is None:
        entry_id = await session.scalar(insert(entries).values(values).returning(entries.c.id))
        await _put(session, entry_id, entry, numbers_too=True)
    else:
        await session.execute(update(entries).where(entries.c.id == entry_id).values(values))
        await session.execute(delete(texts).where(texts.c.entry_id == entry_id))
        await _drop_words(session, [entry_id])
        # What was measured of a version never changes.
        await _put(session, entry_id, entry, numbers_too=False)
    return int(model_id)


async def _put(session: AsyncSession, entry_id: int, entry: Entry, *, numbers_too: bool) -> None:
    if entry.texts:
        await session.execute(insert(texts), text_rows(entry_id, entry))
    if numbers_too and entry.numbers:
        await session.execute(insert(numbers), number_rows(entry_id, entry))
    dialect = session.get_bind().dialect.name
    await session.execute(PUT_WORDS[dialect], words_row(entry_id, entry, dialect))


async def _drop_words(session: AsyncSession, entry_ids: Sequence[int]) -> None:
    statement = _DROP_WORDS[session.get_bind().dialect.name]
    for entry_id in entry_ids:
        await session.execute(statement, {"entry_id": entry_id})


def entry_row(entry: Entry, model_id: int, kind: int) -> dict[str, object]:
    """The row of an entry whose model is not deleted."""
    return {
        "kind": kind,
        "model_id": model_id,
        "number": entry.number,
        "name": entry.name,
        "deleted": entry.deleted,
        "hidden": entry.deleted,
        "created": entry.created,
        "updated": entry.updated,
        "latest": entry.latest,
        "passed": entry.passed,
    }


def text_rows(entry_id: int, entry: Entry) -> list[dict[str, object]]:
    """The rows of an entry's texts."""
    return [{"entry_id": entry_id, "key": key, "value": value} for key, value in entry.texts]


def number_rows(entry_id: int, entry: Entry) -> list[dict[str, object]]:
    """The rows of an entry's numbers."""
    return [{"entry_id": entry_id, "key": key, "value": value} for key, value in entry.numbers.items()]


def words_row(entry_id: int, entry: Entry, dialect: str) -> dict[str, object]:
    """The row of an entry's full text, for :data:`autoisp_registry.index.tables.WORDS`."""
    words = tsvector(entry.words) if dialect == "postgresql" else " ".join(entry.words)
    return {"entry_id": entry_id, "words": words}

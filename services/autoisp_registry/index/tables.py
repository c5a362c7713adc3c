"""The index's tables; the migrations make them. Full text has a table of another kind on each database."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    Double,
    ForeignKey,
    Index,
    Integer,
    SmallInteger,
    String,
    Table,
    column,
    table,
)

from autoisp_registry.tables import metadata

MODEL, VERSION = 0, 1
"""Kinds of entries."""


def _text(size: int) -> String:
    """Compared by code points on either database."""
    return String(size).with_variant(String(size, collation="C"), "postgresql")


# A model or a version (of a model: number 0). Ids grow with time. ``hidden``: it or its model is deleted.
entries = Table(
    "search_entries",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("kind", SmallInteger, nullable=False),
    Column("model_id", BigInteger, ForeignKey("models.id", ondelete="CASCADE"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("name", _text(192), nullable=False, unique=True),
    Column("deleted", Boolean, nullable=False),
    Column("hidden", Boolean, nullable=False),
    Column("created", BigInteger, nullable=False),
    Column("updated", BigInteger, nullable=False),
    Column("latest", Integer, nullable=False),
    Column("passed", Boolean, nullable=True),
    Index("search_entries_kind", "kind", "id"),
    Index("search_entries_model", "model_id", "kind", "id"),
    Index("search_entries_number", "model_id", "number", unique=True),
    Index("search_entries_name", "kind", "name"),
    Index("search_entries_created", "kind", "created", "id"),
    Index("search_entries_updated", "kind", "updated", "id"),
)

texts = Table(
    "search_texts",
    metadata,
    Column("entry_id", BigInteger, ForeignKey(entries.c.id, ondelete="CASCADE"), primary_key=True),
    Column("key", _text(192), primary_key=True),
    Column("value", _text(512), primary_key=True),
    Index("search_texts_value", "key", "value", "entry_id"),
    sqlite_with_rowid=False,
)

numbers = Table(
    "search_numbers",
    metadata,
    Column("entry_id", BigInteger, ForeignKey(entries.c.id, ondelete="CASCADE"), primary_key=True),
    Column("key", _text(192), primary_key=True),
    Column("value", Double, nullable=False),
    Index("search_numbers_value", "key", "value", "entry_id"),
    sqlite_with_rowid=False,
)

aliases = Table(
    "search_aliases",
    metadata,
    Column("model_id", BigInteger, ForeignKey("models.id", ondelete="CASCADE"), primary_key=True),
    Column("alias", _text(192), primary_key=True),
    Column("number", Integer, nullable=False),
    Index("search_aliases_alias", "alias", "model_id", "number"),
    sqlite_with_rowid=False,
)

# SQLite: an FTS5 table, whose rowid is the entry's id. PostgreSQL: a table with a tsvector.
WORDS = "search_words"
words_sqlite = table(WORDS, column("rowid"), column("words"))
words_postgresql = table(WORDS, column("entry_id"), column("words"))

"""The tables: what is looked up or counted has a column, everything else is in the row's document."""

from __future__ import annotations

from autoisp_runtime.outbox import outbox_table
from sqlalchemy import JSON, BigInteger, Column, ForeignKey, Index, Integer, MetaData, String, Table

metadata = MetaData()

searches = Table(
    "searches",
    metadata,
    Column("search_id", String(63), primary_key=True),
    Column("request_id", String(128), nullable=True, unique=True),
    Column("fingerprint", String(64), nullable=False),
    Column("state", String(16), nullable=False, index=True),
    Column("revision", BigInteger, nullable=False),
    Column("document", JSON, nullable=False),
)

trials = Table(
    "trials",
    metadata,
    Column("search_id", String(63), ForeignKey("searches.search_id", ondelete="CASCADE"), primary_key=True),
    Column("trial_id", String(63), primary_key=True),
    Column("rung", Integer, nullable=False),
    Column("state", String(16), nullable=False),
    Column("revision", BigInteger, nullable=False),
    Column("document", JSON, nullable=False),
    Index("ix_trials_revision", "search_id", "revision"),
)

outbox = outbox_table(metadata)

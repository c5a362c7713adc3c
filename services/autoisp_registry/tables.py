"""The tables of the registry; the migrations make them, a test keeps both equal."""

from __future__ import annotations

from autoisp_runtime.outbox import outbox_table
from sqlalchemy import BigInteger, Column, ForeignKey, Integer, LargeBinary, MetaData, String, Table

metadata = MetaData()

# ``body`` is the serialised Model.
models = Table(
    "models",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("name", String(128), nullable=False, unique=True),
    Column("revision", Integer, nullable=False),
    Column("body", LargeBinary, nullable=False),
)

# ``body`` is the serialised ModelVersion. Rows are never changed.
versions = Table(
    "model_versions",
    metadata,
    Column("model_id", BigInteger, ForeignKey("models.id", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("idempotency_key", String(256), nullable=True, unique=True),
    Column("body", LargeBinary, nullable=False),
)

outbox = outbox_table(metadata)

"""The tables of the registry; the migrations make them, a test keeps both equal."""

from __future__ import annotations

from autoisp_runtime.outbox import outbox_table
from sqlalchemy import BigInteger, Column, ForeignKey, Index, Integer, LargeBinary, MetaData, String, Table

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

# ``body`` is the serialised AuditEntry without its digest; ``scope`` is the model of a version's entry.
# Triggers refuse to change or delete rows.
audit = Table(
    "audit",
    metadata,
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    Column("resource", String(192), nullable=False),
    Column("scope", String(192), nullable=False),
    Column("idempotency_key", String(256), nullable=True, unique=True),
    Column("body", LargeBinary, nullable=False),
    Column("sha256", String(64), nullable=False),
    Index("audit_resource", "resource", "sequence"),
    Index("audit_scope", "scope", "sequence"),
)

# One row: the newest entry. Its lock puts the log's writers in a row.
audit_head = Table(
    "audit_head",
    metadata,
    Column("id", Integer, primary_key=True, autoincrement=False),
    Column("sequence", BigInteger, nullable=False),
    Column("sha256", String(64), nullable=False),
)

outbox = outbox_table(metadata)

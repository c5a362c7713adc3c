"""The tables of the registry; the migrations make them, a test keeps both equal."""

from __future__ import annotations

from autoisp_runtime.outbox import outbox_table
from sqlalchemy import (
    JSON,
    BigInteger,
    Column,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
)

metadata = MetaData()

# ``body`` is the serialised Model; ``history`` has, by alias, the versions that it pointed at before, the
# newest last. ``purge_time`` repeats that of the body, for the sweeper.
models = Table(
    "models",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("name", String(128), nullable=False, unique=True),
    Column("revision", Integer, nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("last_number", Integer, nullable=False, server_default="0"),
    Column("history", JSON, nullable=False, server_default="{}"),
    Column("purge_time", DateTime(timezone=True), nullable=True),
    Index("models_purge_time", "purge_time"),
)

# ``body`` is the ModelVersion as it was registered, serialised, and never changes; ``changeable`` is one with
# what may change, NULL while there is nothing. ``conversion`` is what the message does not say of it.
# ``onnx_sha256`` and ``purge_time`` repeat what these hold, for finding.
versions = Table(
    "model_versions",
    metadata,
    Column("model_id", BigInteger, ForeignKey("models.id", ondelete="CASCADE"), primary_key=True),
    Column("number", Integer, primary_key=True, autoincrement=False),
    Column("idempotency_key", String(256), nullable=True, unique=True),
    Column("body", LargeBinary, nullable=False),
    Column("revision", Integer, nullable=False, server_default="1"),
    Column("changeable", LargeBinary, nullable=True),
    Column("conversion", JSON(none_as_null=True), nullable=True),
    Column("onnx_sha256", String(64), nullable=False, server_default=""),
    Column("purge_time", DateTime(timezone=True), nullable=True),
    Index("model_versions_onnx", "model_id", "onnx_sha256"),
    Index("model_versions_purge_time", "purge_time"),
)

# The last number of models that were purged: should one of the name come again, none is given twice.
purged_models = Table(
    "purged_models",
    metadata,
    Column("name", String(128), primary_key=True),
    Column("last_number", Integer, nullable=False),
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

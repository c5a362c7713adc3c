"""The tables of the evaluation service; the migrations make them, a test keeps both equal."""

from __future__ import annotations

from autoisp_runtime.outbox import outbox_table
from sqlalchemy import (
    BigInteger,
    Column,
    Float,
    ForeignKey,
    Integer,
    LargeBinary,
    MetaData,
    String,
    Table,
    Text,
)

metadata = MetaData()

# ``body`` is the serialised Evaluation without clips; what is queried or not in that message has a column.
evaluations = Table(
    "evaluations",
    metadata,
    Column("id", BigInteger().with_variant(Integer, "sqlite"), primary_key=True, autoincrement=True),
    Column("name", String(128), nullable=False, unique=True),
    Column("idempotency_key", String(256), nullable=True, unique=True),
    Column("search", String(128), nullable=False, index=True),
    Column("revision", Integer, nullable=False),
    Column("body", LargeBinary, nullable=False),
    # Registration; an empty model: none.
    Column("model", String(128), nullable=False),
    Column("spec", Text, nullable=False),
    Column("macs_per_pixel_limit", Float, nullable=True),
    Column("latency_ratio_goal", Float, nullable=True),
    # A serialised Artifact; NULL of evaluations of earlier releases.
    Column("manifest", LargeBinary, nullable=True),
)

# ``body`` is the serialised ClipResult.
clips = Table(
    "evaluation_clips",
    metadata,
    Column("evaluation_id", BigInteger, ForeignKey("evaluations.id", ondelete="CASCADE"), primary_key=True),
    Column("ordinal", Integer, primary_key=True),
    Column("clip", String(128), nullable=False),
    Column("body", LargeBinary, nullable=False),
)

outbox = outbox_table(metadata)

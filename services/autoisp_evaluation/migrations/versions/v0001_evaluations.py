"""Evaluations, their clips and the outbox."""

import sqlalchemy as sa
from alembic import op
from autoisp_runtime.outbox import outbox_columns

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "evaluations",
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True
        ),
        sa.Column("name", sa.String(128), nullable=False, unique=True),
        sa.Column("idempotency_key", sa.String(256), nullable=True, unique=True),
        sa.Column("search", sa.String(128), nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
        sa.Column("model", sa.String(128), nullable=False),
        sa.Column("spec", sa.Text, nullable=False),
        sa.Column("macs_per_pixel_limit", sa.Float, nullable=True),
        sa.Column("latency_ratio_goal", sa.Float, nullable=True),
    )
    op.create_index("ix_evaluations_search", "evaluations", ["search"])
    op.create_table(
        "evaluation_clips",
        sa.Column(
            "evaluation_id",
            sa.BigInteger,
            sa.ForeignKey("evaluations.id", ondelete="CASCADE"),
            primary_key=True,
        ),
        sa.Column("ordinal", sa.Integer, primary_key=True),
        sa.Column("clip", sa.String(128), nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
    )
    op.create_table("outbox", *outbox_columns())


def downgrade() -> None:
    """Drop the tables."""
    for table in ("outbox", "evaluation_clips", "evaluations"):
        op.drop_table(table)

"""Channels, what devices reported of their rollouts, and what of it is to be deleted."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "channels",
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True
        ),
        sa.Column("name", sa.String(192), nullable=False, unique=True),
        sa.Column("product", sa.String(63), nullable=False),
        sa.Column("model", sa.String(128), nullable=False),
        sa.Column("uid", sa.String(32), nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("version", sa.Integer, nullable=False),
        sa.Column("rollout_version", sa.Integer, nullable=True),
        sa.Column("tally", sa.String(32), nullable=True),
        sa.Column("history", sa.JSON, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
    )
    op.create_index("channels_product", "channels", ["product", "id"])
    op.create_index("channels_model", "channels", ["model"])
    op.create_table(
        "rollout_reports",
        sa.Column("key", sa.LargeBinary(24), primary_key=True),
        sa.Column("failed", sa.Boolean, nullable=False),
    )
    op.create_table("rollout_leftovers", sa.Column("tally", sa.String(32), primary_key=True))


def downgrade() -> None:
    """Drop them."""
    for table in ("rollout_leftovers", "rollout_reports", "channels"):
        op.drop_table(table)

"""Searches, trials and the outbox."""

import sqlalchemy as sa
from alembic import op
from autoisp_runtime.outbox import outbox_columns

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "searches",
        sa.Column("search_id", sa.String(63), primary_key=True),
        sa.Column("request_id", sa.String(128), nullable=True, unique=True),
        sa.Column("fingerprint", sa.String(64), nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.Column("document", sa.JSON, nullable=False),
    )
    op.create_index("ix_searches_state", "searches", ["state"])
    op.create_table(
        "trials",
        sa.Column(
            "search_id",
            sa.String(63),
            sa.ForeignKey("searches.search_id", ondelete="CASCADE"),
            primary_key=True,
        ),
        sa.Column("trial_id", sa.String(63), primary_key=True),
        sa.Column("rung", sa.Integer, nullable=False),
        sa.Column("state", sa.String(16), nullable=False),
        sa.Column("revision", sa.BigInteger, nullable=False),
        sa.Column("document", sa.JSON, nullable=False),
    )
    op.create_index("ix_trials_revision", "trials", ["search_id", "revision"])
    op.create_table("outbox", *outbox_columns())


def downgrade() -> None:
    op.drop_table("outbox")
    op.drop_table("trials")
    op.drop_table("searches")

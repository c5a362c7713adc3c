"""Models, their versions and the outbox."""

import sqlalchemy as sa
from alembic import op
from autoisp_runtime.outbox import outbox_columns

revision = "0001"
down_revision = None


def upgrade() -> None:
    """Make the tables."""
    op.create_table(
        "models",
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True
        ),
        sa.Column("name", sa.String(128), nullable=False, unique=True),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("body", sa.LargeBinary, nullable=False),
    )
    op.create_table(
        "model_versions",
        sa.Column(
            "model_id", sa.BigInteger, sa.ForeignKey("models.id", ondelete="CASCADE"), primary_key=True
        ),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("idempotency_key", sa.String(256), nullable=True, unique=True),
        sa.Column("body", sa.LargeBinary, nullable=False),
    )
    op.create_table("outbox", *outbox_columns())


def downgrade() -> None:
    """Drop the tables."""
    for table in ("outbox", "model_versions", "models"):
        op.drop_table(table)

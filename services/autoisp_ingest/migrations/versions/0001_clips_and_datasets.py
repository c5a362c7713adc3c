"""Clips, datasets, unowned frames and the outbox."""

import sqlalchemy as sa
from alembic import op
from autoisp_runtime.outbox import outbox_columns

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "clips",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("order_key", sa.String(32), nullable=False, unique=True),
        sa.Column("display_name", sa.String(255), nullable=False),
        sa.Column("width", sa.Integer, nullable=False),
        sa.Column("height", sa.Integer, nullable=False),
        sa.Column("frame_count", sa.Integer, nullable=False),
        sa.Column("frame_rate", sa.Float(53), nullable=False),
        sa.Column("codec", sa.String(64), nullable=False),
        sa.Column("source_sha256", sa.String(64), nullable=False),
        sa.Column("source_size_bytes", sa.BigInteger, nullable=False),
        sa.Column("frames_uri", sa.String(255), nullable=False),
        sa.Column("create_time_us", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "unowned_frames",
        sa.Column("uri", sa.String(255), primary_key=True),
        sa.Column("owner", sa.String(64), nullable=False),
        sa.Column("noted_time_us", sa.BigInteger, nullable=False),
    )
    op.create_table(
        "datasets",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("order_key", sa.String(32), nullable=False, unique=True),
        sa.Column("display_name", sa.String(255), nullable=False),
        sa.Column("request_id", sa.String(128), nullable=True, unique=True),
        sa.Column("manifest_uri", sa.String(255), nullable=False),
        sa.Column("manifest_sha256", sa.String(64), nullable=False),
        sa.Column("manifest_size_bytes", sa.BigInteger, nullable=False),
        sa.Column("manifest_media_type", sa.String(128), nullable=False),
        sa.Column("create_time_us", sa.BigInteger, nullable=False),
        sa.Column("published", sa.Boolean, nullable=False),
    )
    op.create_table(
        "dataset_clips",
        sa.Column(
            "dataset_id", sa.String(64), sa.ForeignKey("datasets.id", ondelete="CASCADE"), primary_key=True
        ),
        sa.Column("position", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column(
            "clip_id",
            sa.String(64),
            sa.ForeignKey("clips.id", ondelete="RESTRICT"),
            nullable=False,
            index=True,
        ),
        sa.Column("split", sa.String(16), nullable=False),
        sa.Column("first_frame", sa.Integer, nullable=False),
        sa.Column("end_frame", sa.Integer, nullable=False),
    )
    op.create_table("outbox", *outbox_columns())


def downgrade() -> None:
    for table in ("outbox", "dataset_clips", "datasets", "unowned_frames", "clips"):
        op.drop_table(table)

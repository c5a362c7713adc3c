"""Sensor profiles and their versions."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "sensor_profiles",
        sa.Column("id", sa.String(64), primary_key=True),
        sa.Column("newest", sa.Integer, nullable=False),
    )
    op.create_table(
        "sensor_profile_versions",
        sa.Column(
            "profile_id",
            sa.String(64),
            sa.ForeignKey("sensor_profiles.id", ondelete="CASCADE"),
            primary_key=True,
        ),
        sa.Column("number", sa.Integer, primary_key=True, autoincrement=False),
        sa.Column("toml", sa.Text, nullable=False),
        sa.Column("source", sa.String(16), nullable=False),
        sa.Column("calibration", sa.Text, nullable=True),
        sa.Column("request_id", sa.String(128), nullable=True, unique=True),
        sa.Column("create_time_us", sa.BigInteger, nullable=False),
    )


def downgrade() -> None:
    for table in ("sensor_profile_versions", "sensor_profiles"):
        op.drop_table(table)

"""How a clip's frames are stored, when they were taken and by which sensor; tags of datasets."""

import json

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    # Defaults instead of a change afterwards: SQLite would make the tables anew for that, and dropping the
    # old ones would take the rows along that refer to them.
    op.add_column("clips", sa.Column("format", sa.Text, nullable=False, server_default="{}"))
    op.add_column(
        "clips", sa.Column("variable_frame_rate", sa.Boolean, nullable=False, server_default=sa.false())
    )
    op.add_column("clips", sa.Column("duration_us", sa.BigInteger, nullable=False, server_default="0"))
    op.add_column("clips", sa.Column("sensor", sa.Text, nullable=True))
    op.add_column("datasets", sa.Column("tags", sa.Text, nullable=False, server_default="[]"))
    _fill()


def _fill() -> None:
    """Clips were RGB of 8 bits before."""
    clips = sa.table(
        "clips",
        sa.column("id", sa.String),
        sa.column("width", sa.Integer),
        sa.column("height", sa.Integer),
        sa.column("frame_count", sa.Integer),
        sa.column("frame_rate", sa.Float),
        sa.column("format", sa.Text),
        sa.column("duration_us", sa.BigInteger),
    )
    connection = op.get_bind()
    for row in connection.execute(sa.select(clips)).all():
        frame_format = {
            "kind": "rgb",
            "bit_depth": 8,
            "stored_width": row.width,
            "stored_height": row.height,
        }
        connection.execute(
            clips.update()
            .where(clips.c.id == row.id)
            .values(
                format=json.dumps(frame_format),
                duration_us=round(row.frame_count / row.frame_rate * 1e6) if row.frame_rate else 0,
            )
        )


def downgrade() -> None:
    op.drop_column("datasets", "tags")
    for column in ("sensor", "duration_us", "variable_frame_rate", "format"):
        op.drop_column("clips", column)

"""What may change of versions beside what was registered; the history of aliases; deletion with retention."""

from collections.abc import Iterable
from typing import Any

import sqlalchemy as sa
from alembic import op
from autoisp.registry.v1 import registry_pb2

revision = "0003"
down_revision = "0002"

_AT_ONCE = 1000


def upgrade() -> None:
    """Add the columns and fill in what can be read from the rows that are there."""
    op.add_column("models", sa.Column("last_number", sa.Integer, nullable=False, server_default="0"))
    op.add_column("models", sa.Column("history", sa.JSON, nullable=False, server_default="{}"))
    op.add_column("models", sa.Column("purge_time", sa.DateTime(timezone=True), nullable=True))
    op.create_index("models_purge_time", "models", ["purge_time"])
    op.add_column("model_versions", sa.Column("revision", sa.Integer, nullable=False, server_default="1"))
    op.add_column("model_versions", sa.Column("changeable", sa.LargeBinary, nullable=True))
    op.add_column("model_versions", sa.Column("conversion", sa.JSON(none_as_null=True), nullable=True))
    op.add_column(
        "model_versions", sa.Column("onnx_sha256", sa.String(64), nullable=False, server_default="")
    )
    op.add_column("model_versions", sa.Column("purge_time", sa.DateTime(timezone=True), nullable=True))
    op.create_index("model_versions_onnx", "model_versions", ["model_id", "onnx_sha256"])
    op.create_index("model_versions_purge_time", "model_versions", ["purge_time"])
    op.create_table(
        "purged_models",
        sa.Column("name", sa.String(128), primary_key=True),
        sa.Column("last_number", sa.Integer, nullable=False),
    )
    connection = op.get_bind()
    models = sa.table("models", sa.column("id"), sa.column("last_number"), sa.column("body"))
    for row in connection.execute(sa.select(models.c.id, models.c.body)).all():
        last = registry_pb2.Model.FromString(row.body).latest_version
        connection.execute(models.update().where(models.c.id == row.id).values(last_number=last))
    for rows in _versions(connection):
        for row in rows:
            sha256 = registry_pb2.ModelVersion.FromString(row.body).onnx.sha256
            connection.execute(
                _VERSIONS.update()
                .where(_VERSIONS.c.model_id == row.model_id, _VERSIONS.c.number == row.number)
                .values(onnx_sha256=sha256)
            )


def downgrade() -> None:
    """Drop them."""
    op.drop_table("purged_models")
    op.drop_index("model_versions_purge_time", "model_versions")
    op.drop_index("model_versions_onnx", "model_versions")
    op.drop_index("models_purge_time", "models")
    for column in ("purge_time", "onnx_sha256", "conversion", "changeable", "revision"):
        op.drop_column("model_versions", column)
    for column in ("purge_time", "history", "last_number"):
        op.drop_column("models", column)


_VERSIONS = sa.table(
    "model_versions",
    sa.column("model_id"),
    sa.column("number"),
    sa.column("body"),
    sa.column("onnx_sha256"),
)


def _versions(connection: sa.Connection) -> Iterable[list[Any]]:
    """All rows in their order, some at a time."""
    after = (0, 0)
    model_id, number = _VERSIONS.c.model_id, _VERSIONS.c.number
    statement = sa.select(model_id, number, _VERSIONS.c.body).order_by(model_id, number).limit(_AT_ONCE)
    while True:
        later = sa.or_(model_id > after[0], sa.and_(model_id == after[0], number > after[1]))
        rows = list(connection.execute(statement.where(later)).all())
        if not rows:
            return
        yield rows
        after = (rows[-1].model_id, rows[-1].number)

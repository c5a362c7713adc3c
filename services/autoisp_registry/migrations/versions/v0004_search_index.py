"""The search index, filled from what is there."""

import sqlalchemy as sa
from alembic import op

from autoisp_registry.index.backfill import backfill

revision = "0004"
down_revision = "0003"


def _text(size: int) -> sa.types.TypeEngine[str]:
    return sa.String(size).with_variant(sa.String(size, collation="C"), "postgresql")


def _entry_id() -> sa.Column[int]:
    return sa.Column(
        "entry_id", sa.BigInteger, sa.ForeignKey("search_entries.id", ondelete="CASCADE"), primary_key=True
    )


def _model_id(*, primary_key: bool) -> sa.Column[int]:
    reference = sa.ForeignKey("models.id", ondelete="CASCADE")
    return sa.Column("model_id", sa.BigInteger, reference, primary_key=primary_key, nullable=False)


def upgrade() -> None:
    """Make the tables and fill them."""
    op.create_table(
        "search_entries",
        sa.Column(
            "id", sa.BigInteger().with_variant(sa.Integer, "sqlite"), primary_key=True, autoincrement=True
        ),
        sa.Column("kind", sa.SmallInteger, nullable=False),
        _model_id(primary_key=False),
        sa.Column("number", sa.Integer, nullable=False),
        sa.Column("name", _text(192), nullable=False, unique=True),
        sa.Column("deleted", sa.Boolean, nullable=False),
        sa.Column("hidden", sa.Boolean, nullable=False),
        sa.Column("created", sa.BigInteger, nullable=False),
        sa.Column("updated", sa.BigInteger, nullable=False),
        sa.Column("latest", sa.Integer, nullable=False),
        sa.Column("passed", sa.Boolean, nullable=True),
    )
    for name, columns in {
        "kind": ["kind", "id"],
        "model": ["model_id", "kind", "id"],
        "name": ["kind", "name"],
        "created": ["kind", "created", "id"],
        "updated": ["kind", "updated", "id"],
    }.items():
        op.create_index(f"search_entries_{name}", "search_entries", columns)
    op.create_index("search_entries_number", "search_entries", ["model_id", "number"], unique=True)
    op.create_table(
        "search_texts",
        _entry_id(),
        sa.Column("key", _text(192), primary_key=True),
        sa.Column("value", _text(512), primary_key=True),
        sqlite_with_rowid=False,
    )
    op.create_index("search_texts_value", "search_texts", ["key", "value", "entry_id"])
    op.create_table(
        "search_numbers",
        _entry_id(),
        sa.Column("key", _text(192), primary_key=True),
        sa.Column("value", sa.Double, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("search_numbers_value", "search_numbers", ["key", "value", "entry_id"])
    op.create_table(
        "search_aliases",
        _model_id(primary_key=True),
        sa.Column("alias", _text(192), primary_key=True),
        sa.Column("number", sa.Integer, nullable=False),
        sqlite_with_rowid=False,
    )
    op.create_index("search_aliases_alias", "search_aliases", ["alias", "model_id", "number"])
    if op.get_bind().dialect.name == "postgresql":
        op.execute(
            "CREATE TABLE search_words (entry_id BIGINT PRIMARY KEY "
            "REFERENCES search_entries (id) ON DELETE CASCADE, words TSVECTOR NOT NULL)"
        )
        op.execute("CREATE INDEX search_words_words ON search_words USING gin (words)")
    else:
        # The words come cut and folded already.
        op.execute("CREATE VIRTUAL TABLE search_words USING fts5(words, tokenize = 'ascii')")
    backfill(op.get_bind())


def downgrade() -> None:
    """Drop them."""
    for table in ("words", "aliases", "numbers", "texts", "entries"):
        op.drop_table(f"search_{table}")

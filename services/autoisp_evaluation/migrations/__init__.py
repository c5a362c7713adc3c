"""Alembic's revisions of the evaluation service's schema."""

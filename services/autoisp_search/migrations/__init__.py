"""Alembic migrations of the search service's database, run at its start."""

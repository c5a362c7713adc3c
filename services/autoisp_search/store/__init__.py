"""Searches and trials in SQLite or PostgreSQL."""

from autoisp_search.store.repository import SqlSearchStore
from autoisp_search.store.tables import metadata, outbox

__all__ = ["SqlSearchStore", "metadata", "outbox"]

"""Models in a database, and the messages that leave with their changes."""

from autoisp_registry.store.finding import SqlFinder
from autoisp_registry.store.rows import load_version, lock_model
from autoisp_registry.store.store import SqlStore
from autoisp_registry.store.transaction import InUse, SqlTransaction

__all__ = ["InUse", "SqlFinder", "SqlStore", "SqlTransaction", "load_version", "lock_model"]

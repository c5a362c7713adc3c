"""The search index: what lists filter and order by, kept in the same transactions as what it is of."""

from autoisp_registry.index.entries import Entry, entry_of_model, entry_of_version
from autoisp_registry.index.searching import Hit, search
from autoisp_registry.index.writing import index_model, index_version

__all__ = [
    "Entry",
    "Hit",
    "entry_of_model",
    "entry_of_version",
    "index_model",
    "index_version",
    "search",
]

"""What the search service does, free of gRPC, NATS and SQL."""

from autoisp_search.usecases.changes import Changes
from autoisp_search.usecases.drafts import SearchDraft, SpaceDraft
from autoisp_search.usecases.live import LiveSearches
from autoisp_search.usecases.ports import Datasets, SearchStore, Transaction
from autoisp_search.usecases.results import ResultHandlers
from autoisp_search.usecases.searches import Searches
from autoisp_search.usecases.watching import watch

__all__ = [
    "Changes",
    "Datasets",
    "LiveSearches",
    "ResultHandlers",
    "SearchDraft",
    "SearchStore",
    "Searches",
    "SpaceDraft",
    "Transaction",
    "watch",
]

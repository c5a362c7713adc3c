"""What the use cases need of the outside."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Protocol

from autoisp_core.artifact import Artifact

from autoisp_search.domain import Outgoing, Search, SearchView, Trial
from autoisp_search.domain.dataset import DatasetInfo


class Clock(Protocol):
    """Tells the time, with time zone."""

    def __call__(self) -> datetime: ...


class Datasets(Protocol):
    """Finds datasets and artifacts."""

    async def find(self, name: str) -> DatasetInfo | None:
        """The dataset of this name (``datasets/{d}``), or None."""
        ...

    async def has(self, artifact: Artifact) -> bool:
        """Whether the artifact's bytes are there."""
        ...


class Transaction(Protocol):
    """One change: all of it is written, messages included, or nothing."""

    async def insert(self, search: Search, fingerprint: str) -> None:
        """Write a new search.

        Raises:
            AlreadyExistsError: its id or its request_id is taken.
        """
        ...

    async def search(self, search_id: str) -> Search | None:
        """The search, locked until the end of the transaction, or None."""
        ...

    async def save(self, search: Search) -> None:
        """Write a changed search."""
        ...

    async def trials(self, search_id: str) -> list[Trial]:
        """All trials of a search, by rung and ordinal."""
        ...

    async def trial(self, search_id: str, trial_id: str) -> Trial | None:
        """One trial, or None."""
        ...

    async def save_trial(self, trial: Trial) -> None:
        """Write a new or changed trial."""
        ...

    async def view(self, search: Search) -> SearchView:
        """The search as given, with its trials counted."""
        ...

    async def emit(self, message: Outgoing) -> None:
        """Send after the commit; what still waits to be sent is not sent twice."""
        ...


class SearchStore(Protocol):
    """Keeps searches and trials."""

    def transaction(self) -> AbstractAsyncContextManager[Transaction]:
        """Commits at the end of the block, or writes nothing if it raises."""
        ...

    async def find(self, *, search_id: str = "", request_id: str = "") -> tuple[SearchView, str] | None:
        """The search with this id or request_id, and the fingerprint of what was asked; or None."""
        ...

    async def page(self, after: str | None, limit: int) -> Sequence[SearchView]:
        """Searches by id."""
        ...

    async def trial(self, search_id: str, trial_id: str) -> Trial | None:
        """One trial, or None."""
        ...

    async def trials_page(self, search_id: str, after: str | None, limit: int) -> Sequence[Trial]:
        """Trials by rung and ordinal."""
        ...

    async def changed(self, search_id: str, since: int) -> tuple[SearchView, Sequence[Trial]] | None:
        """The search, and its trials changed after revision ``since``; None if there is no such search."""
        ...

    async def unfinished(self) -> Sequence[str]:
        """Ids of the searches that have not ended."""
        ...

"""Lists of models and versions, by filter and order."""

from __future__ import annotations

from typing import Protocol

from autoisp_core import names
from autoisp_core.errors import NotFoundError
from autoisp_core.pagination import Page

from autoisp_registry.domain import Model, ModelVersion
from autoisp_registry.filters import Listing
from autoisp_registry.ports import Store

ALL_MODELS = "models/-"
"""The parent of all versions."""


class Finder(Protocol):
    """Answers lists."""

    async def find_models(self, listing: Listing) -> Page[Model]:
        """The page of models that the listing asks for.

        Raises:
            InvalidArgumentError: its page token was forged.
        """
        ...

    async def find_versions(self, listing: Listing) -> Page[ModelVersion]:
        """The page of versions that the listing asks for.

        Raises:
            InvalidArgumentError: its page token was forged.
        """
        ...


class Finding:
    """The use cases of lists. One instance serves all callers of a process.

    Args:
        finder: answers lists.
        store: knows whether there is a model.
    """

    def __init__(self, finder: Finder, store: Store) -> None:
        self._finder = finder
        self._store = store

    async def list_models(self, listing: Listing) -> Page[Model]:
        """A page of models.

        Raises:
            InvalidArgumentError: ``page_token``.
        """
        return await self._finder.find_models(listing)

    async def list_versions(self, listing: Listing) -> Page[ModelVersion]:
        """A page of versions.

        Raises:
            InvalidArgumentError: ``page_token``.
            NotFoundError: there is no such model.
        """
        if listing.model:
            model = await self._store.model(listing.model)
            if model is None or (model.deleted and not listing.show_deleted):
                raise NotFoundError(listing.model, metadata={"field": "parent"})
        return await self._finder.find_versions(listing)


def listed_model(parent: str) -> str:
    """The model whose versions are asked for; empty: of all models.

    Raises:
        InvalidArgumentError: ``parent`` has another form.
    """
    if parent == ALL_MODELS:
        return ""
    names.MODEL.parse(parent, "parent")
    return parent

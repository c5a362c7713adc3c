"""Leaving versions where other services read them."""

from __future__ import annotations

import asyncio

import structlog
from autoisp_core.errors import AutoISPError
from autoisp_core.pagination import MAX_PAGE_SIZE

from autoisp_registry.domain import Model
from autoisp_registry.filters import Listing
from autoisp_registry.ports import Publisher, Store
from autoisp_registry.usecases.finding import Finder

_log = structlog.get_logger(__name__)

_RETRY_S = 5.0


async def publish_earlier(
    store: Store, finder: Finder, publisher: Publisher, retry_s: float = _RETRY_S
) -> None:
    """Leave the versions that were registered before the registry left any; waits out what is away.

    A model's first version goes last, so its presence says that all are there: a start costs one look per
    model.
    """
    while True:
        try:
            token = ""
            while True:
                page = await finder.find_models(Listing.of_models(MAX_PAGE_SIZE, token, show_deleted=True))
                for model in page.items:
                    await _publish_versions(model, store, finder, publisher)
                if not (token := page.next_page_token):
                    return
        except AutoISPError as error:
            if not error.transient:
                _log.error("earlier versions were not left for others", exc_info=error)
                return
            _log.warning("earlier versions wait to be left for others", error=str(error))
        await asyncio.sleep(retry_s)


async def _publish_versions(model: Model, store: Store, finder: Finder, publisher: Publisher) -> None:
    oldest = Listing.of_versions(model.name, page_size=1, show_deleted=True)
    first = (await finder.find_versions(oldest)).items
    if not first or await publisher.published(first[0].name):
        return
    for number in range(model.last_number, 0, -1):
        version = await store.version(model.name, number)
        if version is not None:
            await publisher.publish(version)
    _log.info("earlier versions left for others", model=model.name, versions=model.last_number)
